//! The history of each domain, bounded per domain.

use std::time::Duration;

use dps_application::ports::store::{DomainEvent, StoreError};
use dps_domain::DomainId;

use crate::database::Database;
use crate::json::to_json;
use crate::row::Row;
use crate::session::Session;
use crate::sql::{Sql, args, statements};

const TABLE: &str = "domain_events";

/// How many events of a domain are kept.
pub(crate) const KEPT_PER_DOMAIN: i64 = 200;

statements! {
    INSERT = Sql::both(
        "INSERT INTO domain_events (domain_id, seq, at, kind, phase, detail, duration_micros) \
         SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6 FROM domain_events WHERE domain_id = $1 \
         RETURNING domain_id, seq",
    );
    PRUNE = Sql::both("DELETE FROM domain_events WHERE domain_id = $1 AND seq <= $2");
    NEWEST = Sql::both(
        "SELECT domain_id, at, kind, phase, detail, duration_micros FROM domain_events WHERE domain_id = $1 \
         ORDER BY seq DESC LIMIT $2",
    );
}

/// Adds a line and drops the oldest beyond the bound. The caller has written the domain's row in the same transaction, so nobody
/// counts at the same time.
pub(crate) async fn append_in_tx(
    session: &mut Session,
    domain: DomainId,
    event: &DomainEvent,
) -> Result<(), StoreError> {
    let micros = event
        .duration
        .map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    let args = args![
        domain,
        event.at,
        event.kind.as_str(),
        event.phase.as_str(),
        to_json(&event.detail),
        micros,
    ];
    let Some(row) = session.fetch(INSERT, args).await? else {
        return Ok(());
    };
    let seq: i64 = row.fields(TABLE, "domain_id").get("seq")?;
    if seq > KEPT_PER_DOMAIN {
        session
            .execute(PRUNE, args![domain, seq - KEPT_PER_DOMAIN])
            .await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<DomainEvent, StoreError> {
    let fields = row.fields(TABLE, "domain_id");
    let micros: Option<i64> = fields.get("duration_micros")?;
    Ok(DomainEvent {
        at: fields.at("at")?,
        kind: fields.get("kind")?,
        phase: fields.get("phase")?,
        detail: fields.json("detail")?,
        duration: micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
    })
}

pub(crate) async fn newest(
    database: &Database,
    domain: DomainId,
    limit: u32,
) -> Result<Vec<DomainEvent>, StoreError> {
    let mut session = database.read("read a domain's history").await?;
    session
        .fetch_all(NEWEST, args![domain, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}
