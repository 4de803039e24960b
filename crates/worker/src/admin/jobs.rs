//! Jobs: one action on many domains.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use dps_admin_api::{Job, JobFilter, JobPreview, JobRequest, Jobs};
use dps_application::operator::jobs;
use dps_application::ports::fleet_view::MAX_PAGE;
use dps_domain::JobId;
use dps_domain::fleet::{DomainFilter, FilterText};
use dps_domain::job::{DomainAction, Job as StoredJob};
use dps_domain::limits::{Limit, LimitKind};
use dps_host::HumanDuration;
use serde::Deserialize;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason, query, revocation_reason};
use super::problem::{ActionRefusals, FindRefusals, ReadRefusals, Refusal};
use crate::config::AdminRole;
use crate::documents::filter::unknown_edge;
use crate::documents::jobs::{self as job_documents, MAX_PACE};

/// Jobs of a page without `limit`.
const DEFAULT_PAGE: u32 = 100;

/// A page of jobs.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// Jobs at most, from 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    before: Option<String>,
}

/// Lists jobs, the newest first.
#[utoipa::path(get, path = "/admin/v1/jobs", tag = "viewer", operation_id = "listJobs",
    security(("token" = [])), params(JobsQuery),
    responses((status = 200, description = "A page of jobs.", body = Jobs), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Jobs>, Refusal> {
    let wanted: JobsQuery = query(&uri)?;
    let limit = wanted.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("give a number from 1 to {MAX_PAGE}");
        return Err(Refusal::field("limit", detail));
    }
    let before = wanted.before.as_deref().map(|text| id("before", text));
    Ok(Json(
        job_documents::page(app.store.as_ref(), before.transpose()?, limit).await?,
    ))
}

/// Shows a job and its progress.
#[utoipa::path(get, path = "/admin/v1/jobs/{id}", tag = "viewer", operation_id = "showJob",
    security(("token" = [])), params(("id" = String, Path, description = "The identifier.")),
    responses((status = 200, description = "The job.", body = Job), FindRefusals))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(text): Path<String>,
) -> Result<Json<Job>, Refusal> {
    Ok(Json(job_documents::wire(
        &stored(&app, id("id", &text)?).await?,
    )))
}

/// A job as it is stored.
pub(super) async fn stored(app: &App, id: JobId) -> Result<StoredJob, Refusal> {
    let job = app.store.job(id).await?;
    job.ok_or_else(|| Refusal::not_found("no job has this identifier"))
}

/// Counts the domains of a job, and changes nothing.
#[utoipa::path(post, path = "/admin/v1/jobs/preview", tag = "operator", operation_id = "previewJob",
    security(("token" = [])),
    request_body(content = JobRequest, description = "The job; `confirm` is ignored."),
    responses((status = 200, description = "The preview.", body = JobPreview), ActionRefusals))]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<JobRequest>,
) -> Result<Json<JobPreview>, Refusal> {
    Ok(Json(previewed(&app, &request).await?))
}

/// The effect that a job would have.
pub(super) async fn previewed(app: &App, request: &JobRequest) -> Result<JobPreview, Refusal> {
    let wanted = wanted(app, request).await?;
    let preview = jobs::preview(app.store.as_ref(), app.now(), &wanted, orders(app)).await?;
    Ok(job_documents::wire_preview(&wanted, &preview))
}

/// Begins a job.
///
/// The service does it in batches, whatever becomes of the caller. It is refused if the filter
/// finds more domains than were confirmed.
#[utoipa::path(post, path = "/admin/v1/jobs", tag = "operator", operation_id = "beginJob",
    security(("token" = [])),
    request_body(content = JobRequest, description = "The job."),
    responses((status = 200, description = "The job has begun.", body = Job), ActionRefusals))]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<JobRequest>,
) -> Result<Json<Job>, Refusal> {
    Ok(Json(begin_job(&app, &caller, &request).await?))
}

/// Begins a job, on behalf of a caller of the API or of a page.
pub(super) async fn begin_job(
    app: &App,
    caller: &Caller,
    request: &JobRequest,
) -> Result<Job, Refusal> {
    let confirmed = request
        .confirm
        .ok_or_else(|| Refusal::field("confirm", "give the number of domains of the preview"))?;
    let reason = checked_reason(request.reason.as_deref())?;
    let wanted = wanted(app, request).await?;
    // A revocation cannot be undone.
    if wanted.action.revocation().is_some() && caller.role < AdminRole::Admin {
        return Err(Refusal::forbidden(caller, AdminRole::Admin));
    }
    let (who, store) = (caller.in_history(), app.store.as_ref());
    let by = caller.requester(&who, reason);
    let job = jobs::begin(store, by, app.now(), &wanted, confirmed).await?;
    Ok(job_documents::wire(&job))
}

/// Cancels a job that runs. Its effects stay.
#[utoipa::path(post, path = "/admin/v1/jobs/{id}/cancel", tag = "operator",
    operation_id = "cancelJob", security(("token" = [])),
    params(("id" = String, Path, description = "The identifier.")),
    request_body(content = dps_admin_api::Action, description = "The reason, if any."),
    responses((status = 200, description = "The job is cancelled.", body = Job), ActionRefusals))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(action): JsonBody<dps_admin_api::Action>,
) -> Result<Json<Job>, Refusal> {
    let id = id("id", &text)?;
    cancel_job(&app, &caller, id, action.reason.as_deref())
        .await
        .map(Json)
}

/// Cancels a job, on behalf of a caller of the API or of a page.
pub(super) async fn cancel_job(
    app: &App,
    caller: &Caller,
    id: JobId,
    reason: Option<&str>,
) -> Result<Job, Refusal> {
    let reason = checked_reason(reason)?;
    let who = caller.in_history();
    let by = caller.requester(&who, reason);
    let job = jobs::cancel(app.store.as_ref(), by, app.now(), id).await?;
    Ok(job_documents::wire(&job))
}

/// The identifier in this field.
pub(super) fn id(field: &str, text: &str) -> Result<JobId, Refusal> {
    let parsed = text.parse::<JobId>();
    parsed.map_err(|_| Refusal::field(field, "is not the identifier of a job"))
}

fn orders(app: &App) -> Limit {
    let limits = app.settings.lets_encrypt.effective_limits();
    limits.get(LimitKind::NewOrders)
}

async fn wanted(app: &App, request: &JobRequest) -> Result<jobs::JobRequest, Refusal> {
    let action = action(request)?;
    if request
        .pace_per_hour
        .is_some_and(|pace| !(1..=MAX_PACE).contains(&pace))
    {
        let detail = format!("give a number from 1 to {MAX_PACE}");
        return Err(Refusal::field("pacePerHour", detail));
    }
    if request.limit == Some(0) {
        return Err(Refusal::field(
            "limit",
            "give a number from 1, or leave it out",
        ));
    }
    let filter = filter(&request.filter)?;
    if let Some(unknown) = unknown_edge(app.store.as_ref(), &filter).await? {
        return Err(Refusal::field("filter", unknown.to_string()));
    }
    Ok(jobs::JobRequest {
        action,
        filter,
        pace: request.pace_per_hour,
        most: request.limit,
    })
}

fn action(request: &JobRequest) -> Result<DomainAction, Refusal> {
    let reason = request.revocation_reason.as_deref();
    if request.action == "revoke" {
        return Ok(DomainAction::revoke(revocation_reason(
            reason.unwrap_or_default(),
        )?));
    }
    if reason.is_some() {
        let detail = "only the action revoke has such a reason";
        return Err(Refusal::field("revocationReason", detail));
    }
    let action = DomainAction::named(&request.action);
    let action = action.filter(|action| action.revocation().is_none());
    action.ok_or_else(|| {
        Refusal::field(
            "action",
            "give retry, renew, recheck, revoke, pause or resume",
        )
    })
}

fn filter(wanted: &JobFilter) -> Result<DomainFilter, Refusal> {
    let refuse = |error: String| Refusal::field("filter", error);
    let within = wanted
        .expires_within
        .as_deref()
        .map(str::parse::<HumanDuration>);
    let within = within
        .transpose()
        .map_err(|error| refuse(error.to_string()))?;
    DomainFilter::parse(&FilterText {
        name: wanted.name.as_deref(),
        prefix: wanted.prefix.as_deref(),
        suffix: wanted.suffix.as_deref(),
        containing: wanted.containing.as_deref(),
        tenant: wanted.tenant.as_deref(),
        status: wanted.status.as_deref(),
        code: wanted.code.as_deref(),
        actor: wanted.actor.as_deref(),
        expires_within: within.map(HumanDuration::get),
        edge: wanted.edge.as_deref(),
        edge_pending: wanted.edge_pending.as_deref(),
    })
    .map_err(|error| refuse(error.to_string()))
}
