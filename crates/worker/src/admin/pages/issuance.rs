//! The pauses of issuance, and the brake on removals.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use dps_admin_api::{PauseRequest, PauseScopeName};
use dps_dashboard::{IssuanceNotice, IssuanceView, Page, ScopeFields, Section};
use serde::Deserialize;

use super::frame::{Form, Frame};
use super::{form_urlencoded, rendered, see_other};
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::issuance::{begin_pause, end_pause};
use crate::admin::problem::Refusal;
use crate::admin::removals::{approve_all, shown};
use crate::documents::issuance;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
    scope: String,
    subject: String,
}

/// The form of a pause or its end.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PauseForm {
    scope: String,
    subject: String,
    reason: String,
}

impl PauseForm {
    fn request(&self) -> Result<PauseRequest, Refusal> {
        let scope = match self.scope.as_str() {
            "all" => PauseScopeName::All,
            "tenant" => PauseScopeName::Tenant,
            "domain" => PauseScopeName::Domain,
            _ => return Err(Refusal::field("scope", "give all, tenant or domain")),
        };
        let given = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(PauseRequest {
            scope,
            subject: given(&self.subject),
            reason: given(&self.reason),
        })
    }
}

/// The form of an approval.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Approve {
    reason: String,
}

/// Shows the pauses, and the domains that wait for their end.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let wanted = ScopeFields {
        scope: asked.scope,
        subject: asked.subject,
    };
    let notice = match asked.done.as_str() {
        "pause" => Some(IssuanceNotice::Paused),
        "resume" => Some(IssuanceNotice::Resumed),
        "resume-part" => Some(IssuanceNotice::ResumedInPart(wanted.clone())),
        "approve" => Some(IssuanceNotice::Approved),
        _ => None,
    };
    let wanted = match notice {
        Some(_) => ScopeFields::default(),
        None => wanted,
    };
    let page = frame.within(Section::Issuance);
    view(&app, page, wanted, notice, None).await
}

async fn view(
    app: &App,
    page: Page,
    wanted: ScopeFields,
    notice: Option<IssuanceNotice>,
    problem: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let is_refused = problem.is_some();
    let mut response = rendered(&IssuanceView {
        page,
        issuance: issuance::status(app.store.as_ref(), app.now()).await?,
        removals: shown(app).await?,
        wanted,
        problem,
        notice,
    });
    if is_refused {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

/// Pauses issuance. A form that cannot be used is shown again.
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Form(form): Form<PauseForm>,
) -> Result<Response, Refusal> {
    let begun = match form.request() {
        Ok(request) => begin_pause(&app, &caller, &request).await,
        Err(refusal) => Err(refusal),
    };
    let refusal = match begun {
        Ok(()) => return Ok(see_other("/issuance?done=pause")),
        Err(refusal) => refusal,
    };
    let problem = refusal.into_field()?;
    let wanted = ScopeFields {
        scope: form.scope,
        subject: form.subject,
    };
    let page = frame.within(Section::Issuance);
    view(&app, page, wanted, None, Some(problem)).await
}

/// Ends a pause.
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<PauseForm>,
) -> Result<Response, Refusal> {
    if end_pause(&app, &caller, &form.request()?)
        .await?
        .is_complete
    {
        return Ok(see_other("/issuance?done=resume"));
    }
    let scope = form_urlencoded(&form.scope);
    let subject = form_urlencoded(&form.subject);
    Ok(see_other(&format!(
        "/issuance?done=resume-part&scope={scope}&subject={subject}"
    )))
}

/// Approves all removals for a day.
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Approve>,
) -> Result<Response, Refusal> {
    let reason = form.reason.trim();
    let reason = (!reason.is_empty()).then_some(reason);
    approve_all(&app, &caller, reason).await?;
    Ok(see_other("/issuance?done=approve"))
}
