//! The refusals of each call in the `OpenAPI` document.

use std::collections::BTreeMap;

use dps_cabinet_api::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode, ProblemSchema};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::examples;

/// One possible refusal of a call.
struct DocumentedRefusal {
    code: ProblemCode,
    /// Field, parameter or header in the example; empty for none.
    field: &'static str,
    /// Condition, as a sentence.
    when: &'static str,
}

impl DocumentedRefusal {
    const fn new(code: ProblemCode, field: &'static str, when: &'static str) -> Self {
        Self { code, field, when }
    }

    fn example(&self) -> Problem {
        let mut problem = Problem::new(self.code, self.when);
        if !self.field.is_empty() {
            problem = problem.at(self.field);
        }
        if matches!(
            self.code,
            ProblemCode::VersionMoved | ProblemCode::IllegalMove
        ) {
            problem = problem.with_current(examples::domain());
        }
        problem
    }
}

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

/// One response per status, with an example per code.
fn responses(
    refusals: impl Iterator<Item = &'static DocumentedRefusal>,
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&DocumentedRefusal>> = BTreeMap::new();
    for refusal in refusals {
        let same_status = by_status.entry(refusal.code.http_status()).or_default();
        same_status.push(refusal);
    }
    by_status
        .into_iter()
        .map(|(status, refusals)| (status.to_string(), RefOr::T(response(status, &refusals))))
        .collect()
}

fn response(status: u16, refusals: &[&DocumentedRefusal]) -> Response {
    let sentences: Vec<&str> = refusals.iter().map(|refusal| refusal.when).collect();
    let examples = refusals.iter().map(|refusal| {
        let example = ExampleBuilder::new()
            .summary(refusal.code.title())
            .value(Some(serde_json::json!(refusal.example())));
        (refusal.code.as_str(), example)
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemSchema::name())))
        .examples_from_iter(examples);
    let response = ResponseBuilder::new()
        .description(sentences.join(" "))
        .content(PROBLEM_CONTENT_TYPE, content.build());
    match status {
        401 => response.header(
            "WWW-Authenticate",
            header(Type::String, "The scheme: `Bearer`."),
        ),
        429 | 503 => response.header("Retry-After", header(Type::Integer, "Seconds to wait.")),
        _ => response,
    }
    .build()
}

fn header(kind: Type, description: &str) -> Header {
    let minimum = (kind == Type::Integer).then_some(1);
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::new(kind))
        .minimum(minimum);
    HeaderBuilder::new()
        .schema(Some(schema.build()))
        .description(Some(description))
        .build()
}
