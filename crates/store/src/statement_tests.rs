//! Every statement is prepared on both databases, and those of the hot path read an index range.

use std::collections::BTreeSet;
use std::path::Path;

use dps_database::{Pools, Script};
use dps_domain::lane::Lane;
use dps_domain::shard::{FEW, SHARDS};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool, Row, SqlSafeStr, SqlitePool, Statement};

use crate::migrations::SCHEMA;
use crate::sql::{Database, Sql};
use crate::{
    accounts, actions, certificates, cursors, domains, events, fleet, fleet_view, idempotency,
    installation, jobs, ledger, lock, orders, outbox, pauses, prune, renewal_info, revocations,
    secrets, size, sync, system, targets, wakes, webhooks,
};

fn every_statement() -> Vec<(String, Sql)> {
    let modules = [
        ("accounts", accounts::ALL),
        ("actions", actions::ALL),
        ("renewal_info", renewal_info::ALL),
        ("certificates", certificates::ALL),
        ("lock", lock::ALL),
        ("cursors", cursors::ALL),
        ("domains", domains::ALL),
        ("domains::cabinet_version", domains::cabinet_version::ALL),
        ("domains::lease", domains::lease::statements::ALL),
        ("domains::lock", domains::lock::ALL),
        ("domains::put_off", domains::put_off::ALL),
        ("events", events::ALL),
        ("fleet", fleet::ALL),
        ("fleet_view", fleet_view::ALL),
        ("idempotency", idempotency::ALL),
        ("installation", installation::ALL),
        ("jobs", jobs::ALL),
        ("ledger", ledger::ALL),
        ("ledger::bucket", ledger::bucket::ALL),
        ("ledger::compact", ledger::compact::ALL),
        ("ledger::operator", ledger::operator::ALL),
        ("orders", orders::ALL),
        ("outbox", outbox::ALL),
        ("pauses", pauses::ALL),
        ("prune", prune::ALL),
        ("revocations", revocations::ALL),
        ("secrets", secrets::ALL),
        ("size", size::ALL),
        ("sync", sync::ALL),
        ("system", system::ALL),
        ("targets", targets::ALL),
        ("wakes", wakes::ALL),
        ("webhooks", webhooks::ALL),
    ];
    let named = |(module, all): (&str, &[(&str, Sql)])| {
        all.iter()
            .map(|(name, sql)| (format!("{module}::{name}"), *sql))
            .collect::<Vec<_>>()
    };
    modules.into_iter().flat_map(named).collect()
}

fn statement(name: &str) -> Sql {
    let found = every_statement()
        .into_iter()
        .find(|(known, _)| known == name);
    found
        .unwrap_or_else(|| panic!("there is no statement {name}"))
        .1
}

async fn sqlite() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let database = Database::new(Pools::Sqlite {
        writer: pool.clone(),
        readers: pool.clone(),
    });
    database.migrate(&SCHEMA).await.unwrap();
    pool
}

async fn postgres() -> PgPool {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    let database = Database::new(Pools::Postgres(pool.clone()));
    database.migrate(&SCHEMA).await.unwrap();
    pool
}

/// How many parameters a text uses, `$1` up to the greatest.
fn parameters(text: &str) -> usize {
    let numbers = text.split('$').skip(1).map(|after| {
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        after[..end].parse().unwrap()
    });
    numbers.max().unwrap_or(0)
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let pool = sqlite().await;
    for (name, sql) in every_statement() {
        let prepared = pool.prepare(sql.sqlite.into_sql_str()).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = prepared
            .parameters()
            .unwrap()
            .right_or_else(|_| unreachable!("SQLite counts"));
        assert_eq!(count, parameters(sql.sqlite), "{name}");
    }
}

#[tokio::test]
async fn every_statement_prepares_on_postgresql() {
    let pool = postgres().await;
    for (name, sql) in every_statement() {
        let prepared = pool.prepare(sql.postgres.into_sql_str()).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
        let types = prepared
            .parameters()
            .unwrap()
            .left_or_else(|_| unreachable!("PostgreSQL names types"));
        assert_eq!(types.len(), parameters(sql.postgres), "{name}");
    }
}

#[test]
fn the_dialects_take_the_same_parameters() {
    for (name, sql) in every_statement() {
        assert_eq!(parameters(sql.postgres), parameters(sql.sqlite), "{name}");
    }
}

/// The quoted words between `IN (` and the next `)`.
fn listed(text: &str) -> BTreeSet<&str> {
    let (_, list) = text.split_once("IN (").unwrap();
    let (list, _) = list.split_once(')').unwrap();
    list.split(", ")
        .map(|quoted| quoted.trim_matches('\''))
        .collect()
}

#[tokio::test]
async fn what_makes_a_crowd_is_the_same_in_the_statements_the_index_and_the_domain() {
    let crowded = Lane::ALL.into_iter().filter(|lane| lane.takes_crowds());
    let crowded: BTreeSet<&str> = crowded.map(Lane::as_str).collect();
    let queue = domains::row::queue!("$3");
    assert_eq!(listed(queue), crowded);
    let sixteenth = format!("LIMIT 1 OFFSET {}) THEN {SHARDS} ELSE 0", FEW - 1);
    assert!(queue.contains(&sixteenth), "{queue}");
    let index = "SELECT sql FROM sqlite_master WHERE name = 'custom_domains_crowd'";
    let index: String = sqlite().await.fetch_one(index).await.unwrap().get(0);
    assert_eq!(listed(&index), crowded);
    for (name, sql) in domains::lease::statements::ALL {
        for text in [sql.sqlite, sql.postgres] {
            for (_, after) in text
                .match_indices(" % ")
                .map(|(at, found)| text.split_at(at + found.len()))
            {
                assert!(after.starts_with(&SHARDS.to_string()), "{name}: {text}");
            }
        }
    }
}

/// Ten thousand records and reports, of which few are due.
const FILL: [&str; 17] = [
    "INSERT INTO rate_limit_buckets (bucket, full_at) \
     WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) SELECT 'bucket-' || n, n FROM n",
    "INSERT INTO custom_domains (id, tenant_shard, urgent_from, tenant_id, hostname, cname_target, phase, lane, attempt, next_attempt_at, \
     pending_since, failed_validations, order_not_before, serving_not_after, cabinet_version, revision, created_at, updated_at, \
     status, actor, failure_code, hostname_reversed, serving_certificate_id) \
     WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) \
     SELECT 'id-' || n, n % 64, n + 100, 'tenant-' || n % 100, 'host-' || n, '', '', CASE WHEN n % 5 = 0 THEN 'renewal' ELSE 'verification' END, \
     0, n, 0, 0, 0, n, 0, 0, 0, 0, CASE WHEN n % 5 = 0 THEN 'Active' ELSE 'PendingDns' END, \
     CASE WHEN n % 3 = 0 THEN 'customer' ELSE '' END, CASE WHEN n % 3 = 0 THEN 'DNS_NXDOMAIN' ELSE '' END, \
     'example.host-' || n || '.', CASE WHEN n % 5 = 0 THEN 'certificate-' || n END FROM n",
    "INSERT INTO outbox (domain_id, report, status, attempt, next_attempt_at, created_at) \
     SELECT id, '', CASE WHEN next_attempt_at % 10 = 0 THEN 'Active' ELSE 'PendingDns' END, 0, created_at + next_attempt_at, 0 \
     FROM custom_domains",
    "INSERT INTO renewal_questions (domain_id, certificate_id, ask_at, failures) SELECT id, '', next_attempt_at, 0 FROM custom_domains",
    "INSERT INTO domain_events (domain_id, seq, at, kind, phase, detail) \
     SELECT id, 1, next_attempt_at, '', '', '{}' FROM custom_domains",
    "INSERT INTO cabinet_sightings (domain_id, run, missing_since) \
     SELECT id, 7, CASE WHEN next_attempt_at % 500 = 0 THEN 1 END FROM custom_domains",
    "INSERT INTO acme_orders (id, domain_id, directory_url, url, open, key_sealed, created_at, ended_at) \
     SELECT 'order-' || next_attempt_at, id, '', '', FALSE, CASE WHEN next_attempt_at % 5 = 0 THEN CAST('key' AS BYTEA) END, 0, \
     CASE WHEN next_attempt_at % 5 = 0 THEN next_attempt_at END FROM custom_domains",
    "INSERT INTO acme_challenges (order_id, url, token, key_authorization) SELECT id, '', '', '' FROM acme_orders",
    "INSERT INTO certificates (id, domain_id, order_id, hostname, generation, fingerprint, serial, not_before, not_after, \
     chain_pem, key_sealed, created_at, superseded_at, retired_at) \
     SELECT 'certificate-' || next_attempt_at, id, 'order-' || next_attempt_at, hostname, next_attempt_at, '', '', 0, next_attempt_at, \
     '', CAST('key' AS BYTEA), 0, CASE WHEN next_attempt_at % 4 = 0 THEN next_attempt_at END, \
     CASE WHEN next_attempt_at % 7 = 0 THEN next_attempt_at END FROM custom_domains",
    "INSERT INTO rate_limit_slots (domain_id, bucket, slot_at) SELECT id, '', next_attempt_at FROM custom_domains",
    "INSERT INTO edges (name, first_seen_at, listed_at) VALUES ('edge', 0, 0)",
    "INSERT INTO edge_deployments (domain_id, edge, certificate_id, deployed_at) SELECT id, 'edge', '', 0 FROM custom_domains",
    "INSERT INTO fleet_counts (hour, counted_at, status, actor, failure_code, domains) \
     SELECT next_attempt_at, 0, status, actor, failure_code, 1 FROM custom_domains",
    "INSERT INTO issuance_pauses (scope, subject, since, who) SELECT 'domain', hostname, 0, '' FROM custom_domains",
    "INSERT INTO operator_actions (id, at, who, source, role, kind, scope, subject, before, after) \
     SELECT id, 0, '', '', '', '', '', '', '', '' FROM custom_domains",
    "INSERT INTO idempotency_keys (holder, idempotency_key, fingerprint, begun_at) \
     SELECT 'holder-' || next_attempt_at % 100, id, '', next_attempt_at FROM custom_domains",
    "INSERT INTO webhook_deliveries (receiver, event_id, domain_id, body, state, attempt, due_at, pending_since, created_at) \
     SELECT 'receiver', id, id, '', CASE WHEN next_attempt_at % 3 = 0 THEN 'delivered' ELSE 'pending' END, 0, \
     CASE WHEN next_attempt_at % 3 = 1 THEN next_attempt_at END, 0, next_attempt_at FROM custom_domains",
];

/// Those that are filled.
const TABLES: [&str; 16] = [
    "idempotency_keys",
    "custom_domains",
    "outbox",
    "domain_events",
    "renewal_questions",
    "acme_orders",
    "acme_challenges",
    "certificates",
    "edge_deployments",
    "rate_limit_slots",
    "domain_names",
    "domain_states",
    "fleet_counts",
    "operator_actions",
    "issuance_pauses",
    "webhook_deliveries",
];

/// A part of the name of the index of a table's key, which both databases name themselves.
const CHALLENGES_KEY: &str = "acme_challenges";
const ACTIONS_KEY: &str = "operator_actions";
const IDEMPOTENCY_KEY: &str = "idempotency_keys";
const PAUSES_KEY: &str = "issuance_pauses";
const FLEET_COUNTS_KEY: &str = "fleet_counts";
const DOMAIN_NAMES_KEY: &str = "domain_names_pkey";
const DOMAIN_STATES_KEY: &str = "domain_states_pkey";
/// No bytes, as both databases write it.
const ERASED: &str = "CAST('' AS BYTEA)";

/// The statements that run on every tick, with the index they must read and sample values for
/// `$1`….
const HOT: [(&str, &str, &[&str]); 48] = [
    ("fleet_view::TENANTS", "domain_names", &["'tenant-7'", "10"]),
    ("idempotency::FIND", IDEMPOTENCY_KEY, &["'ann'", "'id-77'"]),
    ("idempotency::COUNT", IDEMPOTENCY_KEY, &["'ann'", "10"]),
    (
        "idempotency::ANSWER",
        IDEMPOTENCY_KEY,
        &["'ann'", "'id-77'", "77", "200", "''"],
    ),
    (
        "idempotency::RELEASE",
        IDEMPOTENCY_KEY,
        &["'ann'", "'id-77'", "77"],
    ),
    (
        "prune::IDEMPOTENCY_KEYS",
        "idempotency_keys_begun",
        &["50", "10"],
    ),
    ("pauses::COVERING", PAUSES_KEY, &["'tenant-7'", "'host-7'"]),
    ("domains::lock::COUNT_PAUSES", PAUSES_KEY, &["'id-77'"]),
    (
        "domains::lock::LOCK_TO_ORDER",
        PAUSES_KEY,
        &["'id-77'", "'token'"],
    ),
    (
        "webhooks::NEXT_DUE",
        "webhook_deliveries_due",
        &["'receiver'"],
    ),
    (
        "webhooks::DUE",
        "webhook_deliveries_due",
        &["'receiver'", "50", "10"],
    ),
    (
        "webhooks::PROMOTE",
        "webhook_deliveries_waiting",
        &["'receiver'", "'id-5'", "50"],
    ),
    (
        "webhooks::ADOPT",
        "webhook_deliveries_waiting",
        &["'receiver'", "'id-5'"],
    ),
    (
        "webhooks::COUNT",
        "webhook_deliveries_since",
        &["'receiver'", "10"],
    ),
    (
        "webhooks::OLDEST",
        "webhook_deliveries_since",
        &["'receiver'", "10"],
    ),
    (
        "webhooks::REQUEST_EVENT",
        "webhook_deliveries_event",
        &["'id-5'", "''", "50"],
    ),
    (
        "prune::WEBHOOKS",
        "webhook_deliveries_created",
        &["50", "10"],
    ),
    ("prune::ACTIONS", ACTIONS_KEY, &["'id-5'", "10"]),
    ("actions::NEWEST", ACTIONS_KEY, &["'id-5'", "10"]),
    ("prune::FLEET_COUNTS", FLEET_COUNTS_KEY, &["50", "10"]),
    ("prune::SLOTS", "rate_limit_slots_at", &["50", "10"]),
    (
        "prune::CHALLENGES_PAGE",
        CHALLENGES_KEY,
        &["'order-5'", "10"],
    ),
    (
        "prune::CHALLENGES",
        CHALLENGES_KEY,
        &["'order-5'", "'order-50'", "50"],
    ),
    ("prune::ORDER_KEYS", "acme_orders_ended_keys", &["50", "10"]),
    ("prune::ORDERS", "acme_orders_ended", &["50", "10"]),
    (
        "prune::ENDED_KEYS",
        "certificates_superseded_end",
        &["50", "10", ERASED],
    ),
    (
        "prune::SUPERSEDED_KEYS_PAGE",
        "certificates_superseded",
        &["50", "7", "'id-7'", "10"],
    ),
    (
        "prune::SUPERSEDED_KEYS",
        "certificates_superseded",
        &["7", "'id-7'", "50", "'id-50'", "1", ERASED],
    ),
    ("prune::CERTIFICATES", "certificates_retired", &["50", "10"]),
    (
        "prune::BUCKETS",
        "rate_limit_buckets_full_at",
        &["50", "10"],
    ),
    (
        "sync::MISSING_PAGE",
        "cabinet_sightings_missing",
        &["7", "50", "''", "10"],
    ),
    ("outbox::OLDEST", "outbox_created", &[]),
    ("outbox::WAITING", "outbox_domain", &["'id-77'"]),
    ("prune::HISTORY", "domain_events_at", &["50", "10"]),
    (
        "domains::lease::ACQUIRE_FIRST",
        "custom_domains_due",
        &[
            "'verification'",
            "50",
            "10",
            "'token'",
            "90",
            "50",
            "7",
            "1",
            "5",
            "0",
        ],
    ),
    (
        "domains::lease::ACQUIRE",
        "custom_domains_due",
        &[
            "'verification'",
            "50",
            "10",
            "'token'",
            "90",
            "50",
            "7",
            "1",
            "5",
            "0",
        ],
    ),
    (
        "domains::lease::ACQUIRE",
        "custom_domains_leased",
        &[
            "'verification'",
            "50",
            "10",
            "'token'",
            "90",
            "50",
            "7",
            "1",
            "5",
            "0",
        ],
    ),
    (
        "domains::lease::PROMOTE",
        "custom_domains_urgent",
        &["'urgent'", "150", "10"],
    ),
    ("domains::lease::NEXT_URGENT", "custom_domains_urgent", &[]),
    (
        "domains::lease::NEXT_DUE",
        "custom_domains_due",
        &["'verification'"],
    ),
    (
        "domains::lease::NEXT_DUE_OF_CROWDS",
        "custom_domains_due",
        &["'verification'"],
    ),
    (
        "domains::SELECT_BY_HOSTNAME",
        "custom_domains_hostname",
        &[
            "'host-77'",
            "'\"gone\"'",
            "'\"failed\"'",
            "'\"leaving\"'",
            "64",
            "'tenant-7'",
            "0",
        ],
    ),
    (
        "domains::SOONEST_EXPIRY",
        "custom_domains_pointing_here",
        &[],
    ),
    (
        "outbox::ACQUIRE_PROGRESS",
        "outbox_progress",
        &["50", "10", "'token'", "90", "50"],
    ),
    (
        "outbox::ACQUIRE",
        "outbox_due",
        &["50", "10", "'token'", "90", "50"],
    ),
    ("outbox::NEXT_DUE", "outbox_due", &[]),
    (
        "renewal_info::CLAIM",
        "renewal_questions_due",
        &["50", "90", "10"],
    ),
    ("renewal_info::NEXT_DUE", "renewal_questions_due", &[]),
];

/// The arguments of a filter by tenant and edge alone, and a number.
const FILTER: [&str; 13] = [
    "''",
    "''",
    "''",
    "'tenant-7'",
    "''",
    "'~'",
    "''",
    "'~'",
    "'%'",
    "NULL",
    "'pending'",
    "'edge'",
    "1",
];

/// The orders of lists: the statements' name, the index, and the two ends of a range.
const LISTS: [(&str, &str, &[&str], &[&str]); 6] = [
    (
        "NAME",
        "custom_domains_hostname",
        &["'host-7'", "'id-7'"],
        &["'host-8'", "'~'"],
    ),
    (
        "SERVED",
        "custom_domains_serving",
        &["'host-7'", "'id-7'"],
        &["'host-8'", "'~'"],
    ),
    (
        "TENANT",
        DOMAIN_NAMES_KEY,
        &["'host-7'", "'id-7'"],
        &["'~'", "'~'"],
    ),
    (
        "REVERSED",
        "domain_names_reversed",
        &["'example.host-7.'", "''"],
        &["'example.host-7.~'", "''"],
    ),
    (
        "STATE",
        DOMAIN_STATES_KEY,
        &[
            "'PendingDns'",
            "'customer'",
            "'DNS_NXDOMAIN'",
            "'host-7'",
            "''",
        ],
        &["'PendingDns'", "'customer'", "'DNS_NXDOMAIN'", "'~'", "'~'"],
    ),
    (
        "EXPIRY",
        "custom_domains_pointing_here",
        &["50", "'host-7'", "'id-7'"],
        &["100", "'~'", "'~'"],
    ),
];

/// The statements of every list with their index and values.
fn lists() -> Vec<(String, &'static str, Vec<&'static str>)> {
    let mut all = Vec::new();
    for (order, index, lower, upper) in LISTS {
        let tenant: &[&str] = if order == "TENANT" {
            &["'tenant-7'"]
        } else {
            &[]
        };
        if order == "STATE" {
            let range = [lower, upper].concat();
            all.push(("fleet_view::COUNT_STATES".into(), index, range));
        }
        let end = [&["10"], tenant, lower, upper].concat();
        let others = [FILTER.as_slice(), lower, upper].concat();
        all.push((format!("fleet_view::{order}_END"), index, end));
        all.push((format!("fleet_view::{order}_PAGE"), index, others.clone()));
        all.push((format!("fleet_view::{order}_COUNT"), index, others));
    }
    all.push((
        "fleet_view::SELECT_SINCE".into(),
        "fleet_counts",
        vec!["50"],
    ));
    all.push((
        "fleet_view::TENANTS_END".into(),
        DOMAIN_NAMES_KEY,
        vec!["'tenant-2'", "'tenant-7'", "10"],
    ));
    all.push((
        "fleet_view::TENANTS_COUNT".into(),
        DOMAIN_NAMES_KEY,
        vec!["'tenant-2'", "'tenant-3'", "'host-5'", "'id-5'"],
    ));
    all.push(("fleet_view::DELETE_HOUR".into(), "fleet_counts", vec!["50"]));
    all.push((
        "pauses::WAITING".into(),
        DOMAIN_STATES_KEY,
        vec!["'Active'", "'customer'", "'DNS_NXDOMAIN'", "50"],
    ));
    all
}

/// The sorts of few rows in a statement: records of one name, leased records, 64 shards, a batch.
fn small_sorts(name: &str) -> usize {
    match name {
        "domains::SELECT_BY_HOSTNAME" => 1,
        "domains::lease::ACQUIRE" | "domains::lease::ACQUIRE_FIRST" => 2,
        batch if batch.starts_with("prune::") => 1,
        _ => 0,
    }
}

/// The text with SQLite's type of bytes.
fn of_sqlite(text: &str) -> String {
    text.replace("BYTEA", "BLOB")
}

fn with_values(text: &str, values: &[&str]) -> String {
    let mut text = text.to_owned();
    // From the last on, since `$1` begins `$10`.
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    text
}

#[tokio::test]
async fn hot_statements_read_an_index_range_on_sqlite() {
    let pool = sqlite().await;
    for fill in FILL {
        pool.execute(AssertSqlSafe(of_sqlite(fill))).await.unwrap();
    }
    pool.execute("ANALYZE").await.unwrap();
    for (name, index, values) in HOT {
        let text = of_sqlite(&with_values(statement(name).sqlite, values));
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let rows = pool.fetch_all(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        // A table without row numbers is its own index.
        let key = format!("SEARCH {index} USING PRIMARY KEY");
        assert!(
            plan.iter().any(|line| {
                line.contains("INDEX ") && line.contains(index) || line.starts_with(&key)
            }),
            "{name}: {plan:#?}"
        );
        // MIN over a whole index is reported as a search too. A SCAN would read the whole table,
        // and a sort would read all due rows.
        let bad = |line: &String| {
            TABLES
                .iter()
                .any(|table| line.starts_with(&format!("SCAN {table}")))
                || line.contains("TEMP B-TREE FOR ORDER BY")
        };
        let found = plan.iter().filter(|line| bad(line)).count();
        assert!(found <= small_sorts(name), "{name}: {plan:#?}");
    }
}

#[tokio::test]
async fn hot_statements_read_an_index_range_on_postgresql() {
    let pool = postgres().await;
    for fill in FILL {
        pool.execute(fill).await.unwrap();
    }
    pool.execute("ANALYZE").await.unwrap();
    for (name, index, values) in HOT {
        let text = with_values(statement(name).postgres, values);
        let explain = AssertSqlSafe(format!("EXPLAIN {text}"));
        let rows = pool.fetch_all(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let by_index = |line: &String| {
            let scans = ["Scan using", "Scan Backward using", "Bitmap"];
            line.contains(index) && scans.iter().any(|scan| line.contains(scan))
        };
        assert!(plan.iter().any(by_index), "{name}: {plan:#?}");
        // The fleet is a few rows.
        let scans = |line: &String| line.contains("Seq Scan") && !line.contains("Scan on edges ");
        assert!(!plan.iter().any(scans), "{name}: {plan:#?}");
        let sorts = plan.iter().filter(|line| line.contains("Sort Key")).count();
        assert!(sorts <= small_sorts(name), "{name}: {plan:#?}");
        let sorts_records =
            |line: &String| line.contains("Sort Key") && line.contains("acquirable_at");
        assert!(!plan.iter().any(sorts_records), "{name}: {plan:#?}");
    }
}

#[tokio::test]
async fn lists_and_counts_read_an_index_range_on_sqlite() {
    let pool = sqlite().await;
    for fill in FILL {
        pool.execute(AssertSqlSafe(of_sqlite(fill))).await.unwrap();
    }
    pool.execute("ANALYZE").await.unwrap();
    for (name, index, values) in lists() {
        let text = with_values(statement(&name).sqlite, &values);
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let rows = pool.fetch_all(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        // A table without row numbers is its own index.
        let table = index.strip_suffix("_pkey");
        let reads = |line: &String| match table {
            Some(_) => line.starts_with("SEARCH place USING PRIMARY KEY"),
            None => line.contains("INDEX ") && line.contains(index),
        };
        let searches = plan.iter().any(reads)
            || (index == "fleet_counts" && plan.iter().any(|line| line.contains("PRIMARY KEY")));
        assert!(searches, "{name}: {plan:#?}");
        let scans = |line: &String| {
            line.starts_with("SCAN") && !line.starts_with("SCAN found")
                || line.ends_with("TEMP B-TREE FOR ORDER BY")
        };
        assert!(!plan.iter().any(scans), "{name}: {plan:#?}");
    }
    let recount = statement("fleet_view::RECOUNT").sqlite;
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {recount}"));
    let rows = pool.fetch_all(explain).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    assert_eq!(
        plan,
        ["SCAN domain_states"],
        "in the order of the key alone"
    );
}

#[tokio::test]
async fn lists_and_counts_read_an_index_range_on_postgresql() {
    let pool = postgres().await;
    for fill in FILL {
        pool.execute(fill).await.unwrap();
    }
    pool.execute("VACUUM ANALYZE").await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    for (name, index, values) in lists() {
        // With a custom plan for these values, and with a generic one.
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let prepare = format!(
                "DEALLOCATE ALL; SET plan_cache_mode = {mode}; PREPARE asked AS {}",
                statement(&name).postgres
            );
            sqlx::raw_sql(AssertSqlSafe(prepare))
                .execute(&mut *connection)
                .await
                .unwrap();
            let explain = format!("EXPLAIN EXECUTE asked ({})", values.join(", "));
            let rows = sqlx::raw_sql(AssertSqlSafe(explain))
                .fetch_all(&mut *connection)
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let by_index = |line: &String| {
                line.contains(index) && (line.contains("Scan using") || line.contains("Bitmap"))
            };
            assert!(plan.iter().any(by_index), "{name}, {mode}: {plan:#?}");
            let scans = |line: &String| line.contains("Seq Scan");
            assert!(!plan.iter().any(scans), "{name}, {mode}: {plan:#?}");
        }
    }
    let recount = statement("fleet_view::RECOUNT").postgres;
    let rows = sqlx::raw_sql(AssertSqlSafe(format!(
        "SET enable_seqscan = off; EXPLAIN {recount}"
    )))
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let index_alone = |line: &String| line.contains("Index Only Scan using domain_states_pkey");
    assert!(plan.iter().any(index_alone), "{plan:#?}");
}

#[test]
fn both_databases_have_the_same_migrations_in_code_and_on_disk() {
    let on_disk = |folder: &str| -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(folder);
        let names = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let in_code = |scripts: &[Script]| -> BTreeSet<String> {
        scripts
            .iter()
            .map(|script| format!("{:04}_{}.sql", script.version, script.name))
            .collect()
    };
    let expected = on_disk("postgres");
    assert!(!expected.is_empty());
    assert_eq!(on_disk("sqlite"), expected);
    assert_eq!(in_code(SCHEMA.postgres), expected);
    assert_eq!(in_code(SCHEMA.sqlite), expected);
}

#[tokio::test]
async fn the_size_of_every_table_is_measured() {
    let rows = sqlite()
        .await
        .fetch_all(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
             AND name NOT LIKE '\\_%' ESCAPE '\\'",
        )
        .await
        .unwrap();
    let tables: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let measured = size::TABLES.iter().map(|(table, _)| (*table).to_owned());
    assert_eq!(measured.collect::<BTreeSet<_>>(), tables);
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let sqlite = sqlite().await;
    let rows = sqlite
        .fetch_all(
            "SELECT t.name || '.' || c.name FROM pragma_table_list t, pragma_table_xinfo(t.name) c \
             WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_%' ESCAPE '\\'",
        )
        .await
        .unwrap();
    let on_sqlite: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let postgres = postgres().await;
    let rows = postgres
        .fetch_all(
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%'",
        )
        .await
        .unwrap();
    let on_postgres: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(on_postgres.contains("custom_domains.lease_token"));
    assert_eq!(on_sqlite, on_postgres);
}
