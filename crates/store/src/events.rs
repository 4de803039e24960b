//! The history of each domain, bounded in number per domain and in age.

use std::time::Duration;

use dps_application::ports::store::{DomainEvent, StoreError};
use dps_domain::bounds;
use dps_domain::{DomainId, EventKind};
use serde_json::Value;

use crate::json::to_json;
use crate::sql::{Database, Row, Session, Sql, args, statements};

const TABLE: &str = "domain_events";

statements! {
    INSERT = Sql::both(
        "INSERT INTO domain_events (domain_id, seq, at, kind, phase, detail, duration_micros, replica) \
         SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6, $7 FROM domain_events WHERE domain_id = $1 \
         RETURNING domain_id, seq",
    );
    /// Replaces the newest line if it is of the same kind.
    REPLACE = Sql::both(
        "UPDATE domain_events SET at = $2, phase = $4, detail = $5, duration_micros = $6, replica = $7 \
         WHERE domain_id = $1 AND kind = $3 \
         AND seq = (SELECT MAX(newest.seq) FROM domain_events AS newest WHERE newest.domain_id = $1)",
    );
    PRUNE = Sql::both("DELETE FROM domain_events WHERE domain_id = $1 AND seq <= $2");
    NEWEST = Sql::both(
        "SELECT domain_id, at, kind, phase, detail, duration_micros, replica FROM domain_events WHERE domain_id = $1 \
         ORDER BY seq DESC LIMIT $2",
    );
}

/// Adds a line and drops the oldest beyond the bound. The caller has written the domain's row in
/// the same transaction, so no other process counts at the same time.
pub(crate) async fn append_in_tx(
    session: &mut Session,
    domain: DomainId,
    event: &DomainEvent,
    kept: u32,
) -> Result<(), StoreError> {
    let event = bounds::event(event);
    let micros = event
        .duration
        .map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    let line = || {
        args![
            domain,
            event.at,
            event.kind.to_string(),
            event.phase.as_str(),
            to_json(&event.detail),
            micros,
            event.replica.as_str(),
        ]
    };
    if event.replaces_its_like() && session.execute(REPLACE, line()).await? > 0 {
        return Ok(());
    }
    let Some(row) = session.fetch(INSERT, line()).await? else {
        return Ok(());
    };
    let seq: i64 = row.fields(TABLE, "domain_id").get("seq")?;
    let surplus = seq - i64::from(kept);
    if surplus > 0 {
        session.execute(PRUNE, args![domain, surplus]).await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<DomainEvent, StoreError> {
    let fields = row.fields(TABLE, "domain_id");
    let micros: Option<i64> = fields.get("duration_micros")?;
    let kind: String = fields.get("kind")?;
    let mut detail: Value = fields.json("detail")?;
    let kind = kind.parse().unwrap_or_else(|_| {
        // A newer version wrote the line. It is shown as it is.
        if let Value::Object(members) = &mut detail {
            members.insert("kind".to_owned(), kind.into());
        }
        EventKind::Unknown
    });
    Ok(DomainEvent {
        at: fields.at("at")?,
        kind,
        phase: fields.get("phase")?,
        detail,
        duration: micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
        replica: fields.get("replica")?,
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
