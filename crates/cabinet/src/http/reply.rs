//! Responses: domains with their entity tag, and problem documents.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use dps_cabinet_api::{CustomDomain, CustomerView, ProblemCode, version_tag};
use std::time::Duration;

use super::App;
use crate::refusal::Refusal;
use crate::store::StoreError;

/// Returns the response for the service, with the version as `ETag`.
pub(super) fn domain(domain: CustomDomain) -> Response {
    ([(ETAG, version_tag(domain.version))], Json(domain)).into_response()
}

/// Returns the response for the platform, with the version as `ETag`.
pub(super) fn view(app: &App, status: StatusCode, domain: CustomDomain) -> Response {
    let tag = version_tag(domain.version);
    (status, [(ETAG, tag)], Json(customer_view(app, domain))).into_response()
}

/// Adds the customer's next action to a domain.
pub(super) fn customer_view(app: &App, domain: CustomDomain) -> CustomerView {
    let now = app.config.ports.now();
    let setup = app.config.setup.as_ref();
    CustomerView {
        instruction: app.config.names.instruction(&domain),
        setup_url: setup.map(|page| page.link(domain.id, now)),
        domain,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        dps_host::problem::response(&self.problem, self.retry_after)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let transient = error.is_transient();
        tracing::error!(
            error = &error as &dyn std::error::Error,
            transient,
            "store.call_failed"
        );
        if transient {
            Self::new(ProblemCode::Timeout, "the database is busy; try again")
                .retry_after(Duration::from_secs(1))
        } else {
            Self::new(ProblemCode::Internal, "try again later")
        }
    }
}

/// Returns the refusal for an unknown domain.
pub(super) fn no_such_domain() -> Refusal {
    Refusal::at(
        ProblemCode::NotFound,
        "id",
        "there is no domain with this id",
    )
}
