//! Signing in with a token, and signing out.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{Extensions, StatusCode};
use axum::response::Response;
use dps_dashboard::{Section, SignIn};
use dps_host::http_server::ClientAddress;
use serde::Deserialize;

use super::frame::{Form, Frame, own_path};
use super::{rendered, see_other, session};
use crate::admin::App;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
    ended: String,
}

/// The form.
#[derive(Deserialize)]
pub(super) struct Shown {
    token: String,
    #[serde(default)]
    next: String,
}

/// The form of the token.
pub(super) async fn show(frame: Frame, Query(asked): Query<Asked>) -> Response {
    let next = own_path(&asked.next).to_owned();
    if frame.page.user.is_some() {
        return see_other(&next);
    }
    rendered(&SignIn {
        page: frame.within(Section::Other),
        next,
        is_refused: false,
        is_ended: !asked.ended.is_empty(),
    })
}

/// Begins a session for the holder of the token.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    frame: Frame,
    Form(shown): Form<Shown>,
) -> Response {
    let token = shown.token.trim().as_bytes();
    let next = own_path(&shown.next);
    // A wrong token is delayed, counted and logged as in a call of the API.
    if let Some(caller) = app.guard.holder_of(Some(token), &extensions).await {
        let client = extensions
            .get::<ClientAddress>()
            .map(|client| client.0.ip());
        let name = &*caller.name;
        tracing::info!(holder = name, ?client, "admin.signed_in");
        let mut response = see_other(next);
        session::begin(&app, &caller, &mut response);
        return response;
    }
    let mut page = frame.within(Section::Other);
    "/sign-in".clone_into(&mut page.here);
    let mut response = rendered(&SignIn {
        page,
        next: next.to_owned(),
        is_refused: true,
        is_ended: false,
    });
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// Ends the session.
pub(super) async fn end(State(app): State<Arc<App>>) -> Response {
    let mut response = see_other("/sign-in");
    session::end(&app, &mut response);
    response
}
