//! The call that explains where a domain stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dps_admin_api::Explanation;
use dps_domain::Hostname;

use super::App;
use super::params::PathHost;
use super::problem::{FindRefusals, Refusal};
use crate::documents::explanation;

/// Explains where a domain stands.
///
/// Everything is read from the store; nothing is queried. The document says who must act, what the
/// customer reads, which limits of the CA delay the next order, and what each edge presents.
#[utoipa::path(get, path = "/admin/v1/domains/{host}/explain", tag = "viewer",
    operation_id = "explainDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com")),
    responses((status = 200, description = "The explanation.", body = Explanation), FindRefusals))]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    PathHost(host): PathHost,
) -> Result<Json<Explanation>, Refusal> {
    Ok(Json(explained(&app, &host).await?))
}

/// Where a domain stands.
pub(super) async fn explained(app: &App, host: &Hostname) -> Result<Explanation, Refusal> {
    let (store, rules) = (app.store.as_ref(), (&app.settings, &app.policy));
    let found = explanation(store, rules, host, app.now()).await?;
    found.ok_or_else(|| unknown(host))
}

/// The refusal for a domain that the store does not know.
pub(super) fn unknown(host: &Hostname) -> Refusal {
    Refusal::not_found(format!(
        "the service does not know the domain {host}; domains are created in the Cabinet"
    ))
}
