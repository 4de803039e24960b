//! The account at the CA.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dps_admin_api::CaAccount;

use super::App;
use super::problem::{ReadRefusals, Refusal};
use crate::documents;

/// Shows the account at the configured CA, without its key.
#[utoipa::path(get, path = "/admin/v1/ca/account", tag = "viewer", operation_id = "showCaAccount",
    security(("token" = [])),
    responses((status = 200, description = "The account.", body = CaAccount), ReadRefusals))]
pub(super) async fn account(State(app): State<Arc<App>>) -> Result<Json<CaAccount>, Refusal> {
    let (store, ca) = (app.store.as_ref(), &app.settings.lets_encrypt);
    let identities = app.process.ca.caa_identities();
    Ok(Json(
        documents::account(store, ca, app.now(), identities).await?,
    ))
}
