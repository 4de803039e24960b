//! Work records: reading, inserting and writing them. Leases are in [`lease`].

pub(crate) mod lease;
pub(crate) mod park;

use dps_application::ports::store::{DomainFilter, DomainRecord, RecordWrite, StoreError};
use dps_domain::bounds;
use dps_domain::lane::Lane;
use dps_domain::phase::Next;
use dps_domain::shard::ShardKey;
use dps_domain::{DomainId, Hostname, Issuance, OrderGate, Phase, Timestamp};

use crate::json::to_json;
use crate::sql::{Arg, Database, Row, Session, Sql, args, statements};
use crate::{events, ledger, outbox, renewal_info};

pub(crate) const TABLE: &str = "custom_domains";

/// The columns of a [`DomainRecord`].
macro_rules! columns {
    () => {
        "id, tenant_id, hostname, cname_target, phase, attempt, next_attempt_at, pending_since, \
         failed_validations, lost_orders, order_not_before, urgent_from, last_failure, cabinet_version, revision, \
         created_at, updated_at"
    };
}
pub(crate) use columns;

/// The queue of the record `$1` in its lane `$7`: that of the shard `$16`. It is the shard's second
/// queue if the tenant `$3` has [`FEW`](dps_domain::shard::FEW) other records in the lane.
macro_rules! queue {
    () => {
        "CAST($16 AS BIGINT) + CASE WHEN (SELECT COUNT(*) FROM (SELECT other.id FROM custom_domains AS other \
         WHERE other.lane IN ('verification', 'http_probe', 'retry', 'chronic', 'issuance', 'order_queue') \
         AND other.lane = $7 AND other.tenant_id = $3 AND other.id <> $1 LIMIT 16) AS crowd) >= 16 THEN 64 ELSE 0 END"
    };
}
pub(crate) use queue;

/// The columns that every write of a whole record sets, from `$3` to `$20`.
macro_rules! assignments {
    () => {
        concat!(
            "tenant_id = $3, hostname = $4, cname_target = $5, phase = $6, lane = $7, attempt = $8, \
         next_attempt_at = $9, pending_since = $10, failed_validations = $11, order_not_before = $12, \
         last_failure = $13, serving_not_after = $14, updated_at = $15, urgent_from = $17, \
         serving_certificate_id = $18, lost_orders = $19, moved_away_since = $20, revision = revision + 1, tenant_shard = ",
            queue!(),
        )
    };
}

pub(crate) use assignments;

/// Whether an update may keep a running lease: the record is at the CA (`$22`), and phase and
/// target stay the same. Otherwise a second worker would place a second order.
macro_rules! keeps_lease {
    () => {
        "$22 AND phase = $6 AND cname_target = $5"
    };
}

statements! {
    INSERT = Sql::both(concat!(
        "INSERT INTO custom_domains (id, cabinet_version, tenant_id, hostname, cname_target, phase, lane, attempt, \
         next_attempt_at, pending_since, failed_validations, order_not_before, last_failure, serving_not_after, \
         updated_at, tenant_shard, urgent_from, serving_certificate_id, lost_orders, moved_away_since, created_at, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, ", queue!(), ", $17, $18, $19, $20, $21, 1) \
         ON CONFLICT (id) DO NOTHING",
    ));
    SELECT = Sql::both(concat!("SELECT ", columns!(), " FROM custom_domains WHERE id = $1"));
    /// In the order of [`NameHold`](dps_application::ports::store::NameHold), which the contract's
    /// stories compare with what this answers.
    SELECT_BY_HOSTNAME = Sql::both(concat!(
        "SELECT ", columns!(), " FROM custom_domains WHERE hostname = $1 ORDER BY CASE WHEN phase = $2 THEN 4 \
         WHEN phase = $4 THEN 1 WHEN phase <> $3 THEN 0 WHEN last_failure LIKE '{\"code\":\"NAME%' OR last_failure LIKE '{\"code\":\"TARGET_NOT_ALLOWED\"%' \
         OR last_failure LIKE '{\"code\":\"DNS_MOVED\"%' THEN 3 ELSE 2 END, created_at DESC, id DESC LIMIT 1",
    ));
    SELECT_PAGE = Sql::both(concat!(
        "SELECT ", columns!(), " FROM custom_domains WHERE (hostname, created_at, id) > ($1, $4, $5) \
         AND hostname LIKE $2 ESCAPE '!' ORDER BY hostname, created_at, id LIMIT $3",
    ));
    UPDATE = Sql::both(concat!(
        "UPDATE custom_domains SET cabinet_version = $21, ", assignments!(),
        ", lease_token = CASE WHEN ", keeps_lease!(), " THEN lease_token END, \
         lease_expires_at = CASE WHEN ", keeps_lease!(), " THEN lease_expires_at END \
         WHERE id = $1 AND revision = $2",
    ));
    COMPLETE = Sql::both(concat!(
        "UPDATE custom_domains SET ", assignments!(), ", lease_token = NULL, lease_expires_at = NULL \
         WHERE id = $1 AND lease_token = $2",
    ));
    LOCK = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1",
    );
    RAISE_CABINET_VERSION = Sql::both(
        "UPDATE custom_domains SET revision = revision + 1, \
         cabinet_version = CASE WHEN cabinet_version > $2 THEN cabinet_version ELSE $2 END WHERE id = $1",
    );
    SET_CABINET_VERSION = Sql::both(
        "UPDATE custom_domains SET revision = revision + 1, cabinet_version = $2 WHERE id = $1",
    );
    /// Domains that moved away are served until their certificate ends, and nobody waits for a new
    /// one.
    SOONEST_EXPIRY = Sql::both(
        "SELECT MIN(serving_not_after) AS at FROM custom_domains WHERE moved_away_since IS NULL",
    );
}

/// Settings of every write of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Lines that are kept of each history.
    pub(crate) kept: u32,
    pub(crate) shard_key: ShardKey,
}

/// `$1` and `$2` are the id and what guards the write; the rest is common to all writes.
fn record_args(record: &DomainRecord, guard: impl Into<Arg>, rules: Rules) -> Vec<Arg> {
    let serving_not_after = record
        .phase
        .serving()
        .and_then(|_| record.phase.certificate_not_after());
    args![
        record.id,
        guard.into(),
        record.tenant_id.as_str(),
        &record.hostname,
        &record.cname_target,
        to_json(&record.phase),
        record.lane().map(Lane::as_str),
        record.attempt,
        record.next_attempt_at,
        record.pending_since,
        record.failed_validations,
        order_not_before(record.order_gate),
        record
            .last_failure
            .as_ref()
            .map(|failure| to_json(&*bounds::failure(failure))),
        serving_not_after,
        record.updated_at,
        rules.shard_key.shard_of(&record.tenant_id),
        record.urgent_from,
        record
            .phase
            .serving()
            .map(|certificate| certificate.to_string()),
        record.lost_orders,
        record.phase.moved_away_since(),
    ]
}

/// The column of a gate: the epoch is open, and the end of time is a pause of the CA.
const fn order_not_before(gate: OrderGate) -> Timestamp {
    match gate {
        OrderGate::Open => Timestamp::EPOCH,
        OrderGate::Until(at) => at,
        OrderGate::PausedByCa => Timestamp::NEVER,
    }
}

/// The gate of a column, as [`order_not_before`] wrote it.
fn order_gate(column: Timestamp) -> OrderGate {
    match column {
        Timestamp::EPOCH => OrderGate::Open,
        Timestamp::NEVER => OrderGate::PausedByCa,
        at => OrderGate::Until(at),
    }
}

pub(crate) fn read(row: &Row) -> Result<DomainRecord, StoreError> {
    let fields = row.fields(TABLE, "id");
    Ok(DomainRecord {
        id: fields.parse("id")?,
        tenant_id: fields.get("tenant_id")?,
        hostname: fields.parse("hostname")?,
        cname_target: fields.parse("cname_target")?,
        phase: fields.json("phase")?,
        attempt: fields.count("attempt")?,
        next_attempt_at: fields.at_if_any("next_attempt_at")?,
        pending_since: fields.at("pending_since")?,
        failed_validations: fields.count("failed_validations")?,
        lost_orders: fields.count("lost_orders")?,
        order_gate: order_gate(fields.at("order_not_before")?),
        urgent_from: fields.at_if_any("urgent_from")?,
        last_failure: fields.json_if_any("last_failure")?,
        cabinet_version: fields.count("cabinet_version")?,
        revision: fields.get("revision")?,
        created_at: fields.at("created_at")?,
        updated_at: fields.at("updated_at")?,
    })
}

/// Writes the event, the ledger's entries, the report and the renewal information of a completion.
async fn accompany_in_tx(
    session: &mut Session,
    completion: &RecordWrite,
    rules: Rules,
) -> Result<(), StoreError> {
    let id = completion.record.id;
    if let Some(event) = &completion.event {
        events::append_in_tx(session, id, event, rules.kept).await?;
    }
    ledger::apply_in_tx(
        session,
        Some(id),
        &completion.ledger,
        completion.record.updated_at,
    )
    .await?;
    if may_have_ended_a_need(completion) {
        ledger::release_in_tx(session, id, completion.record.updated_at).await?;
    }
    if let Some(report) = &completion.report {
        outbox::enqueue_in_tx(session, id, report, completion.record.updated_at).await?;
    }
    renewal_info::accompany_in_tx(session, completion).await
}

/// Whether tokens of the CA's limits that the domain holds are not needed any more. Looks at live
/// domains, which are many, hold none.
fn may_have_ended_a_need(completion: &RecordWrite) -> bool {
    let phase = &completion.record.phase;
    let is_mere_look = completion.renewal_info.is_none()
        && matches!(
            phase,
            Phase::Live {
                next: Next::At(_),
                ..
            }
        );
    !is_mere_look && !phase.issuance().is_some_and(Issuance::holds_tokens)
}

/// Inserts what is new, in one transaction; returns for each whether it was.
pub(crate) async fn insert_all(
    database: &Database,
    completions: &[RecordWrite],
    rules: Rules,
) -> Result<Vec<bool>, StoreError> {
    let mut session = database.write("insert domains").await?;
    let mut inserted = Vec::with_capacity(completions.len());
    for completion in completions {
        let mut args = record_args(&completion.record, completion.record.cabinet_version, rules);
        args.push(completion.record.created_at.into());
        let new = session.execute(INSERT, args).await? > 0;
        if new {
            accompany_in_tx(&mut session, completion, rules).await?;
        }
        inserted.push(new);
    }
    session.commit().await?;
    Ok(inserted)
}

pub(crate) async fn by_id(
    database: &Database,
    id: DomainId,
) -> Result<Option<DomainRecord>, StoreError> {
    let mut session = database.read("read a domain").await?;
    session
        .fetch(SELECT, args![id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn by_hostname(
    database: &Database,
    hostname: &Hostname,
) -> Result<Option<DomainRecord>, StoreError> {
    let mut session = database.read("find a hostname").await?;
    let [gone, failed, leaving] = [&Phase::Gone, &Phase::Failed, &Phase::Leaving].map(to_json);
    let args = args![hostname, gone, failed, leaving];
    session
        .fetch(SELECT_BY_HOSTNAME, args)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn page(
    database: &Database,
    filter: &DomainFilter,
) -> Result<Vec<DomainRecord>, StoreError> {
    let (hostname, created_at, id) = filter.after.as_ref().map_or_else(
        || (String::new(), Timestamp::EPOCH, String::new()),
        |key| (key.hostname.to_string(), key.created_at, key.id.to_string()),
    );
    let pattern = like_pattern(filter.hostname_contains.as_deref().unwrap_or_default());
    let mut session = database.read("list domains").await?;
    let rows = session
        .fetch_all(
            SELECT_PAGE,
            args![hostname, pattern, filter.limit, created_at, id],
        )
        .await?;
    // People look for the others too: one bad row must not hide a page.
    let skip_unreadable = |row: &Row| match read(row) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(%error, "row.unreadable");
            None
        }
    };
    Ok(rows.iter().filter_map(skip_unreadable).collect())
}

/// A LIKE pattern for names that contain `text` literally.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(crate) async fn update(
    database: &Database,
    completion: &RecordWrite,
    rules: Rules,
) -> Result<bool, StoreError> {
    let mut session = database.write("write a domain").await?;
    let mut args = record_args(&completion.record, completion.record.revision, rules);
    args.push(completion.record.cabinet_version.into());
    let at_the_ca = completion
        .record
        .phase
        .issuance()
        .is_some_and(Issuance::is_at_ca);
    args.push(at_the_ca.into());
    if session.execute(UPDATE, args).await? == 0 {
        return Ok(false);
    }
    accompany_in_tx(&mut session, completion, rules).await?;
    session.commit().await?;
    Ok(true)
}

pub(crate) async fn soonest_expiry(database: &Database) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the soonest expiry").await?;
    match session.fetch(SOONEST_EXPIRY, Vec::new()).await? {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

/// Makes other transactions that write about the domain wait for this one, so that what they count
/// is complete.
pub(crate) async fn lock_in_tx(session: &mut Session, id: DomainId) -> Result<(), StoreError> {
    session.fetch(LOCK, args![id]).await.map(drop)
}

/// The Cabinet took a report and has this version now, unless a newer one is known already.
pub(crate) async fn raise_cabinet_version_in_tx(
    session: &mut Session,
    id: DomainId,
    version: u64,
) -> Result<(), StoreError> {
    session
        .execute(RAISE_CABINET_VERSION, args![id, version])
        .await
        .map(drop)
}

/// The Cabinet says that it has this version, older or newer.
pub(crate) async fn set_cabinet_version_in_tx(
    session: &mut Session,
    id: DomainId,
    version: u64,
) -> Result<(), StoreError> {
    session
        .execute(SET_CABINET_VERSION, args![id, version])
        .await
        .map(drop)
}
