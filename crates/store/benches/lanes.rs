//! The duration of acquiring with many rows, and whether it reads by index however they are spread.
//!
//! `DPS_BENCH_ROWS` is their number. `script/bench lanes` runs it with a million, `cargo test` with
//! few.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_application::ports::store::{DomainRecord, RecordWrite};
use dps_application::ports::store::{LeaseStore as _, RecordStore as _};
use dps_application::ports::{Clock, Randomness};
use dps_domain::lane::Lane;
use dps_domain::{DomainId, Issuance, Phase, Timestamp};
use dps_store::{ACQUIRE, Sql, Store, StoreOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool, Row, SqlitePool};
use uuid::Uuid;

/// The number of rows in a run of the tests.
const ROWS: usize = 20_000;
/// The permits of the default settings together.
const LIMIT: usize = 24;
const LANE: Lane = Lane::Issuance;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const TTL: Duration = Duration::from_secs(120);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

impl Randomness for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// How the rows are spread.
#[derive(Debug, Clone, Copy)]
enum Spread {
    AllDue,
    OnePercentDue,
    OneTenantHasNineTenths,
}

enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Pool {
    async fn run(&self, statement: String) {
        let statement = AssertSqlSafe(statement);
        match self {
            Self::Postgres(pool) => drop(pool.execute(statement).await.unwrap()),
            Self::Sqlite(pool) => drop(pool.execute(statement).await.unwrap()),
        }
    }
}

fn record(tenant: usize) -> DomainRecord {
    DomainRecord {
        phase: Phase::Onboarding(Issuance::Ordering),
        ..DomainRecord::new(
            DomainId::from_uuid(Uuid::from_u128(tenant as u128)),
            format!("tenant-{tenant}"),
            format!("shop-{tenant}.example").parse().unwrap(),
            "edge.platform.example".parse().unwrap(),
            1,
            NOW,
        )
    }
}

fn outcome(record: DomainRecord) -> RecordWrite {
    RecordWrite::unchecked(record)
}

fn tenants(rows: usize) -> usize {
    (rows / 100).min(1_000)
}

/// Rows copied inside the database from one of each tenant that the store wrote, so that they are
/// as it writes them.
async fn fill(store: &Store, pool: &Pool, rows: usize, spread: Spread) {
    const COPIED: &str = "tenant_id, tenant_shard, cname_target, phase, lane, attempt, pending_since, failed_validations, \
                          order_not_before, cabinet_version, revision, created_at, updated_at, status, actor, failure_code, \
                          status_since";
    let tenants = tenants(rows);
    for tenant in 0..tenants {
        assert!(store.domain_insert(outcome(record(tenant))).await.unwrap());
    }
    let (large, each) = match spread {
        Spread::AllDue | Spread::OnePercentDue => (0, rows / tenants),
        Spread::OneTenantHasNineTenths => (rows / 10 * 9, rows / 10 / tenants),
    };
    let now = NOW.unix_micros();
    let due = match spread {
        Spread::OnePercentDue => {
            format!("CASE WHEN n % 100 = 0 THEN {now} - n ELSE {now} + 3600000000 + n END")
        }
        Spread::AllDue | Spread::OneTenantHasNineTenths => format!("{now} - n"),
    };
    for (whose, copies) in [
        ("tenant_id <> 'tenant-0'", each),
        ("tenant_id = 'tenant-0'", large.max(each)),
    ] {
        let copy = format!(
            "INSERT INTO custom_domains (id, hostname, hostname_reversed, next_attempt_at, {COPIED}) \
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies}), \
             templates AS (SELECT * FROM custom_domains WHERE {whose} AND hostname LIKE 'shop-%') \
             SELECT SUBSTR(id, 29, 8) || '-0000-4000-8000-' || SUBSTR(CAST(1000000000000 + n AS TEXT), 2), 'copy-' || n || '.' || hostname, hostname_reversed || 'copy-' || n || '.', {due}, {COPIED} FROM templates, n"
        );
        pool.run(copy).await;
    }
    pool.run("DELETE FROM custom_domains WHERE hostname LIKE 'shop-%'".to_owned())
        .await;
    // SQLite collects no statistics unless it is asked to, and the service never asks.
    if matches!(pool, Pool::Postgres(_)) {
        pool.run("ANALYZE".to_owned()).await;
    }
}

fn with_values(text: &str, values: &[&str]) -> String {
    let mut text = text.to_owned();
    // From the last on, since `$1` begins `$10`.
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    text
}

/// The plans for a statement as it is prepared: for values, and for whatever values come.
async fn plans(pool: &Pool, acquire: Sql) -> Vec<String> {
    let now = NOW.unix_micros().to_string();
    let limit = LIMIT.to_string();
    let lane = format!("'{}'", LANE.as_str());
    let values = [
        &lane,
        now.as_str(),
        &limit,
        "'token'",
        "120000000",
        &now,
        "7",
        "1",
        "5",
        "0",
    ];
    match pool {
        Pool::Sqlite(pool) => {
            let explain = format!(
                "EXPLAIN QUERY PLAN {}",
                with_values(acquire.sqlite, &values)
            );
            let rows = pool.fetch_all(AssertSqlSafe(explain)).await.unwrap();
            rows.iter().map(|row| row.get("detail")).collect()
        }
        Pool::Postgres(pool) => {
            let mut connection = pool.acquire().await.unwrap();
            let mut plan = Vec::new();
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let prepare = format!(
                    "DEALLOCATE ALL; SET plan_cache_mode = {mode}; PREPARE acquire AS {}",
                    acquire.postgres
                );
                sqlx::raw_sql(AssertSqlSafe(prepare))
                    .execute(&mut *connection)
                    .await
                    .unwrap();
                let explain = format!("EXPLAIN EXECUTE acquire ({})", values.join(", "));
                let rows = sqlx::raw_sql(AssertSqlSafe(explain))
                    .fetch_all(&mut *connection)
                    .await
                    .unwrap();
                plan.push(format!("-- {mode}"));
                plan.extend(rows.iter().map(|row| row.get::<String, _>(0)));
            }
            plan
        }
    }
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(50),
        at(99),
        at(100)
    )
}

async fn measure(url: &str, name: &str, spread: Spread) {
    let rows = std::env::var("DPS_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let options = StoreOptions {
        server_time: false,
        ..StoreOptions::new(Arc::new(Still), Arc::new(Still))
    };
    let store = Store::connect(url, options).await.unwrap();
    store.migrate().await.unwrap();
    let pool = if url.starts_with("sqlite") {
        Pool::Sqlite(SqlitePool::connect(url).await.unwrap())
    } else {
        Pool::Postgres(PgPool::connect(url).await.unwrap())
    };
    let started = Instant::now();
    fill(&store, &pool, rows, spread).await;
    println!(
        "\n{name}, {rows} rows, {spread:?} (filled in {:.0?})",
        started.elapsed()
    );
    let by_index = |plan: &[String]| {
        ["custom_domains_due", "custom_domains_leased"]
            .iter()
            .all(|index| plan.iter().any(|line| line.contains(index)))
    };
    let scans = |line: &String| {
        line.contains("Seq Scan on custom_domains") || line.contains("SCAN custom_domains")
    };
    for acquire in ACQUIRE {
        let plan = plans(&pool, acquire).await;
        println!("  {}", plan.join("\n  "));
        assert!(
            by_index(&plan) && !plan.iter().any(scans),
            "{name}, {spread:?}: {plan:#?}"
        );
    }

    let (mut acquiring, mut reading, mut completing) = (Vec::new(), Vec::new(), Vec::new());
    let mut acquired = 0;
    let rounds = if rows > ROWS { 200 } else { 20 };
    for _ in 0..rounds {
        let began = Instant::now();
        let leases = store.acquire_due(LANE, NOW, TTL, LIMIT).await.unwrap();
        acquiring.push(began.elapsed());
        acquired += leases.len();
        for lease in leases {
            let mut done = lease.record;
            done.next_attempt_at = Some(NOW + Duration::from_secs(7_200));
            let began = Instant::now();
            store.complete(lease.token, outcome(done)).await.unwrap();
            completing.push(began.elapsed());
        }
        let began = Instant::now();
        store.next_due(LANE).await.unwrap();
        reading.push(began.elapsed());
    }
    let due = match spread {
        Spread::OnePercentDue => rows / 100,
        Spread::AllDue | Spread::OneTenantHasNineTenths => rows,
    };
    assert_eq!(
        acquired,
        due.min(rounds * LIMIT),
        "every call got what it asked for while there was any"
    );
    println!("  acquire {LIMIT}: {}", shown(acquiring));
    println!("  next_due:   {}", shown(reading));
    println!("  complete:   {}", shown(completing));
    store.close().await;
}

const SPREADS: [Spread; 3] = [
    Spread::AllDue,
    Spread::OnePercentDue,
    Spread::OneTenantHasNineTenths,
];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for spread in SPREADS {
            let url = dps_lab::postgres::fresh_database().await.unwrap();
            measure(&url, "PostgreSQL", spread).await;
            let directory = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/store.db", directory.path().display());
            measure(&url, "SQLite", spread).await;
        }
    });
}
