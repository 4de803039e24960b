//! Work records: reading, inserting and writing them. Leases are in [`lease`].

mod accompany;
pub(crate) mod cabinet_version;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod put_off;
pub(crate) mod row;

use dps_application::ports::store::{Claimants, DomainRecord, RecordWrite, StoreError};
use dps_domain::{ActionId, DomainId, Hostname, Issuance, Phase, Timestamp};

use self::accompany::accompany_in_tx;
use self::row::{Rules, TABLE, assignments, columns, queue, read, record_args, state_assignments};
use crate::json::to_json;
use crate::sql::{Database, Sql, args, statements};
use crate::{actions, revocations};

/// Whether an update may keep a running lease: the record is at the CA (`$28`), and phase and
/// target stay the same. Otherwise a second worker would place a second order.
macro_rules! keeps_lease {
    () => {
        "$28 AND phase = $6 AND cname_target = $5"
    };
}

statements! {
    INSERT = Sql::both(concat!(
        "INSERT INTO custom_domains (id, cabinet_version, tenant_id, status, cname_target, phase, lane, attempt, \
         next_attempt_at, pending_since, failed_validations, order_not_before, last_failure, serving_not_after, \
         updated_at, tenant_shard, urgent_from, serving_certificate_id, lost_orders, moved_away_since, ownership, failure_code, actor, hostname_reversed, revocation, \
         hostname, created_at, status_since, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, ", queue!("$3"), ", $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26, $27, $15, 1) \
         ON CONFLICT (id) DO NOTHING",
    ));
    SELECT = Sql::both(concat!("SELECT ", columns!(), " FROM custom_domains WHERE id = $1"));
    /// In the order of [`NameHold`](dps_application::ports::store::NameHold), which the contract's
    /// stories compare with what this answers.
    SELECT_BY_HOSTNAME = Sql::both(concat!(
        "SELECT ", columns!(), " FROM custom_domains WHERE hostname = $1 AND ($6 = '' OR CASE WHEN tenant_id = $6 THEN 1 ELSE 0 END = $7) \
         ORDER BY CASE WHEN substr(phase, 1, 9) = '{\"live\":{' THEN -1 WHEN phase = $2 THEN 4 WHEN phase = $4 THEN 1 WHEN phase <> $3 THEN 0 WHEN last_failure LIKE '{\"code\":\"NAME%' OR last_failure LIKE '{\"code\":\"TARGET_NOT_ALLOWED\"%' \
         OR last_failure LIKE '{\"code\":\"DNS_MOVED\"%' THEN 3 ELSE 2 END, created_at DESC, id DESC LIMIT $5",
    ));
    UPDATE = Sql::both(concat!(
        "UPDATE custom_domains SET tenant_id = $3, hostname = $26, cabinet_version = $27, ",
        state_assignments!(), ", ", assignments!(), ", lease_token = CASE WHEN ", keeps_lease!(), " THEN lease_token END, \
         lease_expires_at = CASE WHEN ", keeps_lease!(), " THEN lease_expires_at END \
         WHERE id = $1 AND revision = $2",
    ));
    /// Domains that moved away are served until their certificate ends, and no customer waits for a
    /// new one.
    SOONEST_EXPIRY = Sql::both(
        "SELECT MIN(serving_not_after) AS at FROM custom_domains \
         WHERE moved_away_since IS NULL AND serving_not_after IS NOT NULL",
    );
}

/// Inserts what is new, in one transaction; returns for each whether it was.
pub(crate) async fn insert_all(
    database: &Database,
    writes: &[RecordWrite],
    rules: Rules<'_>,
) -> Result<Vec<bool>, StoreError> {
    let mut session = database.write("insert domains").await?;
    let mut inserted = Vec::with_capacity(writes.len());
    for write in writes {
        let mut args = record_args(write.record(), write.record().cabinet_version, rules);
        args.extend(args![&write.record().hostname, write.record().created_at]);
        let new = session.execute(INSERT, args).await? > 0;
        if new {
            let holds_tokens = false;
            accompany_in_tx(&mut session, write, holds_tokens, rules).await?;
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
    whose: Claimants<'_>,
    limit: u32,
) -> Result<Vec<DomainRecord>, StoreError> {
    let mut session = database.read("find a hostname").await?;
    let [gone, failed, leaving] = [&Phase::Gone, &Phase::Failed, &Phase::Leaving].map(to_json);
    let (tenant, is_own): (&str, u32) = match whose {
        Claimants::All => ("", 0),
        Claimants::Tenant(tenant) => (tenant, 1),
        Claimants::Others(tenant) => (tenant, 0),
    };
    let args = args![hostname, gone, failed, leaving, limit, tenant, is_own];
    let rows = session.fetch_all(SELECT_BY_HOSTNAME, args).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn update(
    database: &Database,
    write: &RecordWrite,
    action_id: ActionId,
    rules: Rules<'_>,
) -> Result<bool, StoreError> {
    let mut session = database.write("write a domain").await?;
    let mut args = record_args(write.record(), write.record().revision, rules);
    args.extend(args![
        &write.record().hostname,
        write.record().cabinet_version
    ]);
    let at_the_ca = write
        .record()
        .phase
        .issuance()
        .is_some_and(Issuance::is_at_ca);
    args.push(at_the_ca.into());
    if session.execute(UPDATE, args).await? == 0 {
        return Ok(false);
    }
    // A step may be under way and take a token while the statement waits for the row.
    let may_hold_tokens = true;
    accompany_in_tx(&mut session, write, may_hold_tokens, rules).await?;
    if let Some(revocation) = &write.revocation
        && !revocations::write_in_tx(&mut session, revocation).await?
    {
        return Ok(false);
    }
    if let Some(action) = &write.action {
        actions::insert_in_tx(&mut session, action_id, action).await?;
    }
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
