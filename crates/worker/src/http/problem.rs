//! Problem documents (RFC 9457).

use std::any::Any;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_problem::{CodeMember, problem_codes};
use serde::{Serialize, Serializer};

use super::TIMEOUT;

problem_codes! {
    /// An error as these pages report it.
    pub enum ProblemCode {
        /// No such path.
        NotFound => "NOT_FOUND", 404, "Not Found";
        /// The path has other methods.
        MethodNotAllowed => "METHOD_NOT_ALLOWED", 405, "Method Not Allowed";
        /// No answer within the bound.
        Timeout => "TIMEOUT", 503, "Service Unavailable";
        /// A fault of ours.
        Internal => "INTERNAL", 500, "Internal Server Error";
    }
}

impl ProblemCode {
    /// The fault and the remedy.
    const fn detail(self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing at this path.",
            Self::MethodNotAllowed => {
                "This path does not support this method; the Allow header lists those it does."
            }
            Self::Timeout => "The response was not ready in time; try again.",
            Self::Internal => "The service failed; its log has the cause.",
        }
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl CodeMember for ProblemCode {
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

impl IntoResponse for ProblemCode {
    fn into_response(self) -> Response {
        let problem: dps_problem::Problem<Self> = dps_problem::Problem::new(self, self.detail());
        dps_host::problem::response(&problem, None)
    }
}

pub(super) async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => ProblemCode::Timeout.into_response(),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
pub(super) fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = message.unwrap_or("without a message"),
        "http.handler_panicked"
    );
    ProblemCode::Internal.into_response()
}
