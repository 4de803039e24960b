//! The deletion of rows that no step needs any more, in batches.
//!
//! Each statement reads a range of an index and touches at most one batch of rows. Rows that
//! another transaction has locked are left to the next pass. A row that a record's phase names is
//! never touched: the phase is stored as text and holds the identifier.

use async_trait::async_trait;
use dps_application::ports::store::{PruneBatch, PruneStore, Pruned, StoreError};
use dps_domain::retention::{Prunable, Retention};
use dps_domain::{ActionId, Phase, Timestamp};

use crate::connect::Store;
use crate::json::to_json;
use crate::sql::{Arg, Database, Sql, args, statements};

/// Follows every identifier and precedes none.
const AFTER_ALL: &str = "~";

/// A statement whose subquery locks its rows on PostgreSQL and passes over locked ones.
macro_rules! skipping_locked {
    ($head:literal, $lock:literal, $tail:literal) => {
        Sql::each(
            concat!($head, " ", $lock, " SKIP LOCKED", $tail),
            concat!($head, $tail),
        )
    };
}

statements! {
    HISTORY = skipping_locked!(
        "DELETE FROM domain_events WHERE (domain_id, seq) IN (SELECT domain_id, seq FROM domain_events \
         WHERE at < $1 ORDER BY at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    BUCKETS = skipping_locked!(
        "DELETE FROM rate_limit_buckets WHERE bucket IN (SELECT bucket FROM rate_limit_buckets \
         WHERE full_at <= $1 AND parked_until <= $1 ORDER BY full_at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    SLOTS = skipping_locked!(
        "DELETE FROM rate_limit_slots WHERE (domain_id, bucket) IN (SELECT domain_id, bucket \
         FROM rate_limit_slots WHERE slot_at <= $1 ORDER BY slot_at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    OPEN_ORDERS_PAGE = Sql::both(
        "SELECT MAX(domain_id) AS last, COUNT(*) AS count FROM (SELECT domain_id FROM acme_orders \
         WHERE open AND domain_id > $1 ORDER BY domain_id LIMIT $2) AS page",
    );
    OPEN_ORDERS = Sql::both(
        "UPDATE acme_orders SET open = FALSE, ended_at = created_at WHERE open AND domain_id > $1 AND domain_id <= $2 \
         AND created_at <= $3 AND EXISTS (SELECT 1 FROM custom_domains WHERE custom_domains.id = domain_id \
         AND phase IN ($4, $5))",
    );
    /// The last row of a page, and the number of rows on it.
    CHALLENGES_PAGE = Sql::both(
        "SELECT MAX(order_id) AS last, COUNT(*) AS count FROM (SELECT order_id FROM acme_challenges \
         WHERE order_id > $1 ORDER BY order_id LIMIT $2) AS page",
    );
    CHALLENGES = Sql::both(
        "DELETE FROM acme_challenges WHERE order_id > $1 AND order_id <= $2 AND EXISTS (SELECT 1 \
         FROM acme_orders WHERE id = order_id AND NOT open AND created_at <= $3)",
    );
    ORDER_KEYS = skipping_locked!(
        "UPDATE acme_orders SET key_sealed = NULL WHERE id IN (SELECT old.id FROM acme_orders AS old \
         JOIN custom_domains AS record ON record.id = old.domain_id \
         WHERE old.ended_at <= $1 AND old.key_sealed IS NOT NULL AND NOT old.open \
         AND record.phase NOT LIKE '%' || old.id || '%' ORDER BY old.ended_at LIMIT $2",
        "FOR UPDATE OF old",
        ")"
    );
    ENDED_KEYS = skipping_locked!(
        "UPDATE certificates SET key_sealed = $3, superseded_at = NULL WHERE id IN (\
         SELECT old.id FROM certificates AS old JOIN custom_domains AS record ON record.id = old.domain_id \
         WHERE old.superseded_at IS NOT NULL AND old.not_after <= $1 \
         AND record.phase NOT LIKE '%' || old.id || '%' ORDER BY old.not_after LIMIT $2",
        "FOR UPDATE OF old",
        ")"
    );
    /// The last row of a page, if the page is full.
    SUPERSEDED_KEYS_PAGE = Sql::both(
        "SELECT superseded_at, id FROM certificates WHERE superseded_at <= $1 AND (superseded_at, id) > ($2, $3) \
         ORDER BY superseded_at, id LIMIT 1 OFFSET $4",
    );
    SUPERSEDED_KEYS = skipping_locked!(
        "UPDATE certificates SET key_sealed = $6, superseded_at = NULL WHERE id IN (\
         SELECT old.id FROM certificates AS old JOIN custom_domains AS record ON record.id = old.domain_id \
         WHERE old.superseded_at <= $3 AND (old.superseded_at, old.id) > ($1, $2) \
         AND (old.superseded_at, old.id) <= ($3, $4) \
         AND record.phase NOT LIKE '%' || old.id || '%' \
         AND (record.serving_certificate_id IS NULL OR NOT EXISTS (SELECT 1 FROM edges \
         WHERE approved_at IS NOT NULL AND listed_at >= $5 \
         AND (unreachable_since IS NULL OR unreachable_since >= $5) \
         AND NOT EXISTS (SELECT 1 FROM edge_deployments AS held \
         WHERE held.domain_id = old.domain_id AND held.edge = edges.name \
         AND (held.generation > old.generation OR held.certificate_id = record.serving_certificate_id))))",
        "FOR UPDATE OF old",
        ")"
    );
    CERTIFICATES = skipping_locked!(
        "DELETE FROM certificates WHERE id IN (\
         SELECT old.id FROM certificates AS old JOIN custom_domains AS record ON record.id = old.domain_id \
         WHERE old.retired_at <= $1 AND old.superseded_at IS NULL AND old.revocation_due_at IS NULL \
         AND record.phase NOT LIKE '%' || old.id || '%' ORDER BY old.retired_at LIMIT $2",
        "FOR UPDATE OF old",
        ")"
    );
    WEBHOOKS = skipping_locked!(
        "DELETE FROM webhook_deliveries WHERE id IN (\
         SELECT id FROM webhook_deliveries WHERE created_at < $1 AND state IN ('delivered', 'failed') ORDER BY created_at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    ORDERS = skipping_locked!(
        "DELETE FROM acme_orders WHERE id IN (SELECT old.id FROM acme_orders AS old \
         JOIN custom_domains AS record ON record.id = old.domain_id \
         WHERE old.ended_at <= $1 AND NOT old.open \
         AND NOT EXISTS (SELECT 1 FROM certificates WHERE order_id = old.id) \
         AND record.phase NOT LIKE '%' || old.id || '%' ORDER BY old.ended_at LIMIT $2",
        "FOR UPDATE OF old",
        ")"
    );
    FLEET_COUNTS = skipping_locked!(
        "DELETE FROM fleet_counts WHERE (hour, status, actor, failure_code) IN (\
         SELECT hour, status, actor, failure_code FROM fleet_counts WHERE hour < $1 ORDER BY hour LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    TARGETS = skipping_locked!(
        "DELETE FROM target_tenants WHERE target IN (\
         SELECT target FROM target_tenants WHERE noted_at <= $1 ORDER BY noted_at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    ACTIONS = skipping_locked!(
        "DELETE FROM operator_actions WHERE id IN (\
         SELECT id FROM operator_actions WHERE id < $1 ORDER BY id LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    IDEMPOTENCY_KEYS = skipping_locked!(
        "DELETE FROM idempotency_keys WHERE (holder, idempotency_key) IN (SELECT holder, idempotency_key \
         FROM idempotency_keys WHERE begun_at <= $1 ORDER BY begun_at LIMIT $2",
        "FOR UPDATE",
        ")"
    );
    JOBS = skipping_locked!(
        "DELETE FROM operator_jobs WHERE id IN (\
         SELECT id FROM operator_jobs WHERE id < $1 AND state <> 'running' ORDER BY id LIMIT $2",
        "FOR UPDATE",
        ")"
    );
}

#[async_trait]
impl PruneStore for Store {
    async fn prune(&self, batch: &PruneBatch<'_>) -> Result<Pruned, StoreError> {
        let until = batch.retention.cutoff(batch.kind, batch.now);
        let erased: &[u8] = &[];
        let (sql, args) = match batch.kind {
            Prunable::OpenOrder => return open_orders(&self.database, batch, until).await,
            Prunable::Challenge => return challenges(&self.database, batch, until).await,
            Prunable::SupersededKey => return superseded_keys(&self.database, batch, until).await,
            Prunable::EndedKey => (ENDED_KEYS, args![until, batch.limit, erased]),
            Prunable::HistoryLine => (HISTORY, args![until, batch.limit]),
            Prunable::Bucket => (BUCKETS, args![until, batch.limit]),
            Prunable::Slot => (SLOTS, args![until, batch.limit]),
            Prunable::OrderKey => (ORDER_KEYS, args![until, batch.limit]),
            Prunable::Certificate => (CERTIFICATES, args![until, batch.limit]),
            Prunable::Order => (ORDERS, args![until, batch.limit]),
            Prunable::IdempotencyKey => (IDEMPOTENCY_KEYS, args![until, batch.limit]),
            Prunable::Target => (TARGETS, args![until, batch.limit]),
            Prunable::FleetCount => (FLEET_COUNTS, args![until, batch.limit]),
            Prunable::WebhookDelivery => (WEBHOOKS, args![until, batch.limit]),
            // Identifiers of both are in the order of time.
            Prunable::Action => (ACTIONS, args![first_id(until), batch.limit]),
            Prunable::Job => (JOBS, args![first_id(until), batch.limit]),
        };
        let rows = execute(&self.database, sql, args).await?;
        // All that can go are at the head of their index, so a full batch is followed by another.
        let next = (rows >= u64::from(batch.limit)).then(String::new);
        Ok(Pruned { rows, next })
    }
}

/// The first identifier of a time.
fn first_id(at: Timestamp) -> String {
    ActionId::new(at, [0; 10]).to_string()
}

async fn execute(database: &Database, sql: Sql, args: Vec<Arg>) -> Result<u64, StoreError> {
    let mut session = database.write("delete old rows").await?;
    let rows = session.execute(sql, args).await?;
    session.commit().await?;
    Ok(rows)
}

/// One page of all open orders: they have no index by age, and there are few.
async fn open_orders(
    database: &Database,
    batch: &PruneBatch<'_>,
    until: Timestamp,
) -> Result<Pruned, StoreError> {
    let Some(page) = page(database, OPEN_ORDERS_PAGE, batch).await? else {
        return Ok(Pruned::default());
    };
    let [failed, gone] = [&Phase::Failed, &Phase::Gone].map(to_json);
    let args = args![page.after, page.last.as_str(), until, failed, gone];
    let rows = execute(database, OPEN_ORDERS, args).await?;
    Ok(page.pruned(rows))
}

/// One page of all challenges: they have no index by age, and there are few.
async fn challenges(
    database: &Database,
    batch: &PruneBatch<'_>,
    until: Timestamp,
) -> Result<Pruned, StoreError> {
    let Some(page) = page(database, CHALLENGES_PAGE, batch).await? else {
        return Ok(Pruned::default());
    };
    let args = args![page.after, page.last.as_str(), until];
    let rows = execute(database, CHALLENGES, args).await?;
    Ok(page.pruned(rows))
}

/// A page of rows that are read in the order of their keys.
struct Page<'a> {
    after: &'a str,
    last: String,
    is_full: bool,
}

impl Page<'_> {
    fn pruned(self, rows: u64) -> Pruned {
        let next = self.is_full.then_some(self.last);
        Pruned { rows, next }
    }
}

/// The page that a batch is to read; `None` if there is no row.
async fn page<'a>(
    database: &Database,
    sql: Sql,
    batch: &PruneBatch<'a>,
) -> Result<Option<Page<'a>>, StoreError> {
    let after = batch.after.unwrap_or_default();
    let mut session = database.read("read a page of rows").await?;
    let row = session.fetch(sql, args![after, batch.limit]).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let fields = row.fields("acme_orders", "last");
    let (last, count): (Option<String>, u64) = (fields.get("last")?, fields.count("count")?);
    let is_full = count >= u64::from(batch.limit);
    Ok(last.map(|last| Page {
        after,
        last,
        is_full,
    }))
}

/// One page of the keys whose rollback is over. Those that a live edge still needs stay and are
/// passed over, however many they are.
async fn superseded_keys(
    database: &Database,
    batch: &PruneBatch<'_>,
    until: Timestamp,
) -> Result<Pruned, StoreError> {
    let (after_at, after_id) = place(batch.after);
    let mut session = database.read("read a page of superseded keys").await?;
    let last = batch.limit.saturating_sub(1);
    let row = session
        .fetch(SUPERSEDED_KEYS_PAGE, args![until, after_at, after_id, last])
        .await?;
    drop(session);
    let end: Option<(Timestamp, String)> = row
        .map(|row| {
            let fields = row.fields("certificates", "id");
            Ok::<_, StoreError>((fields.at("superseded_at")?, fields.get("id")?))
        })
        .transpose()?;
    let next = end
        .as_ref()
        .map(|(at, id)| format!("{}/{id}", at.unix_micros()));
    let (end_at, end_id) = end.unwrap_or_else(|| (until, AFTER_ALL.to_owned()));
    let erased: &[u8] = &[];
    let args = args![
        after_at,
        after_id,
        end_at,
        end_id,
        Retention::edge_cutoff(batch.now),
        erased,
    ];
    let rows = execute(database, SUPERSEDED_KEYS, args).await?;
    Ok(Pruned { rows, next })
}

/// The place after which a page begins; that of a text which is none is the beginning.
fn place(after: Option<&str>) -> (Timestamp, &str) {
    let parsed = after.and_then(|after| {
        let (micros, id) = after.split_once('/')?;
        Some((Timestamp::from_unix_micros(micros.parse().ok()?), id))
    });
    parsed.unwrap_or((Timestamp::EPOCH, ""))
}
