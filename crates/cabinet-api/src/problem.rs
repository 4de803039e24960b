//! Refusals as problem documents.

use std::fmt;
use std::ops::Deref;

use dps_domain::FailureCode;
use dps_problem::{CodeMember, problem_codes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CustomDomain;

pub use dps_problem::PROBLEM_CONTENT_TYPE;

/// Why a call was refused (RFC 9457).
pub type Problem = dps_problem::Problem<Code, CustomDomain>;

/// A stable code: one of [`ProblemCode`], of the failure catalogue, or of another Cabinet; empty
/// where a problem has none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(String);

impl Deref for Code {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Code {
    /// The code as one of the failure catalogue.
    pub fn failure_code(&self) -> Option<FailureCode> {
        FailureCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == self.0)
    }
}

impl CodeMember for Code {
    type Kind = ProblemCode;

    /// Other Cabinets send what their framework makes.
    const NEEDS_ALL_MEMBERS: bool = false;

    fn of(kind: ProblemCode) -> Self {
        Self(kind.as_str().to_owned())
    }

    fn kind(&self) -> Option<ProblemCode> {
        ProblemCode::named(&self.0)
    }

    fn read(member: Option<String>) -> Option<Self> {
        Some(Self(member.unwrap_or_default()))
    }
}

problem_codes! {
    /// The code of a [`Problem`]. Problems with a name carry the code of the failure catalogue.
    pub enum ProblemCode {
        /// The text is no hostname that a CA certifies.
        NameInvalid => "NAME_INVALID", 422, "The hostname cannot be used";
        /// The platform's policy refuses the name.
        NameBlocked => "NAME_BLOCKED", 422, "The hostname is not allowed on this platform";
        /// Another tenant claims the name, and the Cabinet takes one claim only.
        NameAlreadyClaimed => "NAME_ALREADY_CLAIMED", 409, "The hostname is already in use";
        /// The tenant asks for a name whose removal is under way.
        RemovalPending => "REMOVAL_PENDING", 409, "The hostname is being removed";
        /// The body is no JSON of the right shape.
        BodyInvalid => "BODY_INVALID", 400, "The body cannot be read";
        /// The body is larger than the contract allows.
        BodyTooLarge => "BODY_TOO_LARGE", 413, "The body is too large";
        /// The body did not arrive in time.
        BodyTimeout => "BODY_TIMEOUT", 408, "The body did not arrive in time";
        /// The body's media type is not JSON.
        MediaType => "MEDIA_TYPE", 415, "The body must be JSON";
        /// A query parameter or path segment is wrong.
        ParameterInvalid => "PARAMETER_INVALID", 400, "A parameter is wrong";
        /// The cursor was not made by this list.
        CursorInvalid => "CURSOR_INVALID", 400, "The cursor is not valid";
        /// A field of the body has a value that is not allowed.
        FieldInvalid => "FIELD_INVALID", 422, "A field is wrong";
        /// No token, or a wrong one.
        Unauthorized => "UNAUTHORIZED", 401, "A valid bearer token is required";
        /// No such domain, or no such path.
        NotFound => "NOT_FOUND", 404, "Not found";
        /// The path knows other methods only.
        MethodNotAllowed => "METHOD_NOT_ALLOWED", 405, "The method is not allowed here";
        /// A report without `If-Match` (RFC 6585 §3).
        VersionRequired => "VERSION_REQUIRED", 428, "If-Match is required";
        /// The domain changed since the version in `If-Match`.
        VersionMoved => "VERSION_MOVED", 409, "The domain has changed";
        /// The domain cannot go from its status to the asked one.
        IllegalMove => "ILLEGAL_MOVE", 422, "The move is not allowed";
        /// A retry was asked for where there is nothing to retry.
        NotRetryable => "NOT_RETRYABLE", 409, "There is nothing to retry";
        /// A retry was asked for too soon after the one before.
        RetryTooSoon => "RETRY_TOO_SOON", 429, "Too many retries";
        /// The tenant retried as often as it may in a day.
        TooManyRetries => "TOO_MANY_RETRIES", 429, "Too many retries by the tenant";
        /// The tenant created as many domains as it may in a day, removed ones included.
        TooManyCreations => "TOO_MANY_CREATIONS", 429, "Too many creations by the tenant";
        /// The tenant holds as many domains as it may.
        TooManyDomains => "TOO_MANY_DOMAINS", 409, "The tenant holds too many domains";
        /// The Cabinet could not answer in time.
        Timeout => "TIMEOUT", 503, "The Cabinet is busy";
        /// A fault of the Cabinet itself.
        Internal => "INTERNAL", 500, "The Cabinet has a fault";
    }
}

/// Why a call was refused (RFC 9457).
// The schema of `Problem` in the contract; never a value.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemSchema {
    /// URI reference of the kind of problem; `about:blank` when the code says it all.
    #[serde(rename = "type", default)]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// The kind of problem in words, the same at each occurrence.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    #[schema(minimum = 400, maximum = 599, example = 422)]
    pub status: u16,
    /// The cause of this refusal and its remedy.
    #[serde(default)]
    pub detail: String,
    /// Stable code: one of [`ProblemCode`] or of the failure catalogue.
    #[serde(default)]
    #[schema(example = "NAME_INVALID")]
    pub code: String,
    /// The field, parameter or header that is wrong, by its name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "hostname")]
    pub field: Option<String>,
    /// The domain as it is now, when its version moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<CustomDomain>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_with_a_name_speak_the_failure_catalogue() {
        for code in [
            ProblemCode::NameInvalid,
            ProblemCode::NameBlocked,
            ProblemCode::NameAlreadyClaimed,
        ] {
            let problem = Problem::new(code, "x").at("hostname");
            assert_eq!(
                problem.code.failure_code().map(FailureCode::as_str),
                Some(code.as_str())
            );
            assert_eq!(problem.code(), Some(code));
        }
    }

    #[test]
    fn a_problem_of_somebody_elses_cabinet_is_read_with_what_it_has() {
        let problem: Problem = serde_json::from_str(r#"{"title":"Nope","instance":"/x"}"#).unwrap();
        assert_eq!((problem.title.as_str(), problem.code()), ("Nope", None));
        assert_eq!(problem.kind, "about:blank");
    }
}
