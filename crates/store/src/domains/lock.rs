//! The lock of a record's row, for transactions that write rows of other tables about the domain.

use dps_application::ports::store::StoreError;
use dps_domain::{DomainId, LeaseToken};

use super::row::TABLE;
use crate::pauses::pauses_of_record;
use crate::sql::{Row, Session, Sql, args, statements};

statements! {
    LOCK = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1",
    );
    LOCK_LEASED = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2",
    );
    LOCK_TO_ORDER = Sql::each(
        concat!(
            "SELECT record.id AS id, ", pauses_of_record!(), " FROM custom_domains AS record \
             WHERE record.id = $1 AND record.lease_token = $2 FOR UPDATE OF record",
        ),
        concat!(
            "SELECT record.id AS id, ", pauses_of_record!(), " FROM custom_domains AS record \
             WHERE record.id = $1 AND record.lease_token = $2",
        ),
    );
    COUNT_PAUSES = Sql::both(concat!(
        "SELECT record.id AS id, ", pauses_of_record!(), " FROM custom_domains AS record WHERE record.id = $1",
    ));
}

/// Whether an order may be placed for a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuing {
    Allowed,
    Paused,
}

fn issuing(row: &Row) -> Result<Issuing, StoreError> {
    let pauses: u64 = row.fields(TABLE, "id").count("pauses")?;
    Ok(if pauses > 0 {
        Issuing::Paused
    } else {
        Issuing::Allowed
    })
}

/// As [`lock_leased_in_tx`]. Returns whether an order may be placed.
pub(crate) async fn lock_to_order_in_tx(
    session: &mut Session,
    id: DomainId,
    token: LeaseToken,
) -> Result<Issuing, StoreError> {
    let row = session.fetch(LOCK_TO_ORDER, args![id, token]).await?;
    issuing(&row.ok_or(StoreError::LeaseLost)?)
}

/// Returns whether an order may be placed, without a lock.
pub(crate) async fn may_order(session: &mut Session, id: DomainId) -> Result<Issuing, StoreError> {
    let row = session.fetch(COUNT_PAUSES, args![id]).await?;
    row.map_or(Ok(Issuing::Allowed), |row| issuing(&row))
}

/// Makes other transactions that write about the domain wait for this one, so that what they count
/// is complete.
pub(crate) async fn lock_in_tx(session: &mut Session, id: DomainId) -> Result<(), StoreError> {
    session.fetch(LOCK, args![id]).await.map(drop)
}

/// The same for the holder of the lease; `LeaseLost` for anybody else.
pub(crate) async fn lock_leased_in_tx(
    session: &mut Session,
    id: DomainId,
    token: LeaseToken,
) -> Result<(), StoreError> {
    let row = session.fetch(LOCK_LEASED, args![id, token]).await?;
    row.map(drop).ok_or(StoreError::LeaseLost)
}
