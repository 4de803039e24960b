//! The `OpenAPI` document, and the parts of it that all calls have in common.

use axum::Json;
use dps_problem::PROBLEM_CONTENT_TYPE;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{LicenseBuilder, OpenApi, Ref, RefOr, Required};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::idempotency::MAX_KEY_BYTES;
use super::problem::AdminProblemDocument;
use super::{admin_routes, operator_routes, public_routes, viewer_routes};

/// Returns this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApiDocument",
    tag = "public",
    responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value))
)]
pub(super) async fn openapi() -> Json<OpenApi> {
    Json(openapi_document())
}

/// Returns the `OpenAPI` document, as in `docs/openapi/admin-v1.json`.
pub fn openapi_document() -> OpenApi {
    let mut document = OpenApi::default();
    for routes in [viewer_routes(), operator_routes(), admin_routes()] {
        let mut calls = routes.into_openapi();
        for path in calls.paths.paths.values_mut() {
            path.get.as_mut().map(add_conditional_read);
            path.post.as_mut().map(add_idempotency);
        }
        document.merge(calls);
    }
    document.merge(public_routes().into_openapi());
    "Admin API".clone_into(&mut document.info.title);
    "1".clone_into(&mut document.info.version);
    document.info.description = Some(
        "For the operator's people and programs. Every call needs a bearer token of the section Admin of the settings. \
         The role of the token is Viewer, Operator or Admin; each allows the calls of the roles before it. A call that \
         acts is recorded with the name of the token's holder, and one on a domain also in its history. Every refusal is a problem \
         document (RFC 9457) with a stable code. Clients ignore fields that they do not know."
            .to_owned(),
    );
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    document.info.license = Some(license.build());
    let server = |url: &str, text: &str| {
        ServerBuilder::new()
            .url(url)
            .description(Some(text))
            .build()
    };
    document.servers = Some(vec![
        server("/", "The service that serves this document."),
        server("http://127.0.0.1:8082", "A service with default settings."),
    ]);
    let tags = [
        ("viewer", "Calls that change nothing."),
        ("operator", "Calls that act on domains, limits or issuance."),
        ("admin", "Calls that change who takes part."),
        ("public", "Calls without a token."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    document.tags = Some(tags.map(tag).to_vec());
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("A token of Admin:Tokens.".to_owned());
    let components = document.components.get_or_insert_default();
    // Refusals refer to it by name, which registers no schema.
    components.schemas.insert(
        AdminProblemDocument::name().into_owned(),
        AdminProblemDocument::schema(),
    );
    components
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    document
}

/// The header and answers of [`super::conditional::tag`], and those of every call.
fn add_conditional_read(call: &mut Operation) {
    let text = "The ETag of a document that the caller has. If it is current, the answer is 304.";
    add_header(call, ("If-None-Match", text), None);
    let etag = HeaderBuilder::new()
        .description(Some("The tag of the document."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    let unchanged = ResponseBuilder::new().description("The document of the tag is current.");
    let unchanged = unchanged.header("ETag", etag.clone()).build();
    add_answer(call, "304", unchanged);
    if let Some(RefOr::T(found)) = call.responses.responses.get_mut("200") {
        found.headers.insert("ETag".to_owned(), etag.into());
    }
    add_rate(call);
}

/// The header and answers of [`super::idempotency`], and those of every call.
fn add_idempotency(call: &mut Operation) {
    let text = "A value that is new for each call, such as a UUID. Repeat the call with the same value if its answer \
                was lost: it is carried out once. Keys are kept for 24 hours.";
    add_header(call, ("Idempotency-Key", text), Some(MAX_KEY_BYTES));
    let reused = refusal("The idempotency key was used for another call.");
    add_answer(call, "422", reused);
    // The first call with the key may be under way.
    if !call.responses.responses.contains_key("409") {
        add_answer(call, "409", refusal("The call is under way."));
    }
    let has_condition = |name: &str| {
        let parameters = call.parameters.iter().flatten();
        let mut parameters = parameters.filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        });
        parameters.any(|parameter| parameter.name == name)
    };
    if has_condition("If-Match") {
        let changed = refusal("The domain was changed since its document was read.");
        add_answer(call, "412", changed);
    }
    add_rate(call);
}

fn add_rate(call: &mut Operation) {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
        .build();
    let wait = HeaderBuilder::new()
        .description(Some("Seconds until the next call."))
        .schema(Some(seconds))
        .build();
    let mut refused = refusal("The call was made too often lately.");
    refused
        .headers
        .insert("Retry-After".to_owned(), wait.into());
    add_answer(call, "429", refused);
}

fn add_header(call: &mut Operation, (name, text): (&str, &str), longest: Option<usize>) {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(longest);
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema));
    let parameters = call.parameters.get_or_insert_default();
    parameters.push(parameter.build().into());
}

fn add_answer(call: &mut Operation, status: &str, answer: Response) {
    let answers = &mut call.responses.responses;
    answers.insert(status.to_owned(), answer.into());
}

/// A response with a problem document.
fn refusal(text: &str) -> Response {
    let problem = Ref::from_schema_name(AdminProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(problem)).build();
    ResponseBuilder::new()
        .description(text)
        .content(PROBLEM_CONTENT_TYPE, content)
        .build()
}
