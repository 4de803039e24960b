//! The tenants.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use dps_dashboard::{Section, StateRow, TenantView, TenantsView};
use serde::Deserialize;

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::fleet::{self, FleetQuery};
use crate::admin::params::PathTenant;
use crate::admin::problem::Refusal;
use crate::admin::tenants::{TenantsQuery, page};
use crate::documents;

/// Tenants of a page.
const PAGE: u32 = 50;

/// Domains of the page of a tenant.
const DOMAINS: u32 = 20;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
}

/// Shows the first tenants, or those after a place.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let is_first = asked.after.is_empty();
    let wanted = TenantsQuery {
        limit: Some(PAGE),
        after: (!is_first).then_some(asked.after),
    };
    let tenants = match page(&app, &wanted).await {
        Ok(tenants) => Some(tenants),
        Err(refusal) => {
            // Only the place can be wrong, and the page says so.
            refusal.into_field()?;
            None
        }
    };
    let is_stale = tenants.is_none();
    let mut response = rendered(&TenantsView {
        page: frame.within(Section::Tenants),
        tenants,
        is_first,
    });
    if is_stale {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

/// Shows a tenant: its domains by state, what concerns its orders, and its first domains.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    frame: Frame,
    PathTenant(id): PathTenant,
) -> Result<Response, Refusal> {
    let (store, ca) = (app.store.as_ref(), &app.settings.lets_encrypt);
    let found = documents::tenant_part(store, ca, app.now(), &id).await?;
    let found =
        found.ok_or_else(|| Refusal::not_found("the service knows no domain of this tenant"))?;
    let wanted = FleetQuery {
        tenant: Some(id),
        limit: Some(DOMAINS),
        ..FleetQuery::default()
    };
    let states = found.states.iter().map(|count| StateRow {
        status: count.state.status,
        code: count.state.code,
        actor: count.state.actor,
        domains: count.domains,
    });
    Ok(rendered(&TenantView {
        page: frame.within(Section::Tenants),
        states: states.collect(),
        tenant: found.detail,
        domains: fleet::page(&app, &wanted).await?,
    }))
}
