//! The refusals of each call as its part of the `OpenAPI` document.

use std::collections::BTreeMap;

use dps_cabinet_api::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode, ProblemSchema};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::examples;

/// One refusal that a call may answer with.
struct Refused {
    code: ProblemCode,
    /// The field, parameter or header that the example names; empty for none.
    field: &'static str,
    /// When it happens, as a sentence.
    when: &'static str,
}

impl Refused {
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
const ANY: &[Refused] = &[
    Refused::new(
        ProblemCode::Unauthorized,
        "Authorization",
        "The token of this side of the API is missing or wrong.",
    ),
    Refused::new(
        ProblemCode::Internal,
        "",
        "The Cabinet has a fault. Try again later.",
    ),
    BUSY,
];

const BUSY: Refused = Refused::new(
    ProblemCode::Timeout,
    "",
    "The Cabinet or its database is busy. Try again after `Retry-After`.",
);

/// Refusals of every call with a body.
const BODY: &[Refused] = &[
    Refused::new(
        ProblemCode::BodyInvalid,
        "body",
        "The body is not a JSON object.",
    ),
    Refused::new(
        ProblemCode::BodyTimeout,
        "body",
        "The body did not arrive within 10 seconds.",
    ),
    Refused::new(
        ProblemCode::BodyTooLarge,
        "body",
        "The body is larger than 16 KiB.",
    ),
    Refused::new(
        ProblemCode::MediaType,
        "Content-Type",
        "The body is not declared as `application/json`.",
    ),
];

const LIST: &[Refused] = &[
    Refused::new(
        ProblemCode::ParameterInvalid,
        "limit",
        "A parameter is wrong, unknown or repeated; `field` names it.",
    ),
    Refused::new(
        ProblemCode::CursorInvalid,
        "cursor",
        "The cursor was not given by this list. Start again without it.",
    ),
];

const FEED: &[Refused] = &[
    Refused::new(
        ProblemCode::ParameterInvalid,
        "wait",
        "A parameter is wrong, unknown or repeated; `field` names it.",
    ),
    Refused::new(
        ProblemCode::CursorInvalid,
        "after",
        "The feed does not know the cursor. Start again without it.",
    ),
    Refused::new(
        ProblemCode::NotFound,
        "",
        "This Cabinet does not offer the feed; so does 501. Poll by status.",
    ),
];

const ONE: &[Refused] = &[Refused::new(
    ProblemCode::NotFound,
    "id",
    "There is no domain with this id.",
)];

const CREATE: &[Refused] = &[
    Refused::new(
        ProblemCode::NameAlreadyClaimed,
        "hostname",
        "Another tenant holds the name.",
    ),
    Refused::new(
        ProblemCode::RemovalPending,
        "hostname",
        "The name is being removed. Ask again once it is removed.",
    ),
    Refused::new(
        ProblemCode::TooManyDomains,
        "tenantId",
        "The tenant holds as many domains as it may.",
    ),
    Refused::new(
        ProblemCode::NameInvalid,
        "hostname",
        "The hostname cannot be certified; `detail` says what to change.",
    ),
    Refused::new(
        ProblemCode::NameBlocked,
        "hostname",
        "The platform does not allow the name.",
    ),
    Refused::new(
        ProblemCode::FieldInvalid,
        "tenantId",
        "Another field is missing or wrong; `field` names it.",
    ),
    Refused::new(
        ProblemCode::TooManyCreations,
        "tenantId",
        "The tenant created as many domains in the last 24 hours as it may, removed ones included. Try \
         again after `Retry-After`.",
    ),
];

const RETRY: &[Refused] = &[
    Refused::new(
        ProblemCode::NotRetryable,
        "status",
        "There is nothing to retry; `detail` says why.",
    ),
    Refused::new(
        ProblemCode::RetryTooSoon,
        "",
        "A retry was asked for a moment ago. Try again after `Retry-After`.",
    ),
    Refused::new(
        ProblemCode::TooManyRetries,
        "tenantId",
        "The tenant retried as often in the last 24 hours as it may. Try again after `Retry-After`.",
    ),
];

const REPORT: &[Refused] = &[
    Refused::new(
        ProblemCode::ParameterInvalid,
        "If-Match",
        "`If-Match` is not one version in quotes.",
    ),
    Refused::new(
        ProblemCode::NotFound,
        "id",
        "There is no such domain. Only this document says so: a 404 without it is taken for a wrong \
         route and waited out.",
    ),
    Refused::new(
        ProblemCode::VersionMoved,
        "If-Match",
        "The version moved; `current` is the domain as it is now.",
    ),
    Refused::new(
        ProblemCode::FieldInvalid,
        "status",
        "A field is missing or wrong; `field` names it.",
    ),
    Refused::new(
        ProblemCode::IllegalMove,
        "status",
        "The domain cannot go from its status to the reported one; `current` is the domain as it is now.",
    ),
    Refused::new(
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
    ListRefusals: ANY, LIST;
    /// Refusals of the change feed.
    FeedRefusals: ANY, FEED;
    /// Refusals of a call that reads or removes one domain.
    OneRefusals: ANY, ONE;
    /// Refusals of a creation.
    CreateRefusals: ANY, BODY, CREATE;
    /// Refusals of a retry.
    RetryRefusals: ANY, ONE, RETRY;
    /// Refusals of a status report.
    ReportRefusals: ANY, BODY, REPORT;
    /// Refusals of the health check.
    HealthRefusals: &[BUSY];
}

/// One response per status, with an example per code.
fn responses(
    refusals: impl Iterator<Item = &'static Refused>,
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&Refused>> = BTreeMap::new();
    for refusal in refusals {
        let same_status = by_status.entry(refusal.code.http_status()).or_default();
        same_status.push(refusal);
    }
    by_status
        .into_iter()
        .map(|(status, refusals)| (status.to_string(), RefOr::T(response(status, &refusals))))
        .collect()
}

fn response(status: u16, refusals: &[&Refused]) -> Response {
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
