//! The account at the CA.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dps_admin_api::{AccountLimit, CaAccount};

use super::App;
use super::problem::{ReadRefusals, Refusal};
use crate::cli::limits;

/// Shows the account at the configured CA, without its key.
#[utoipa::path(get, path = "/admin/v1/ca/account", tag = "viewer", operation_id = "showCaAccount",
    security(("token" = [])),
    responses((status = 200, description = "The account.", body = CaAccount), ReadRefusals))]
pub(super) async fn account(State(app): State<Arc<App>>) -> Result<Json<CaAccount>, Refusal> {
    let (store, ca) = (app.store.as_ref(), &app.settings.lets_encrypt);
    let stored = store.account(ca.directory_url.as_str()).await?;
    let (created_at, url) = match stored {
        Some(account) => (Some(account.created_at), account.url),
        None => (None, None),
    };
    let headrooms = limits::of_account(store, ca, app.now()).await?;
    let limits = headrooms.into_iter().map(|headroom| {
        let limit = limits::wire(headroom.state);
        AccountLimit {
            limit: limit.limit,
            capacity: headroom.capacity,
            left: limit.left,
            next_at: limit.next_at,
            blocked_until: limit.blocked_until,
        }
    });
    Ok(Json(CaAccount {
        directory_url: ca.directory_url.to_string(),
        url,
        created_at,
        caa_identities: app.process.ca.caa_identities(),
        terms_of_service_agreed: ca.terms_of_service_agreed,
        limits: limits.collect(),
    }))
}
