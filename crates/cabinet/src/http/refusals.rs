//! The refusals of each call in the `OpenAPI` document.

use std::collections::BTreeMap;

use dps_cabinet_api::{Problem, ProblemCode, ProblemSchema};
use dps_problem::openapi::{self, RefusalForm};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use super::examples;

/// One possible refusal of a call.
type DocumentedRefusal = openapi::DocumentedRefusal<ProblemCode>;

/// Refusals of every call that needs a token.
const COMMON: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::Unauthorized,
        "Authorization",
        "The token of this side of the API is missing or wrong.",
    ),
    DocumentedRefusal::new(
        ProblemCode::Internal,
        "",
        "The Cabinet has a fault. Try again later.",
    ),
    BUSY,
];

const BUSY: DocumentedRefusal = DocumentedRefusal::new(
    ProblemCode::Timeout,
    "",
    "The Cabinet or its database is busy. Try again after `Retry-After`.",
);

/// Refusals of every call with a body.
const BODY: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::BodyInvalid,
        "body",
        "The body is not a JSON object.",
    ),
    DocumentedRefusal::new(
        ProblemCode::BodyTimeout,
        "body",
        "The body did not arrive within 10 seconds.",
    ),
    DocumentedRefusal::new(
        ProblemCode::BodyTooLarge,
        "body",
        "The body is larger than 16 KiB.",
    ),
    DocumentedRefusal::new(
        ProblemCode::MediaType,
        "Content-Type",
        "The body is not declared as `application/json`.",
    ),
];

const LIST: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::ParameterInvalid,
        "limit",
        "A parameter is wrong, unknown or repeated; `field` names it.",
    ),
    DocumentedRefusal::new(
        ProblemCode::CursorInvalid,
        "cursor",
        "The cursor is not one of this list. Start again without it.",
    ),
];

const FEED: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::ParameterInvalid,
        "wait",
        "A parameter is wrong, unknown or repeated; `field` names it.",
    ),
    DocumentedRefusal::new(
        ProblemCode::CursorInvalid,
        "after",
        "The feed does not know the cursor. Start again without it.",
    ),
    DocumentedRefusal::new(
        ProblemCode::NotFound,
        "",
        "This Cabinet has no change feed; 501 means the same. Poll by status.",
    ),
];

const GET: &[DocumentedRefusal] = &[DocumentedRefusal::new(
    ProblemCode::NotFound,
    "id",
    "There is no domain with this id.",
)];

const CREATE: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::NameAlreadyClaimed,
        "hostname",
        "Another tenant claims the name, and this Cabinet takes one claim only.",
    ),
    DocumentedRefusal::new(
        ProblemCode::RemovalPending,
        "hostname",
        "The name is being removed. Try again when it is removed.",
    ),
    DocumentedRefusal::new(
        ProblemCode::TooManyDomains,
        "tenantId",
        "The tenant has reached its limit of domains.",
    ),
    DocumentedRefusal::new(
        ProblemCode::NameInvalid,
        "hostname",
        "The hostname cannot be certified; `detail` says what to change.",
    ),
    DocumentedRefusal::new(
        ProblemCode::NameBlocked,
        "hostname",
        "The platform does not allow the name.",
    ),
    DocumentedRefusal::new(
        ProblemCode::FieldInvalid,
        "tenantId",
        "Another field is missing or wrong; `field` names it.",
    ),
    DocumentedRefusal::new(
        ProblemCode::TooManyCreations,
        "tenantId",
        "The tenant has reached its limit of creations in 24 hours, removed domains included. Try again \
         after `Retry-After`.",
    ),
];

const RETRY: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::NotRetryable,
        "status",
        "There is nothing to retry; `detail` says why.",
    ),
    DocumentedRefusal::new(
        ProblemCode::RetryTooSoon,
        "",
        "The last retry was a moment ago. Try again after `Retry-After`.",
    ),
    DocumentedRefusal::new(
        ProblemCode::TooManyRetries,
        "tenantId",
        "The tenant has reached its limit of retries in 24 hours. Try again after `Retry-After`.",
    ),
];

const REPORT: &[DocumentedRefusal] = &[
    DocumentedRefusal::new(
        ProblemCode::ParameterInvalid,
        "If-Match",
        "`If-Match` is not one version in quotes.",
    ),
    DocumentedRefusal::new(
        ProblemCode::NotFound,
        "id",
        "There is no domain with this id. A 404 without this document is treated as a routing fault, and \
         the report is retried.",
    ),
    DocumentedRefusal::new(
        ProblemCode::VersionMoved,
        "If-Match",
        "The version changed; `current` is the domain as it is now.",
    ),
    DocumentedRefusal::new(
        ProblemCode::FieldInvalid,
        "status",
        "A field is missing or wrong; `field` names it.",
    ),
    DocumentedRefusal::new(
        ProblemCode::IllegalMove,
        "status",
        "The domain cannot go from its status to the reported one; `current` is the domain as it is now.",
    ),
    DocumentedRefusal::new(
        ProblemCode::VersionRequired,
        "If-Match",
        "`If-Match` is missing.",
    ),
];

macro_rules! refusals_of_calls {
    ($($(#[$doc:meta])* $name:ident: $($part:expr),+;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses([$($part),+].into_iter().flatten())
            }
        }
    )*};
}

refusals_of_calls! {
    /// Refusals of a list.
    ListRefusals: COMMON, LIST;
    /// Refusals of the change feed.
    FeedRefusals: COMMON, FEED;
    /// Refusals of a call that reads or removes one domain.
    GetRefusals: COMMON, GET;
    /// Refusals of a creation.
    CreateRefusals: COMMON, BODY, CREATE;
    /// Refusals of a retry.
    RetryRefusals: COMMON, GET, RETRY;
    /// Refusals of a status report.
    ReportRefusals: COMMON, BODY, REPORT;
    /// Refusals of the health check.
    HealthRefusals: &[BUSY];
}

fn responses(
    refusals: impl Iterator<Item = &'static DocumentedRefusal>,
) -> BTreeMap<String, RefOr<Response>> {
    let form = RefusalForm {
        schema: &ProblemSchema::name(),
        has_retry_after: true,
    };
    openapi::responses(refusals, form, |refusal| {
        serde_json::json!(example(refusal))
    })
}

fn example(refusal: &DocumentedRefusal) -> Problem {
    let mut problem = Problem::new(refusal.kind, refusal.when);
    if !refusal.field.is_empty() {
        problem = problem.at(refusal.field);
    }
    if matches!(
        refusal.kind,
        ProblemCode::VersionMoved | ProblemCode::IllegalMove
    ) {
        problem = problem.with_current(examples::domain());
    }
    problem
}
