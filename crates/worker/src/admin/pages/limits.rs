//! The limits of the CA.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use dps_admin_api::LiftRequest;
use dps_application::operator::limits::Headroom;
use dps_dashboard::{LiftFields, LimitsView, Section};
use serde::Deserialize;

use super::frame::{Form, Frame};
use super::{form_urlencoded, rendered, see_other};
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::limits::lift_limit;
use crate::admin::problem::Refusal;
use crate::documents::limits;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
    done: String,
    limit: String,
    name: String,
}

/// Limits of a page at most, those of the account included.
const PAGE: u32 = 500;
/// Longest place, in bytes.
const MAX_PLACE: usize = 1_024;

/// The form to lift a limit.
#[derive(Debug, Deserialize)]
pub(super) struct Lift {
    limit: String,
    name: String,
}

/// Shows the limits of the account, and a page of those of names and tenants.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let ca = &app.settings.lets_encrypt;
    if asked.after.len() > MAX_PLACE || asked.after.contains(char::is_control) {
        return Err(Refusal::field("after", "give the place that a page names"));
    }
    let of_account = limits::of_account(store, ca, now).await?;
    let page = limits::page(store, ca, now, (&asked.after, PAGE)).await?;
    let mut of_names = page.states;
    of_names.retain(|state| state.subject.is_some());
    Ok(rendered(&LimitsView {
        page: frame.within(Section::Limits),
        directory_url: ca.directory_url.to_string(),
        of_account: of_account.into_iter().map(headroom).collect(),
        of_names: of_names.into_iter().map(limits::wire).collect(),
        next: page.next,
        is_lifted: asked.done == "lift",
        lifted_in_part: (asked.done == "lift-part").then_some(LiftFields {
            limit: asked.limit,
            name: asked.name,
        }),
    }))
}

/// Lifts the limit of a name or tenant.
pub(super) async fn lift(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Lift>,
) -> Result<Response, Refusal> {
    let request = LiftRequest {
        limit: form.limit,
        name: Some(form.name),
        reason: None,
    };
    if lift_limit(&app, &caller, &request).await?.is_complete {
        return Ok(see_other("/ca?done=lift"));
    }
    let limit = form_urlencoded(&request.limit);
    let name = form_urlencoded(request.name.as_deref().unwrap_or_default());
    Ok(see_other(&format!(
        "/ca?done=lift-part&limit={limit}&name={name}"
    )))
}

/// A limit of the account as the pages show it.
pub(super) fn headroom(headroom: Headroom) -> dps_dashboard::Headroom {
    dps_dashboard::Headroom {
        capacity: headroom.capacity,
        limit: limits::wire(headroom.state),
    }
}
