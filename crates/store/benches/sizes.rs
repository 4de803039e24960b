//! The size of a store whose rows are at rest, by the command's own measure.
//!
//! `DPS_BENCH_ROWS` is the number of domains. `script/bench sizes` runs it with 10,000, `cargo
//! test` with few. A domain has three certificates of 90 days with their orders, 28 lines of
//! history, and deployments on two edges. Texts are as long as those of Let's Encrypt and of the
//! service. A chain has 3,600 bytes, a sealed key 350, and details 160. Certificates and keys do
//! not compress.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;

use dps_application::ports::{Clock, Randomness};
use dps_domain::Timestamp;
use dps_domain::retention::Retention;
use dps_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool, SqlitePool};

/// The number of domains in a run of the tests.
const DOMAINS: usize = 200;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000)
    }
}

impl Randomness for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// `n` counts the domains. `[id:N]` is an identifier, `[bytes:N]` is random text, `[blob:N]` random
/// bytes.
const FILL: [&str; 7] = [
    "INSERT INTO custom_domains (id, tenant_id, hostname, cname_target, phase, lane, attempt, next_attempt_at, pending_since, \
     failed_validations, order_not_before, serving_not_after, serving_certificate_id, cabinet_version, revision, created_at, \
     updated_at, tenant_shard, urgent_from, status, status_since, hostname_reversed) \
     SELECT [id:n], 'tenant-' || n % 1000, 'www.shop-' || n || '.example.com', substr([bytes:32], 1, 26) || '.edge.platform.example', \
     '{\"live\":{\"serving\":\"01890000-0000-7000-8000-000000000000\",\"notAfter\":\"2027-01-01T00:00:00Z\",\
     \"next\":{\"at\":\"2026-12-01T00:00:00.123456Z\"}}}', 'recheck', 0, 1800000000000000 + n, 1790000000000000, 0, 0, \
     1805000000000000 + n, [id:n * 10 + 2], 3, 90, 1790000000000000, 1790000000000000 + n, n % 64, 1804000000000000 + n, 'Active', 1790000000000000 + n, \
     'com.example.shop-' || n || '.www.' FROM n",
    "INSERT INTO acme_orders (id, domain_id, directory_url, url, open, created_at) \
     SELECT [id:n * 10 + k], [id:n], 'https://acme-v02.api.letsencrypt.org/directory', \
     'https://acme-v02.api.letsencrypt.org/acme/order/1234567890/' || (400000000000 + n * 10 + k), FALSE, 1790000000000000 + n \
     FROM n, (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) AS three",
    "INSERT INTO certificates (id, domain_id, order_id, hostname, generation, fingerprint, serial, not_before, not_after, ari_id, \
     chain_pem, key_sealed, created_at) \
     SELECT [id:n * 10 + k], [id:n], [id:n * 10 + k], 'www.shop-' || n || '.example.com', 1790000000000000 + n * 10 + k, [bytes:64], \
     [bytes:36], 1790000000000000, 1797776000000000, [bytes:60], [bytes:3600], CASE WHEN k < 2 THEN [empty] ELSE [blob:350] END, 1790000000000000 + n \
     FROM n, (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) AS three",
    "INSERT INTO domain_events (domain_id, seq, at, kind, phase, detail, duration_micros, replica) \
     SELECT [id:n], k, 1790000000000000 + k * 1000000 + n, 'order.placed', 'renewing.ordering', \
     '{\"orderUrl\":\"https://acme-v02.api.letsencrypt.org/acme/order/1234567890/' || (400000000000 + n) || '\",\
     \"replaces\":\"' || [bytes:60] || '\"}', 123456, 'dps-7d9c5b6f4-x2x9k' \
     FROM n, (WITH RECURSIVE lines (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM lines WHERE k < 28) SELECT k FROM lines) AS lines",
    "INSERT INTO edge_deployments (domain_id, edge, certificate_id, deployed_at, generation) \
     SELECT [id:n], edge, [id:n * 10 + 2], 1790000000000000 + n, 1790000000000000 + n * 10 + 2 \
     FROM n, (SELECT 'https://edge-1.platform.example:9443' AS edge UNION ALL SELECT 'https://edge-2.platform.example:9443') AS two",
    "INSERT INTO renewal_questions (domain_id, certificate_id, ask_at, window_start_at, window_end_at, failures) \
     SELECT [id:n], [id:n * 10 + 2], 1800000000000000 + n, 1804000000000000, 1804100000000000, 0 FROM n",
    "INSERT INTO cabinet_sightings (domain_id, run) SELECT [id:n], 1800000000000000 FROM n",
];

/// The statement for `domains` domains in the dialect of the database.
fn statement(template: &str, domains: usize, is_sqlite: bool) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, tail) = after.split_once(']').unwrap();
        let made = match inside.split_once(':') {
            Some(("id", number)) if is_sqlite => {
                format!("printf('01890000-0000-7000-8000-%012x', {number})")
            }
            Some(("id", number)) => {
                format!("('01890000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))")
            }
            Some(("bytes", length)) if is_sqlite => {
                format!("substr(hex(randomblob({length})), 1, {length})")
            }
            Some(("blob", length)) if is_sqlite => format!("randomblob({length})"),
            // Each row has other texts: the expression depends on it.
            Some(("bytes", length)) => format!(
                "(SELECT substr(string_agg(md5(random()::text || n || part), ''), 1, {length}) \
                 FROM generate_series(0, {length} / 32) AS part)"
            ),
            Some(("blob", length)) => format!(
                "(SELECT substr(decode(string_agg(md5(random()::text || n || part), ''), 'hex'), 1, {length}) \
                 FROM generate_series(0, {length} / 16) AS part)"
            ),
            _ if inside == "empty" && is_sqlite => "x''".to_owned(),
            _ => "''::bytea".to_owned(),
        };
        text.extend([before, &made]);
        rest = tail;
    }
    text.push_str(rest);
    let count = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {domains}) SELECT"
    );
    text.replacen(" SELECT ", &format!(" {count} "), 1)
}

async fn measure(url: &str, name: &str, domains: usize) {
    let options = StoreOptions::new(Arc::new(Still), Arc::new(Still));
    let store = Store::connect(url, options).await.unwrap();
    store.migrate().await.unwrap();
    let is_sqlite = url.starts_with("sqlite");
    for template in FILL {
        let text = AssertSqlSafe(statement(template, domains, is_sqlite));
        if is_sqlite {
            let pool = SqlitePool::connect(url).await.unwrap();
            pool.execute(text).await.unwrap();
            pool.close().await;
        } else {
            let pool = PgPool::connect(url).await.unwrap();
            pool.execute(text).await.unwrap();
            pool.close().await;
        }
    }
    let size = store.size().await.unwrap();
    println!("\n{name}, {domains} domains, by {}", size.measured_by);
    let mut total = 0;
    for one in size.growth(&Retention::default(), StoreOptions::EVENTS_PER_DOMAIN) {
        let now = one.now;
        total += now.bytes;
        let (each, row) = (now.bytes / domains as u64, now.bytes / now.rows.max(1));
        let (table, rows) = (now.table, now.rows);
        println!("  {table:20} {rows:>9} rows {row:>6} bytes per row {each:>6} bytes per domain");
    }
    println!("  {total} bytes, {} per domain", total / domains as u64);
    store.close().await;
}

fn main() {
    let domains = std::env::var("DPS_BENCH_ROWS").map_or(DOMAINS, |rows| rows.parse().unwrap());
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
