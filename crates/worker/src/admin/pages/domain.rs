//! One domain, and the actions on it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use dps_application::operator::{Target, WhichClaim};
use dps_dashboard::{DiagnosisView, DomainView, Notice, Section};
use dps_domain::{DomainId, Hostname};
use serde::Deserialize;

use super::frame::{Form, Frame};
use super::{rendered, see_other};
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::diagnose::diagnosed;
use crate::admin::domains::{recheck_domain, renew_domain, retry_domain};
use crate::admin::explain::explained;
use crate::admin::fleet::detail;
use crate::admin::params::PathHost;
use crate::admin::problem::Refusal;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
}

/// The form of an action.
#[derive(Debug, Deserialize)]
pub(super) struct Action {
    #[serde(default)]
    reason: String,
    /// The domain that the page shows, since others may claim its hostname.
    #[serde(default)]
    id: Option<DomainId>,
}

impl Action {
    fn target<'a>(&self, hostname: &'a Hostname) -> Target<'a> {
        let (id, tenant) = (self.id, None);
        Target {
            claim: WhichClaim { id, tenant },
            ..Target::from(hostname)
        }
    }

    fn reason(&self) -> Option<&str> {
        let reason = self.reason.trim();
        (!reason.is_empty()).then_some(reason)
    }
}

/// Shows a domain.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    PathHost(host): PathHost,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let detail = detail(&app, &host).await?;
    let notice = match asked.done.as_str() {
        "retry" => Some(Notice::Retried),
        "renew" => Some(Notice::Renewed),
        "recheck" => Some(Notice::Rechecked),
        _ => None,
    };
    Ok(rendered(&DomainView {
        page: frame.within(Section::Domains),
        detail,
        explanation: explained(&app, &host).await?,
        notice,
    }))
}

/// Makes the next step due.
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    Form(action): Form<Action>,
) -> Result<Response, Refusal> {
    retry_domain(&app, &caller, action.target(&host), action.reason()).await?;
    Ok(back_to(&host, "retry"))
}

/// Makes the renewal due.
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    Form(action): Form<Action>,
) -> Result<Response, Refusal> {
    renew_domain(&app, &caller, action.target(&host), action.reason()).await?;
    Ok(back_to(&host, "renew"))
}

/// Makes the check of DNS due.
pub(super) async fn recheck(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    Form(action): Form<Action>,
) -> Result<Response, Refusal> {
    recheck_domain(&app, &caller, action.target(&host), action.reason()).await?;
    Ok(back_to(&host, "recheck"))
}

/// Diagnoses the domain now, and shows the result.
pub(super) async fn diagnose(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    PathHost(host): PathHost,
) -> Result<Response, Refusal> {
    let diagnosis = diagnosed(&app, &caller, &host).await?;
    Ok(rendered(&DiagnosisView {
        page: frame.within(Section::Domains),
        diagnosis,
    }))
}

/// A result is not kept, so the way back to it leads to the domain.
pub(super) async fn after_diagnosis(PathHost(host): PathHost) -> Response {
    see_other(&format!("/domains/{host}"))
}

fn back_to(host: &Hostname, done: &str) -> Response {
    see_other(&format!("/domains/{host}?done={done}"))
}
