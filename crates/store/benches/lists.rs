//! The duration of the first page of each list, of the counts, and of what each page of the
//! dashboard reads, with many domains.
//!
//! `DPS_BENCH_ROWS` is the number of domains. `script/bench lists` runs it with a million, `cargo
//! test` with few. Of a hundred domains, 94 are served; the others wait, fail or leave. A tenant
//! has a thousand, and a registered domain ten. The edge has presented all certificates but those
//! of a hundredth.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "lists/screens.rs"]
mod screens;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_application::operator::fleet;
use dps_application::ports::fleet_view::{FleetView as _, ListRequest};
use dps_application::ports::{Clock, Randomness};
use dps_domain::Timestamp;
use dps_domain::fleet::{DomainFilter, FilterText};
use dps_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool, SqlitePool};

/// The number of domains in a run of the tests.
const ROWS: usize = 2_000;
/// Repetitions in a run of the tests, and in full.
const REPETITIONS: (usize, usize) = (2, 100);
const PAGE: u32 = 50;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const EDGE: &str = "https://edge-1.platform.example:9443";

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

/// `n` counts the domains, and `kind` is `n % 100`.
const FILL: [&str; 3] = [
    "INSERT INTO custom_domains (id, tenant_id, hostname, hostname_reversed, cname_target, phase, lane, attempt, next_attempt_at, \
     pending_since, failed_validations, order_not_before, last_failure, serving_not_after, serving_certificate_id, cabinet_version, \
     revision, created_at, updated_at, tenant_shard, status, actor, failure_code, status_since) \
     SELECT '01890000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + n AS TEXT), 2), 'tenant-' || (n % [tenants]), \
     'shop-' || n || '.customer-' || (n % [customers]) || '.example', 'example.customer-' || (n % [customers]) || '.shop-' || n || '.', \
     'edge.platform.example', \
     CASE WHEN kind < 94 THEN '{\"live\":{\"serving\":\"01890000-0000-7000-8000-000000000000\",\"notAfter\":\"2027-03-01T00:00:00Z\",\
     \"next\":{\"at\":\"2027-02-01T00:00:00Z\"}}}' WHEN kind < 97 THEN '{\"onboarding\":\"awaitingDns\"}' \
     WHEN kind < 99 THEN '\"failed\"' ELSE '\"gone\"' END, \
     CASE WHEN kind < 94 THEN 'recheck' WHEN kind < 97 THEN 'chronic' END, 0, 1800000000000000 + n, 0, 0, 0, \
     CASE WHEN kind BETWEEN 93 AND 96 THEN '{\"code\":\"DNS_NXDOMAIN\"}' WHEN kind = 97 THEN '{\"code\":\"CAA_FORBIDS\",\"record\":\"\"}' \
     WHEN kind = 98 THEN '{\"code\":\"INTERNAL\",\"detail\":\"\"}' END, \
     CASE WHEN kind < 94 THEN 1800000000000000 + CAST(n AS BIGINT) * 7776000 END, \
     CASE WHEN kind < 94 THEN 'certificate-' || n END, 1, 1, 0, 0, n % 64, \
     CASE WHEN kind < 94 THEN 'Active' WHEN kind < 97 THEN 'PendingDns' WHEN kind < 99 THEN 'Failed' ELSE 'Removed' END, \
     CASE WHEN kind BETWEEN 93 AND 97 THEN 'customer' WHEN kind = 98 THEN 'operator' ELSE '' END, \
     CASE WHEN kind BETWEEN 93 AND 96 THEN 'DNS_NXDOMAIN' WHEN kind = 97 THEN 'CAA_FORBIDS' WHEN kind = 98 THEN 'INTERNAL' ELSE '' END, 0 \
     FROM (SELECT n, (n * 37) % 100 AS kind FROM n) AS numbered",
    "INSERT INTO edges (name, first_seen_at, listed_at) SELECT '[edge]', 0, 0 FROM n WHERE n = 1",
    "INSERT INTO edge_deployments (domain_id, edge, certificate_id, deployed_at, generation) \
     SELECT '01890000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + n AS TEXT), 2), '[edge]', \
     CASE WHEN n % 100 = 1 THEN 'old' ELSE 'certificate-' || n END, 0, 0 FROM n WHERE (n * 37) % 100 < 94",
];

async fn fill(url: &str, domains: usize) {
    let numbers = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {domains}) SELECT"
    );
    let mut statements: Vec<String> = FILL
        .iter()
        .map(|text| {
            text.replacen(" SELECT ", &format!(" {numbers} "), 1)
                .replace("[tenants]", &(domains / 1_000).max(1).to_string())
                .replace("[customers]", &(domains / 10).to_string())
                .replace("[edge]", EDGE)
        })
        .collect();
    let is_sqlite = url.starts_with("sqlite");
    statements.push(
        if is_sqlite {
            "ANALYZE"
        } else {
            "VACUUM ANALYZE"
        }
        .to_owned(),
    );
    if is_sqlite {
        let pool = SqlitePool::connect(url).await.unwrap();
        for statement in statements {
            pool.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        pool.close().await;
    } else {
        let pool = PgPool::connect(url).await.unwrap();
        for statement in statements {
            pool.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        pool.close().await;
    }
}

/// The lists, each by its options and their values.
const LISTS: [&[(&str, &str)]; 15] = [
    &[],
    &[("name", "shop-7.customer-7.example")],
    &[("prefix", "shop-77")],
    &[("suffix", "customer-7.example")],
    &[("containing", "mer-77.")],
    &[("tenant", "tenant-1")],
    &[("tenant", "tenant-1"), ("status", "Failed")],
    &[("status", "Active")],
    &[("status", "Failed")],
    &[("code", "CAA_FORBIDS")],
    &[("actor", "operator")],
    &[("expires within", "7 days")],
    &[("edge", EDGE)],
    &[("edge pending", EDGE)],
    &[("containing", "nowhere"), ("status", "Active")],
];

fn filter(options: &[(&str, &str)]) -> DomainFilter {
    let value = |wanted: &str| {
        let mut options = options.iter();
        options
            .find(|(option, _)| *option == wanted)
            .map(|(_, value)| *value)
    };
    let text = FilterText {
        name: value("name"),
        prefix: value("prefix"),
        suffix: value("suffix"),
        containing: value("containing"),
        tenant: value("tenant"),
        status: value("status"),
        code: value("code"),
        actor: value("actor"),
        expires_within: value("expires within").map(|_| Duration::from_secs(7 * 86_400)),
        edge: value("edge"),
        edge_pending: value("edge pending"),
    };
    DomainFilter::parse(&text).unwrap()
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    format!("p50 {:>8.2} ms, p99 {:>8.2} ms", at(50), at(99))
}

async fn timed<T>(repetitions: usize, mut run: impl AsyncFnMut() -> T) -> (String, T) {
    // The first one reads the pages and prepares the statement.
    let mut last = run().await;
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let began = Instant::now();
        last = run().await;
        times.push(began.elapsed());
    }
    (shown(times), last)
}

async fn measure(url: &str, name: &str, domains: usize) {
    let options = StoreOptions::new(Arc::new(Still), Arc::new(Still));
    let store = Store::connect(url, options).await.unwrap();
    store.migrate().await.unwrap();
    fill(url, domains).await;
    let full = domains > ROWS;
    let repetitions = if full { REPETITIONS.1 } else { REPETITIONS.0 };
    println!("\n{name}, {domains} domains");
    for options in LISTS {
        let filter = filter(options);
        let request = ListRequest {
            filter: &filter,
            now: NOW,
            after: None,
        };
        let (page, found) = timed(repetitions, async || {
            store.fleet_list(&request, PAGE).await.unwrap()
        })
        .await;
        let (count, counted) = timed(repetitions, async || {
            store.fleet_count(&request, false).await.unwrap()
        })
        .await;
        let counted: u64 = counted.groups.iter().map(|group| group.count.domains).sum();
        let listed = found.domains.len();
        let what: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
        let what = what.join(" and ");
        println!("  {what:22} page {page} ({listed}), count {count} ({counted})");
    }
    println!("  what each page of the dashboard reads");
    for page in screens::ALL {
        let (time, rows) = timed(repetitions, async || {
            screens::read(&store, NOW, page).await.unwrap()
        })
        .await;
        println!("  {page:22} {time} ({rows})");
    }
    let few = repetitions.min(10);
    let (recount, states) = timed(few, async || store.fleet_recount().await.unwrap()).await;
    let (kept, ()) = timed(few, async || store.fleet_counts_store(NOW).await.unwrap()).await;
    let (read, counts) = timed(few, async || store.fleet_counts().await.unwrap()).await;
    println!("  recount                   {recount}");
    println!("  recount and keep          {kept}");
    println!("  kept counts               {read}");
    let total: u64 = states.iter().map(|count| count.domains).sum();
    assert_eq!(total, domains as u64);
    assert_eq!(counts.unwrap().counts, states);
    let all = DomainFilter::default();
    let (by_tenant, counted) = timed(1, async || {
        fleet::count(&store, &all, NOW, true).await.unwrap()
    })
    .await;
    println!("  all by tenant, in windows {by_tenant}");
    assert_eq!(counted.total(), domains as u64);
    store.close().await;
}

fn main() {
    let domains = std::env::var("DPS_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        measure(&url, "PostgreSQL", domains).await;
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", directory.path().display());
        measure(&url, "SQLite", domains).await;
    });
}
