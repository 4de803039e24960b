//! Jobs: one action on the domains of a filter.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dps_admin_api::{JobFilter, JobRequest};
use dps_dashboard::{FilterFields, JobFields, JobFormView, JobView, JobsView, Page, Section};
use dps_domain::fleet::{DomainFilter, FilterParts};
use dps_host::HumanDuration;
use serde::Deserialize;

use super::domains::Asked as Listed;
use super::frame::{Form, Frame};
use super::{rendered, see_other};
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::jobs::{begin_job, cancel_job, id, previewed, stored};
use crate::admin::params::query;
use crate::admin::problem::Refusal;
use crate::documents::jobs as job_documents;

/// Jobs of a page.
const PAGE: u32 = 50;
/// Longest filter, in bytes.
const MAX_FILTER: usize = 4_096;

/// The wanted job, as the forms send it. They send every field, so an empty one is no wish.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Asked {
    /// The domains, as the address of the list names them.
    filter: String,
    action: String,
    revocation_reason: String,
    pace_per_hour: String,
    limit: String,
    confirm: String,
    reason: String,
    /// `yes` for a job on all domains.
    all: String,
}

impl Asked {
    fn fields(&self) -> Result<JobFields, Refusal> {
        Ok(JobFields {
            filter: self.listed()?.fields(),
            action: self.action.trim().to_owned(),
            revocation_reason: self.revocation_reason.trim().to_owned(),
            pace_per_hour: self.pace_per_hour.trim().to_owned(),
            limit: self.limit.trim().to_owned(),
        })
    }

    fn listed(&self) -> Result<Listed, Refusal> {
        let refuse = || Refusal::field("filter", "choose the domains in the list of domains");
        if self.filter.len() > MAX_FILTER {
            return Err(refuse());
        }
        let uri = format!("/domains?{}", self.filter).parse::<Uri>();
        Listed::of(&uri.map_err(|_| refuse())?)
    }

    fn request(&self) -> Result<JobRequest, Refusal> {
        let listed = self.listed()?.wanted();
        let given = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        // The reason is for a revocation alone, and the form offers it beside every action.
        let of_revocation = given(&self.revocation_reason).filter(|_| self.action == "revoke");
        Ok(JobRequest {
            action: self.action.trim().to_owned(),
            revocation_reason: of_revocation,
            filter: JobFilter {
                name: listed.name,
                prefix: listed.prefix,
                suffix: listed.suffix,
                containing: listed.containing,
                tenant: listed.tenant,
                status: listed.status,
                code: listed.code,
                actor: listed.actor,
                expires_within: listed.expires_within,
                edge: listed.edge,
                edge_pending: listed.edge_pending,
            },
            pace_per_hour: number("pacePerHour", &self.pace_per_hour)?,
            limit: number("limit", &self.limit)?,
            reason: given(&self.reason),
            confirm: number("confirm", &self.confirm)?,
        })
    }
}

/// A number; `None` without one.
fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<Option<T>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse::<T>();
    parsed
        .map(Some)
        .map_err(|_| Refusal::field(field, "give a whole number, or leave it empty"))
}

/// The form of a job that was not begun.
#[derive(Debug, Default)]
struct Unbegun {
    problem: Option<(String, String)>,
    refusal: Option<String>,
}

/// Shows the form of a job, and the effect of it once an action is chosen.
pub(super) async fn form(
    State(app): State<Arc<App>>,
    frame: Frame,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked: Asked = query(&uri)?;
    form_page(
        &app,
        frame.within(Section::Jobs),
        &asked,
        Unbegun::default(),
    )
    .await
}

async fn form_page(
    app: &App,
    mut page: Page,
    asked: &Asked,
    unbegun: Unbegun,
) -> Result<Response, Refusal> {
    let fields = asked.fields()?;
    page.here = fields.path();
    let Unbegun {
        mut problem,
        refusal,
    } = unbegun;
    let mut preview = None;
    if !fields.action.is_empty() {
        let request = asked.request();
        let counted = match request {
            Ok(request) => previewed(app, &request).await,
            Err(refusal) => Err(refusal),
        };
        match counted {
            Ok(counted) => preview = Some(counted),
            Err(refusal) => problem = Some(refusal.into_field()?),
        }
    }
    let status = match (&problem, &refusal) {
        (Some(_), _) => StatusCode::BAD_REQUEST,
        (None, Some(_)) => StatusCode::CONFLICT,
        (None, None) => StatusCode::OK,
    };
    let mut response = rendered(&JobFormView {
        page,
        fields,
        preview,
        problem,
        refusal,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// Begins a job on the number of domains that the preview named. If the filter finds more by now,
/// nothing is begun, and the form shows the new number.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Form(asked): Form<Asked>,
) -> Result<Response, Refusal> {
    let page = frame.within(Section::Jobs);
    let is_of_all = asked.fields()?.filter.parts().is_empty();
    let begun = if is_of_all && asked.all != "yes" {
        let remedy = "say that you mean all domains, or choose some in the list";
        Err(Refusal::field("all", remedy))
    } else {
        match asked.request() {
            Ok(request) => begin_job(&app, &caller, &request).await,
            Err(refusal) => Err(refusal),
        }
    };
    let refusal = match begun {
        Ok(job) => return Ok(see_other(&format!("/jobs/{}", job.id))),
        Err(refusal) => refusal,
    };
    let unbegun = match refusal.into_conflict() {
        Ok(refusal) => Unbegun {
            refusal: Some(refusal),
            ..Unbegun::default()
        },
        Err(other) => Unbegun {
            problem: Some(other.into_field()?),
            ..Unbegun::default()
        },
    };
    form_page(&app, page, &asked, unbegun).await
}

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    before: String,
}

/// Lists the jobs, the newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    frame: Frame,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked: ListQuery = query(&uri)?;
    let is_first = asked.before.is_empty();
    let before = if is_first {
        Some(None)
    } else {
        asked.before.parse().ok().map(Some)
    };
    let jobs = match before {
        Some(before) => Some(job_documents::page(app.store.as_ref(), before, PAGE).await?),
        None => None,
    };
    let is_stale = jobs.is_none();
    let mut response = rendered(&JobsView {
        page: frame.within(Section::Jobs),
        jobs,
        is_first,
    });
    if is_stale {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

/// Shows a job and its progress.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Path(text): Path<String>,
) -> Result<Response, Refusal> {
    let job = stored(&app, id("id", &text)?).await?;
    let wire = job_documents::wire(&job);
    let (action, reason) = wire.action.split_once(':').unwrap_or((&wire.action, ""));
    let bound = |bound: Option<String>| bound.unwrap_or_default();
    let fields = JobFields {
        filter: fields(&job.filter),
        action: action.to_owned(),
        revocation_reason: reason.to_owned(),
        pace_per_hour: bound(wire.pace_per_hour.map(|pace| pace.to_string())),
        // The bound of a job is the confirmed number, which the next preview finds anew.
        limit: String::new(),
    };
    Ok(rendered(&JobView {
        page: frame.within(Section::Jobs),
        job: wire,
        fields,
    }))
}

/// The form of an action.
#[derive(Debug, Deserialize)]
pub(super) struct Cancel {
    #[serde(default)]
    reason: String,
}

/// Cancels a job.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    Form(form): Form<Cancel>,
) -> Result<Response, Refusal> {
    let reason = form.reason.trim();
    let reason = (!reason.is_empty()).then_some(reason);
    let job = cancel_job(&app, &caller, id("id", &text)?, reason).await?;
    Ok(see_other(&format!("/jobs/{}", job.id)))
}

/// A filter as the address of the list writes it.
fn fields(filter: &DomainFilter) -> FilterFields {
    let parts = FilterParts::from(filter);
    let names = [
        ("name", parts.name),
        ("prefix", parts.prefix),
        ("suffix", parts.suffix),
        ("containing", parts.containing),
    ];
    let mut names = names.into_iter().filter_map(|(by, text)| Some((by, text?)));
    let (by, q) = names.next().unwrap_or_default();
    let within = parts.expires_within_seconds.map(HumanDuration::from_secs);
    FilterFields {
        q,
        r#match: by.to_owned(),
        tenant: parts.tenant.unwrap_or_default(),
        status: parts.status.unwrap_or_default(),
        code: parts.code.unwrap_or_default(),
        actor: parts.actor.unwrap_or_default(),
        expires_within: within.map(|within| within.to_string()).unwrap_or_default(),
        edge: parts.edge.unwrap_or_default(),
        edge_pending: parts.edge_pending.unwrap_or_default(),
    }
}
