//! Calls about domains and the fleet.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use clap::ValueEnum as _;
use dps_admin_api::{Count, DomainDetail, Domains, Fleet};
use dps_application::operator::{Target, WhichClaim, fleet as store_fleet};
use dps_domain::fleet::{DomainFilter, FilterText, Place};
use dps_domain::record::RecordVersion;
use dps_domain::{DomainId, Hostname};
use dps_host::HumanDuration;
use serde::Deserialize;

use super::App;
use super::explain::unknown;
use super::params::{PathHost, page_size, query};
use super::problem::{FindRefusals, ReadRefusals, Refusal};
use crate::documents::filter::unknown_edge;
use crate::documents::{Found, Reader};
use crate::documents::{edges, fleet as counts};

/// Lines of a history without `events`.
const EVENTS: u32 = 100;
/// Lines of a history at most.
const MAX_EVENTS: u32 = 10_000;

/// The wanted domain.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// The domain's identifier, where several claim the hostname.
    #[param(value_type = Option<Uuid>)]
    id: Option<DomainId>,
    /// The domain's tenant, where several claim the hostname.
    tenant: Option<String>,
    /// Lines of its history at most, from 1 to 10000; 100 by default.
    events: Option<u32>,
}

/// The domains that are wanted: those to which every parameter applies.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct FleetQuery {
    /// Only this hostname.
    pub(super) name: Option<String>,
    /// Only hostnames that begin with this.
    pub(super) prefix: Option<String>,
    /// Only this domain and hostnames below it.
    pub(super) suffix: Option<String>,
    /// Only hostnames that contain this.
    pub(super) containing: Option<String>,
    /// Only domains of this tenant.
    pub(super) tenant: Option<String>,
    /// Only domains in this status.
    #[param(example = "Failed")]
    pub(super) status: Option<String>,
    /// Only domains whose last failure has this code.
    #[param(example = "CAA_FORBIDS")]
    pub(super) code: Option<String>,
    /// Only domains for which this party must act.
    #[param(example = "customer")]
    pub(super) actor: Option<String>,
    /// Only domains whose certificate ends within this time.
    #[param(example = "7d")]
    pub(super) expires_within: Option<String>,
    /// Only domains whose certificate this edge presents.
    pub(super) edge: Option<String>,
    /// Only domains whose certificate this edge should present and does not yet.
    pub(super) edge_pending: Option<String>,
    /// Of a list: domains at most, from 1 to 1000; 100 by default.
    pub(super) limit: Option<u32>,
    /// Of a list: `next` of the page before, with the same filter.
    pub(super) after: Option<String>,
    /// Of a count: its groups, by `status`, `code`, `tenant` or `actor`.
    pub(super) by: Option<String>,
}

impl FleetQuery {
    fn filter(&self) -> Result<DomainFilter, Refusal> {
        let expires_within = self.expires_within.as_deref();
        let expires_within = expires_within.map(str::parse::<HumanDuration>).transpose();
        let expires_within =
            expires_within.map_err(|error| Refusal::field("expiresWithin", error.to_string()))?;
        let text = FilterText {
            name: self.name.as_deref(),
            prefix: self.prefix.as_deref(),
            suffix: self.suffix.as_deref(),
            containing: self.containing.as_deref(),
            tenant: self.tenant.as_deref(),
            status: self.status.as_deref(),
            code: self.code.as_deref(),
            actor: self.actor.as_deref(),
            expires_within: expires_within.map(HumanDuration::get),
            edge: self.edge.as_deref(),
            edge_pending: self.edge_pending.as_deref(),
        };
        DomainFilter::parse(&text).map_err(|error| {
            let field = match error.field {
                "edge_pending" => "edgePending",
                field => field,
            };
            Refusal::field(field, error.problem)
        })
    }
}

async fn checked(app: &App, wanted: &FleetQuery) -> Result<DomainFilter, Refusal> {
    let filter = wanted.filter()?;
    match unknown_edge(app.store.as_ref(), &filter).await? {
        Some(unknown) if wanted.edge.is_some() => Err(Refusal::field("edge", unknown.to_string())),
        Some(unknown) => Err(Refusal::field("edgePending", unknown.to_string())),
        None => Ok(filter),
    }
}

/// Lists domains.
///
/// The store is read in short statements until the page is full, whatever the filter is.
#[utoipa::path(get, path = "/admin/v1/domains", tag = "viewer", operation_id = "listDomains",
    security(("token" = [])), params(FleetQuery),
    responses((status = 200, description = "A page of domains.", body = Domains), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Domains>, Refusal> {
    let wanted: FleetQuery = query(&uri)?;
    if wanted.by.is_some() {
        return Err(Refusal::field("by", "is for a count; leave it out"));
    }
    Ok(Json(page(&app, &wanted).await?))
}

/// A page of the wanted domains.
pub(super) async fn page(app: &App, wanted: &FleetQuery) -> Result<Domains, Refusal> {
    let filter = checked(app, wanted).await?;
    let limit = page_size(wanted.limit)?;
    let now = app.now();
    let plan = filter.plan(now);
    let after = wanted.after.as_deref();
    let after = after.map(|text| Place::parse(text, &filter, &plan));
    let after = after
        .transpose()
        .map_err(|error| Refusal::field("after", error.to_string()))?;
    let page = store_fleet::list(app.store.as_ref(), &filter, now, after, limit).await?;
    let items = reader(app).page(&page.domains).await?;
    let next = page.next.map(|next| next.to_text(&filter));
    Ok(Domains { items, next })
}

/// Counts domains.
#[utoipa::path(get, path = "/admin/v1/domains/count", tag = "viewer",
    operation_id = "countDomains", security(("token" = [])), params(FleetQuery),
    responses((status = 200, description = "The number of domains.", body = Count), ReadRefusals))]
pub(super) async fn count(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Count>, Refusal> {
    let wanted: FleetQuery = query(&uri)?;
    for (field, is_given) in [
        ("limit", wanted.limit.is_some()),
        ("after", wanted.after.is_some()),
    ] {
        if is_given {
            return Err(Refusal::field(field, "is for a list; leave it out"));
        }
    }
    let by = wanted.by.as_deref().map(|by| {
        counts::By::from_str(by, true)
            .map_err(|_| Refusal::field("by", "give status, code, tenant or actor"))
    });
    let by = by.transpose()?;
    let filter = checked(&app, &wanted).await?;
    let count = counts::counted(app.store.as_ref(), &filter, app.now(), by).await?;
    Ok(Json(count))
}

/// Shows one domain.
///
/// The document holds the evidence of the last failure and the sentence that the customer reads. It
/// also holds its certificates on the edges, other claims to its hostname, and its newest history.
#[utoipa::path(get, path = "/admin/v1/domains/{host}", tag = "viewer", operation_id = "showDomain",
    security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ShowQuery),
    responses((status = 200, description = "The domain.", body = DomainDetail), FindRefusals))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    PathHost(host): PathHost,
    uri: Uri,
) -> Result<(Extension<RecordVersion>, Json<DomainDetail>), Refusal> {
    let which: ShowQuery = query(&uri)?;
    let events = which.events.unwrap_or(EVENTS);
    if !(1..=MAX_EVENTS).contains(&events) {
        let detail = format!("give a number from 1 to {MAX_EVENTS}");
        return Err(Refusal::field("events", detail));
    }
    let target = Target {
        claim: WhichClaim {
            id: which.id,
            tenant: which.tenant.as_deref(),
        },
        ..Target::from(&host)
    };
    let found = found(&app, target, events).await?;
    let version = Extension(found.record.version());
    Ok((version, Json(document(&app, &found))))
}

/// All that is known of a domain.
pub(super) async fn detail(app: &App, host: &Hostname) -> Result<DomainDetail, Refusal> {
    Ok(document(app, &found(app, host.into(), EVENTS).await?))
}

async fn found(app: &App, target: Target<'_>, events: u32) -> Result<Found, Refusal> {
    let found = reader(app).find(target, events).await?;
    found.ok_or_else(|| unknown(target.hostname))
}

fn document(app: &App, found: &Found) -> DomainDetail {
    let configured = &app.settings.haproxy_agent;
    let now = app.now();
    let has_left =
        |edge: &str| found.has_left(edge, |known| edges::has_left(known, configured, now));
    found.document(has_left)
}

/// Surveys the fleet: domains by status, and the causes of failures.
#[utoipa::path(get, path = "/admin/v1/fleet", tag = "viewer", operation_id = "surveyFleet",
    security(("token" = [])),
    responses((status = 200, description = "The fleet.", body = Fleet), ReadRefusals))]
pub(super) async fn survey(State(app): State<Arc<App>>) -> Result<Json<Fleet>, Refusal> {
    Ok(Json(counts::survey(app.store.as_ref(), app.now()).await?))
}

fn reader(app: &App) -> Reader<'_> {
    Reader {
        store: app.store.as_ref(),
        policy: &app.policy,
        ca: &app.settings.lets_encrypt,
        now: app.now(),
        warn: &|host, problem| {
            tracing::warn!(domain.hostname = %host, problem, "renewal_info.not_read");
        },
    }
}
