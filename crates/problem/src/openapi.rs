//! The refusals of a call in an `OpenAPI` document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::{PROBLEM_CONTENT_TYPE, Problem, ProblemKind};

/// A refusal, as a problem document (RFC 9457).
// The schema of [`Problem`]; never a value.
#[derive(Serialize, ToSchema)]
struct ProblemSchema {
    /// A URI that names the kind of problem; `about:blank` when the code says it all.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: String,
    /// The kind of problem in words, the same at each occurrence.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The fault this time, and the remedy.
    detail: String,
    /// The stable code.
    code: String,
    /// The field, parameter or header that is wrong, by its name on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl<C> PartialSchema for Problem<C> {
    fn schema() -> RefOr<Schema> {
        ProblemSchema::schema()
    }
}

impl<C> ToSchema for Problem<C> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }
}

/// The form of an interface's refusals.
#[derive(Debug, Clone, Copy)]
pub struct RefusalForm<'a> {
    /// The name of the schema of problem documents.
    pub schema: &'a str,
    /// Whether statuses 429 and 503 come with `Retry-After`.
    pub has_retry_after: bool,
}

/// One possible refusal of a call.
#[derive(Debug)]
pub struct DocumentedRefusal<K> {
    /// Its code.
    pub kind: K,
    /// Field, parameter or header in the example; empty for none.
    pub field: &'static str,
    /// Condition, as a sentence.
    pub when: &'static str,
}

impl<K> DocumentedRefusal<K> {
    /// A refusal.
    pub const fn new(kind: K, field: &'static str, when: &'static str) -> Self {
        Self { kind, field, when }
    }
}

/// Returns one response for each status, with an example of each code.
pub fn responses<K: ProblemKind + 'static>(
    refusals: impl Iterator<Item = &'static DocumentedRefusal<K>>,
    form: RefusalForm<'_>,
    example: impl Fn(&DocumentedRefusal<K>) -> Value,
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&DocumentedRefusal<K>>> = BTreeMap::new();
    for refusal in refusals {
        let same_status = by_status.entry(refusal.kind.http_status()).or_default();
        same_status.push(refusal);
    }
    let documented = |(status, refusals): (u16, Vec<&DocumentedRefusal<K>>)| {
        let response = response(status, &refusals, form, &example);
        (status.to_string(), RefOr::T(response))
    };
    by_status.into_iter().map(documented).collect()
}

fn response<K: ProblemKind>(
    status: u16,
    refusals: &[&DocumentedRefusal<K>],
    form: RefusalForm<'_>,
    example: impl Fn(&DocumentedRefusal<K>) -> Value,
) -> Response {
    let sentences: Vec<&str> = refusals.iter().map(|refusal| refusal.when).collect();
    let examples = refusals.iter().map(|refusal| {
        let value = ExampleBuilder::new()
            .summary(refusal.kind.title())
            .value(Some(example(refusal)));
        (refusal.kind.code(), value)
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(form.schema)))
        .examples_from_iter(examples);
    let response = ResponseBuilder::new()
        .description(sentences.join(" "))
        .content(PROBLEM_CONTENT_TYPE, content.build());
    match status {
        401 => response.header(
            "WWW-Authenticate",
            header(Type::String, "The scheme: `Bearer`."),
        ),
        429 | 503 if form.has_retry_after => {
            response.header("Retry-After", header(Type::Integer, "Seconds to wait."))
        }
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
