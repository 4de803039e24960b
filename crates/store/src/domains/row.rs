//! The row of a work record: its columns, and how they are read and written.

use dps_application::ports::store::{DomainRecord, StoreError};
use dps_domain::bounds;
use dps_domain::lane::Lane;
use dps_domain::shard::ShardKey;
use dps_domain::webhook::WebhookReceiver;
use dps_domain::{DomainState, OrderGate, Ownership, Timestamp};

use crate::json::to_json;
use crate::sql::{Arg, Row, args};

pub(crate) const TABLE: &str = "custom_domains";

/// The columns of a [`DomainRecord`].
macro_rules! columns {
    () => {
        "id, tenant_id, hostname, cname_target, phase, attempt, next_attempt_at, pending_since, \
         failed_validations, lost_orders, order_not_before, urgent_from, last_failure, ownership, revocation, cabinet_version, revision, \
         created_at, updated_at"
    };
}
pub(crate) use columns;

/// The queue of the record `$1` in its lane `$7`: that of the shard `$16`. It is the shard's second
/// queue if the tenant has [`FEW`](dps_domain::shard::FEW) other records in the lane.
///
/// A write names the tenant by its row's column. For a parameter, PostgreSQL expects to find the
/// others of a large tenant sooner, and would plan each write of such a tenant anew.
macro_rules! queue {
    ($tenant:literal) => {
        concat!(
            "CAST($16 AS BIGINT) + CASE WHEN EXISTS (SELECT 1 FROM custom_domains AS other \
             WHERE other.lane IN ('verification', 'http_probe', 'retry', 'chronic', 'issuance', 'order_queue') \
             AND other.lane = $7 AND other.tenant_id = ", $tenant, " AND other.id <> $1 LIMIT 1 OFFSET 15) THEN 64 ELSE 0 END"
        )
    };
}
pub(crate) use queue;

/// The columns that every write of a whole record sets, but for its state, from `$3` to `$25`. A
/// record of a first queue stays there while it stays in its lane. It is one of at most
/// [`FEW`](dps_domain::shard::FEW), so the others are not counted again.
///
/// The hostname and the tenant are not among them, since no step changes them. SQLite writes the
/// indexes of every column that is set, also to the same value.
macro_rules! assignments {
    () => {
        concat!(
            "cname_target = $5, phase = $6, lane = $7, attempt = $8, \
         next_attempt_at = $9, pending_since = $10, failed_validations = $11, order_not_before = $12, \
         last_failure = $13, serving_not_after = $14, updated_at = $15, urgent_from = $17, \
         serving_certificate_id = $18, lost_orders = $19, moved_away_since = $20, ownership = $21, revocation = $25, revision = revision + 1, \
         tenant_shard = CASE WHEN tenant_shard < 64 AND lane = $7 AND tenant_id = $3 THEN CAST($16 AS BIGINT) ELSE ",
            crate::domains::row::queue!("custom_domains.tenant_id"),
            " END",
        )
    };
}
pub(crate) use assignments;

/// The columns that lists and counts need, from `$4` and `$22` to `$24`. A statement that sets them
/// runs a trigger.
macro_rules! state_assignments {
    () => {
        "status = $4, status_since = CASE WHEN status = $4 THEN status_since ELSE $15 END, \
         failure_code = $22, actor = $23, hostname_reversed = $24"
    };
}
pub(crate) use state_assignments;

/// Whether the row has the values of `state_assignments` already.
macro_rules! has_state {
    () => {
        "status = $4 AND failure_code = $22 AND actor = $23 AND hostname_reversed = $24"
    };
}
pub(crate) use has_state;

/// The number of tokens of the CA's limits that the domain `$1` holds.
macro_rules! tokens_held {
    () => {
        "(SELECT COUNT(*) FROM rate_limit_slots WHERE domain_id = $1) AS tokens_held"
    };
}
pub(crate) use tokens_held;

/// Whether a written row says that its domain holds tokens.
pub(super) fn holds_tokens(written: &Row) -> Result<bool, StoreError> {
    let held: u32 = written.fields(TABLE, "id").count("tokens_held")?;
    Ok(held > 0)
}

/// Settings of every write of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Lines that are kept of each history.
    pub(crate) kept: u32,
    pub(crate) shard_key: ShardKey,
    /// The receivers of events.
    pub(crate) webhooks: &'a [WebhookReceiver],
}

/// `$1` and `$2` are the id and what guards the write; the others are common to all writes. The
/// hostname is not among them.
pub(super) fn record_args(
    record: &DomainRecord,
    guard: impl Into<Arg>,
    rules: Rules<'_>,
) -> Vec<Arg> {
    let state = DomainState::of(record);
    let serving_not_after = record
        .phase
        .serving()
        .and_then(|_| record.phase.certificate_not_after());
    args![
        record.id,
        guard.into(),
        record.tenant_id.as_str(),
        state.status.as_str(),
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
        ownership(&record.ownership),
        state.code_text(),
        state.actor_text(),
        record.hostname.reversed(),
        record.revocation.as_ref().map(to_json),
    ]
}

/// The column of an ownership: `NULL` while it is open, as it is for most domains on their way.
fn ownership(ownership: &Ownership) -> Option<String> {
    (*ownership != Ownership::Open).then(|| to_json(ownership))
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
        ownership: fields.json_if_any("ownership")?.unwrap_or_default(),
        revocation: fields.json_if_any("revocation")?,
        cabinet_version: fields.count("cabinet_version")?,
        revision: fields.get("revision")?,
        created_at: fields.at("created_at")?,
        updated_at: fields.at("updated_at")?,
    })
}
