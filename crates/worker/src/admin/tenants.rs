//! The tenants.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dps_admin_api::{TenantDetail, Tenants};
use serde::Deserialize;

use super::App;
use super::params::{PathTenant, page_size, query};
use super::problem::{FindRefusals, ReadRefusals, Refusal};
use crate::documents;

/// The wanted page of tenants.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct TenantsQuery {
    /// Tenants at most, from 1 to 1000; 100 by default.
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// Lists the tenants.
///
/// Each has its domains by status, and the number of those whose orders wait or whose hostname is
/// contested. A page reads up to 10,000 domains, so it may be shorter than `limit`.
#[utoipa::path(get, path = "/admin/v1/tenants", tag = "viewer", operation_id = "listTenants",
    security(("token" = [])), params(TenantsQuery),
    responses((status = 200, description = "A page of tenants.", body = Tenants), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Tenants>, Refusal> {
    let wanted: TenantsQuery = query(&uri)?;
    Ok(Json(page(&app, &wanted).await?))
}

/// A page of tenants.
pub(super) async fn page(app: &App, wanted: &TenantsQuery) -> Result<Tenants, Refusal> {
    let limit = page_size(wanted.limit)?;
    let after = wanted.after.as_deref().unwrap_or_default();
    if after.contains('\0') {
        return Err(Refusal::field(
            "after",
            "copy it from the page before, or leave it out",
        ));
    }
    Ok(documents::tenants(app.store.as_ref(), after, limit).await?)
}

/// Shows one tenant: its domains by status, its pauses and its limits.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}", tag = "viewer", operation_id = "showTenant",
    security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's identifier.", example = "tenant-7")),
    responses((status = 200, description = "The tenant.", body = TenantDetail), FindRefusals))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    PathTenant(id): PathTenant,
) -> Result<Json<TenantDetail>, Refusal> {
    Ok(Json(detail(&app, &id).await?))
}

/// All that is known of a tenant.
pub(super) async fn detail(app: &App, id: &str) -> Result<TenantDetail, Refusal> {
    let ca = &app.settings.lets_encrypt;
    let found = documents::tenant(app.store.as_ref(), ca, app.now(), id).await?;
    found.ok_or_else(|| Refusal::not_found("the service knows no domain of this tenant"))
}
