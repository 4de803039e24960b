//! The lock of a record's row, for transactions that write rows of other tables about the domain.

use dps_application::ports::store::StoreError;
use dps_domain::DomainId;

use crate::sql::{Session, Sql, args, statements};

statements! {
    LOCK = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1",
    );
}

/// Makes other transactions that write about the domain wait for this one, so that what they count
/// is complete.
pub(crate) async fn lock_in_tx(session: &mut Session, id: DomainId) -> Result<(), StoreError> {
    session.fetch(LOCK, args![id]).await.map(drop)
}
