//! Refusals of the admin API, as problem documents (RFC 9457).

use std::any::Any;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use dps_application::operator::OperatorError;
use dps_application::ports::store::StoreError;
use dps_domain::with_causes;
use dps_problem::{CodeMember, NoResource, Problem, problem_codes};
use serde::{Serialize, Serializer};
use utoipa::{IntoResponses, ToSchema};

use super::auth::Caller;
use crate::config::AdminRole;

problem_codes! {
    /// An error as the admin API reports it.
    pub enum AdminProblem {
        /// The token is missing or not known.
        Unauthorized => "UNAUTHORIZED", 401, "Unauthorized";
        /// The token's role does not allow the call.
        Forbidden => "FORBIDDEN", 403, "Forbidden";
        /// No such path, or no such thing.
        NotFound => "NOT_FOUND", 404, "Not Found";
        /// The path has other methods.
        MethodNotAllowed => "METHOD_NOT_ALLOWED", 405, "Method Not Allowed";
        /// The state does not allow the call, or others change it at the same time.
        Conflict => "CONFLICT", 409, "Conflict";
        /// The domain was changed since its document was read.
        RecordChanged => "RECORD_CHANGED", 412, "Record Changed";
        /// The idempotency key was used for another call.
        KeyReused => "KEY_REUSED", 422, "Idempotency Key Reused";
        /// The call was made too often lately.
        TooManyRequests => "TOO_MANY_REQUESTS", 429, "Too Many Requests";
        /// A field, parameter or header cannot be used.
        FieldInvalid => "FIELD_INVALID", 400, "Field Invalid";
        /// The database does not answer, or no answer came within the bound.
        Unavailable => "UNAVAILABLE", 503, "Service Unavailable";
        /// A fault of ours.
        Internal => "INTERNAL", 500, "Internal Server Error";
    }
}

impl Serialize for AdminProblem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl CodeMember for AdminProblem {
    type Kind = Self;

    const NEEDS_ALL_MEMBERS: bool = true;

    fn of(kind: Self) -> Self {
        kind
    }

    fn kind(&self) -> Option<Self> {
        Some(*self)
    }

    fn read(member: Option<String>) -> Option<Self> {
        Self::named(&member?)
    }
}

/// A problem document, as the `OpenAPI` document describes it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AdminProblemDocument {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The fault this time, and the remedy.
    detail: String,
    /// The stable code, such as `FIELD_INVALID`.
    code: String,
    /// The field, parameter or header that is wrong.
    field: Option<String>,
}

/// The refusals of a call that changes nothing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the responses")]
pub(super) enum ReadRefusals {
    /// A parameter cannot be used.
    #[response(status = 400, content_type = "application/problem+json")]
    FieldInvalid(AdminProblemDocument),
    /// The token is missing or not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(AdminProblemDocument),
    /// The service has a fault; its log has the cause.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(AdminProblemDocument),
    /// The database does not answer. Try again after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(AdminProblemDocument),
}

/// The refusals of a call that shows one domain.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the responses")]
pub(super) enum FindRefusals {
    /// The hostname cannot be used.
    #[response(status = 400, content_type = "application/problem+json")]
    FieldInvalid(AdminProblemDocument),
    /// The token is missing or not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(AdminProblemDocument),
    /// The service does not know the domain.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(AdminProblemDocument),
    /// The service has a fault; its log has the cause.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(AdminProblemDocument),
    /// The database does not answer. Try again after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(AdminProblemDocument),
}

/// The refusals of a call that acts.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the responses")]
pub(super) enum ActionRefusals {
    /// The path, a field or the body cannot be used.
    #[response(status = 400, content_type = "application/problem+json")]
    FieldInvalid(AdminProblemDocument),
    /// The token is missing or not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(AdminProblemDocument),
    /// The role of the token does not allow the call.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(AdminProblemDocument),
    /// The service does not know the domain, edge or job.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(AdminProblemDocument),
    /// The state does not allow the call, or others change it at the same time.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(AdminProblemDocument),
    /// The service has a fault; its log has the cause.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(AdminProblemDocument),
    /// The database does not answer. Try again after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(AdminProblemDocument),
}

/// The refusals of a diagnosis.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the responses")]
pub(super) enum DiagnoseRefusals {
    /// The hostname cannot be used.
    #[response(status = 400, content_type = "application/problem+json")]
    FieldInvalid(AdminProblemDocument),
    /// The token is missing or not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(AdminProblemDocument),
    /// The role of the token does not allow the call.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(AdminProblemDocument),
    /// The service does not know the domain.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(AdminProblemDocument),
    /// The domain is being diagnosed.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(AdminProblemDocument),
    /// There were too many diagnoses lately. Try again after `Retry-After`.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(AdminProblemDocument),
    /// The service has a fault; its log has the cause.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(AdminProblemDocument),
    /// The database does not answer. Try again after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(AdminProblemDocument),
}

/// A refused call.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Box<Problem<AdminProblem, NoResource>>,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(code: AdminProblem, detail: impl Into<String>) -> Self {
        Self {
            problem: Box::new(Problem::new(code, detail)),
            retry_after: None,
        }
    }

    /// The field that cannot be used, and the remedy; the refusal itself if it is of another kind.
    pub(super) fn into_field(self) -> Result<(String, String), Self> {
        match (self.problem.code, &self.problem.field) {
            (AdminProblem::FieldInvalid, Some(field)) => {
                Ok((field.clone(), self.problem.detail.clone()))
            }
            _ => Err(self),
        }
    }

    /// The reason of a refusal by the state; the refusal itself if it is of another kind.
    pub(super) fn into_conflict(self) -> Result<String, Self> {
        match self.problem.code {
            AdminProblem::Conflict => Ok(self.problem.detail.clone()),
            _ => Err(self),
        }
    }

    /// A field, parameter or header that cannot be used.
    pub(super) fn field(name: &str, detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(AdminProblem::FieldInvalid, detail);
        refusal.problem.field = Some(name.to_owned());
        refusal
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(AdminProblem::NotFound, detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(AdminProblem::Conflict, detail)
    }

    pub(super) fn key_reused() -> Self {
        let mut refusal = Self::new(
            AdminProblem::KeyReused,
            "the key was used for another call; give each call a key of its own",
        );
        refusal.problem.field = Some("Idempotency-Key".to_owned());
        refusal
    }

    /// The same, with the time to wait before the next call.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn too_many(detail: impl Into<String>, wait: Duration) -> Self {
        Self::new(AdminProblem::TooManyRequests, detail).after(wait)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            AdminProblem::MethodNotAllowed,
            "this path does not support this method; the Allow header lists those it does",
        )
    }

    pub(super) fn unauthorized() -> Self {
        let mut refusal = Self::new(
            AdminProblem::Unauthorized,
            "send the header \"Authorization: Bearer <token>\" with a token of Admin:Tokens",
        );
        refusal.problem.field = Some("Authorization".to_owned());
        refusal
    }

    pub(super) fn forbidden(caller: &Caller, role: AdminRole) -> Self {
        let (own, wanted) = (caller.role.as_str(), role.as_str());
        Self::new(
            AdminProblem::Forbidden,
            format!("the token has the role {own}; this call needs {wanted}"),
        )
    }

    pub(super) fn cross_site() -> Self {
        Self::new(
            AdminProblem::Forbidden,
            "the request came from another site; use the forms of this dashboard",
        )
    }

    pub(super) fn internal() -> Self {
        Self::new(
            AdminProblem::Internal,
            "the service failed; its log has the cause",
        )
    }

    pub(super) fn timeout() -> Self {
        let mut refusal = Self::new(
            AdminProblem::Unavailable,
            "the response was not ready in time; try again",
        );
        refusal.retry_after = Some(Duration::from_secs(5));
        refusal
    }
}

/// The detail of a problem, beside a response that carries it.
#[derive(Debug, Clone)]
pub(super) struct ProblemDetail(pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = dps_host::problem::response(&self.problem, self.retry_after);
        // A page for people shows it in its own form.
        let detail = self.problem.detail.clone();
        response.extensions_mut().insert(ProblemDetail(detail));
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %with_causes(&error), "admin.store_failed");
        let mut refusal = Self::new(
            AdminProblem::Unavailable,
            "the database does not answer; try again",
        );
        refusal.retry_after = Some(Duration::from_secs(5));
        refusal
    }
}

impl From<OperatorError> for Refusal {
    fn from(error: OperatorError) -> Self {
        let code = match error {
            OperatorError::Store(error) => return error.into(),
            OperatorError::TooSoon { wait, .. } => return Self::too_many(error.to_string(), wait),
            OperatorError::Changed(_) => AdminProblem::RecordChanged,
            OperatorError::Unknown(_)
            | OperatorError::NoSuchClaim(_)
            | OperatorError::UnknownTenant(_)
            | OperatorError::UnknownJob(_) => AdminProblem::NotFound,
            OperatorError::NotPaused(_)
            | OperatorError::SeveralClaims { .. }
            | OperatorError::JobEnded(_)
            | OperatorError::MoreThanConfirmed { .. }
            | OperatorError::NotLive { .. }
            | OperatorError::NotRevocable { .. }
            | OperatorError::NotWaiting { .. }
            | OperatorError::Contended(_) => AdminProblem::Conflict,
        };
        Self::new(code, error.to_string())
    }
}

pub(super) fn after_panic(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the text, which is not for callers.
    Refusal::internal().into_response()
}
