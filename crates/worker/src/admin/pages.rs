//! The dashboard: pages for people in a browser, made of the same documents as the API's answers.
//!
//! A person signs in with an admin token and gets a session ([`session`]). Each page needs a role
//! as a call does. Forms are refused from other sites. Every response has a content security
//! policy that allows only the files of this service.

mod activity;
mod assets;
mod causes;
mod domain;
mod domains;
mod edges;
mod frame;
mod issuance;
mod jobs;
mod limits;
mod overview;
mod renewals;
mod session;
mod sign_in;
mod system;
mod tenants;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use dps_dashboard::{ProblemView, Section, Template};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use self::frame::Frame;
use super::App;
use super::problem::{ProblemDetail, Refusal};
use crate::config::AdminRole;

/// The policy of every response.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'";
/// Sent by htmx with its requests.
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
/// Sends the browser to another page after a request of htmx.
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// The routes of the pages.
pub(super) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let of = |role: AdminRole, routes: Router<Arc<App>>| {
        let state = (Arc::clone(app), role);
        routes.route_layer(middleware::from_fn_with_state(state, session::require))
    };
    let viewer = Router::new()
        .route("/", get(overview::show))
        .route("/domains", get(domains::show))
        .route("/domains/{host}", get(domain::show))
        .route("/domains/{host}/diagnose", get(domain::after_diagnosis))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::show))
        .route("/issuance", get(issuance::show))
        .route("/causes", get(causes::show))
        .route("/renewals", get(renewals::show))
        .route("/ca", get(limits::show))
        .route("/edges", get(edges::show))
        .route("/tenants", get(tenants::show))
        .route("/tenants/{id}", get(tenants::one))
        .route("/activity", get(activity::show))
        .route("/system", get(system::show));
    let operator = Router::new()
        .route("/domains/{host}/retry", post(domain::retry))
        .route("/domains/{host}/renew", post(domain::renew))
        .route("/domains/{host}/diagnose", post(domain::diagnose))
        .route("/domains/{host}/recheck", post(domain::recheck))
        .route("/jobs/new", get(jobs::form))
        .route("/jobs", post(jobs::begin))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/issuance/pause", post(issuance::pause))
        .route("/issuance/resume", post(issuance::resume))
        .route("/issuance/approve-removals", post(issuance::approve))
        .route("/edges/compare", post(edges::compare))
        .route("/ca/lift", post(limits::lift));
    let admin = Router::new().route("/edges/approve", post(edges::approve));
    let public = Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::begin))
        .route("/sign-out", post(sign_in::end))
        .route("/preferences", post(frame::prefer))
        .route("/assets/{hash}/{name}", get(assets::show));
    let refuse = |_: ProtectionError| Refusal::cross_site().into_response();
    of(AdminRole::Viewer, viewer)
        .merge(of(AdminRole::Operator, operator))
        .merge(of(AdminRole::Admin, admin))
        .merge(public)
        .layer(CsrfLayer::new().with_rejection_response(refuse))
}

/// Gives every response its security headers, and a person in a browser a page instead of a problem
/// document.
pub(super) async fn for_browsers(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = is_for_people(&request);
    let is_part = request.headers().contains_key(HX_REQUEST);
    let (mut parts, body) = request.into_parts();
    let frame = is_page.then(|| Frame::of(&app, &mut parts, Section::Other));
    let response = next.run(Request::from_parts(parts, body)).await;
    let mut response = match (frame, response.extensions().get::<ProblemDetail>()) {
        // htmx keeps what it shows when a request fails, so it needs no page.
        (Some(frame), Some(ProblemDetail(detail))) if !is_part => {
            let view = ProblemView {
                page: frame.page,
                status: response.status().as_u16(),
                detail: detail.clone(),
            };
            let mut page = rendered(&view);
            *page.status_mut() = response.status();
            for name in [ALLOW, RETRY_AFTER] {
                if let Some(value) = response.headers().get(&name) {
                    page.headers_mut().insert(name, value.clone());
                }
            }
            page
        }
        _ => response,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_for_people(request: &Request) -> bool {
    let path = request.uri().path();
    let accepts = |headers: &HeaderMap| {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    };
    !path.starts_with("/admin/") && path != "/openapi.json" && accepts(request.headers())
}

/// A view as a response.
fn rendered(view: &impl Template) -> Response {
    match view.render() {
        Ok(html) => {
            let mut response = html.into_response();
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, html);
            response
        }
        Err(error) => {
            tracing::error!(%error, "admin.page_failed");
            Refusal::internal().into_response()
        }
    }
}

/// Sends the browser to another page by GET.
fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A path with characters that no header can hold is not one of ours.
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, path);
    response
}

/// Sends a person without a session to the sign-in page.
fn to_sign_in(method: &Method, headers: &HeaderMap, here: &str) -> Response {
    let next = if method == Method::GET { here } else { "/" };
    let next = form_urlencoded(next);
    let ended = if session::has_cookie(headers) {
        "&ended=1"
    } else {
        ""
    };
    let path = format!("/sign-in?next={next}{ended}");
    if !headers.contains_key(HX_REQUEST) {
        return see_other(&path);
    }
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    let path = HeaderValue::from_str(&path).unwrap_or(HeaderValue::from_static("/sign-in"));
    response.headers_mut().insert(HX_REDIRECT, path);
    response
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
