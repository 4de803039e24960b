//! The lock of a record's row, for transactions that write rows of other tables about the domain.

use dps_application::ports::store::StoreError;
use dps_domain::{DomainId, LeaseToken};

use crate::sql::{Session, Sql, args, statements};

statements! {
    LOCK = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1",
    );
    LOCK_LEASED = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2",
    );
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
