//! The version of a domain that the Cabinet has, as a report or its refusal returns it.

use dps_application::ports::store::StoreError;
use dps_domain::DomainId;

use crate::sql::{Session, Sql, args, statements};

statements! {
    RAISE_CABINET_VERSION = Sql::both(
        "UPDATE custom_domains SET revision = revision + 1, \
         cabinet_version = CASE WHEN cabinet_version > $2 THEN cabinet_version ELSE $2 END WHERE id = $1",
    );
    SET_CABINET_VERSION = Sql::both(
        "UPDATE custom_domains SET revision = revision + 1, cabinet_version = $2 WHERE id = $1",
    );
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
