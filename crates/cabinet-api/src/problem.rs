//! Refusals as problem documents.

use std::fmt;

use dps_domain::FailureCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CustomDomain;

/// Media type of a [`Problem`] (RFC 9457 §3).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// Why a call was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// URI reference of the kind of problem; `about:blank` when the code says it all.
    #[serde(rename = "type", default = "about_blank")]
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

fn about_blank() -> String {
    "about:blank".to_owned()
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident => $text:literal, $status:literal, $title:literal;)*) => {
        /// The code of a [`Problem`]. Problems with a name carry the code of the failure catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode { $($(#[$doc])* $variant,)* }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it travels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The kind of problem in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// The text is no hostname that a CA certifies.
    NameInvalid => "NAME_INVALID", 422, "The hostname cannot be used";
    /// The platform's policy refuses the name.
    NameBlocked => "NAME_BLOCKED", 422, "The hostname is not allowed on this platform";
    /// Another tenant holds the name.
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

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Problem {
    /// A problem of the given kind. `detail` says what is wrong this time and what to do.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: about_blank(),
            title: code.title().to_owned(),
            status: code.http_status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            field: None,
            current: None,
        }
    }

    /// The same, naming the field, parameter or header at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the domain as it is now.
    #[must_use]
    pub fn with_current(mut self, domain: CustomDomain) -> Self {
        self.current = Some(Box::new(domain));
        self
    }

    /// The code as one of ours, unless it belongs to another Cabinet or a later contract.
    pub fn code(&self) -> Option<ProblemCode> {
        ProblemCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == self.code)
    }

    /// The code as one of the failure catalogue.
    pub fn failure_code(&self) -> Option<FailureCode> {
        FailureCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == self.code)
    }
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
                problem.failure_code().map(FailureCode::as_str),
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
