//! The call that diagnoses a domain.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::Diagnosis;
use dps_application::operator::diagnose::{self, NotDiagnosed};
use dps_domain::Hostname;

use super::App;
use super::auth::Caller;
use super::explain::unknown;
use super::params::PathHost;
use super::problem::{DiagnoseRefusals, Refusal};
use crate::documents::diagnosis;

/// Diagnoses a domain now.
///
/// DNS, CAA records, the path to every address, account and limits of the CA, and every edge are
/// checked. Nothing is ordered, and nothing of the domain is written. The first row that is not OK
/// is the one to act on. It takes 10 seconds at most. All replicas and commands together make five
/// diagnoses a minute, and one of a domain at a time.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/diagnose", tag = "operator",
    operation_id = "diagnoseDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com")),
    responses((status = 200, description = "The checks.", body = Diagnosis), DiagnoseRefusals))]
pub(super) async fn diagnose_domain(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
) -> Result<Json<Diagnosis>, Refusal> {
    Ok(Json(diagnosed(&app, &caller, &host).await?))
}

/// Diagnoses a domain, on behalf of a caller of the API or of a page.
pub(super) async fn diagnosed(
    app: &App,
    caller: &Caller,
    host: &Hostname,
) -> Result<Diagnosis, Refusal> {
    let made = diagnose::diagnose(&app.observer, host).await;
    let made = made.map_err(|error| refusal(host, error))?;
    tracing::info!(domain.hostname = %host, by = %caller.in_history(), "admin.domain_diagnosed");
    Ok(diagnosis(made))
}

fn refusal(host: &Hostname, error: NotDiagnosed) -> Refusal {
    match error {
        NotDiagnosed::Unknown(_) => unknown(host),
        NotDiagnosed::UnderWay(_) => Refusal::conflict(error.to_string()),
        NotDiagnosed::TooMany { after } => Refusal::too_many(error.to_string(), after),
        NotDiagnosed::Store(error) => error.into(),
    }
}
