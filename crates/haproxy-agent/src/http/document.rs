//! The `OpenAPI` document of the agent.

use std::collections::BTreeMap;

use axum::Json;
use dps_agent_api::{Problem, ProblemCode};
use dps_problem::openapi::{self, RefusalForm};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{LicenseBuilder, OpenApi, RefOr, Response};
use utoipa::{IntoResponses, PartialSchema as _};

type DocumentedRefusal = openapi::DocumentedRefusal<ProblemCode>;

macro_rules! refusals {
    ($($name:ident = $($code:ident $field:literal $when:literal,)+;)*) => {$(
        const $name: &[DocumentedRefusal] =
            &[$(DocumentedRefusal::new(ProblemCode::$code, $field, $when),)+];
    )*};
}

refusals! {
    COMMON =
        Unauthorized "" "The token is missing or wrong, or the agent accepts the call only over mutual TLS.",
        RequestTimeout "" "The request was not served in time. Try again.",
    ;
    PARAMETER =
        RequestMalformed "hostname" "The path, the query or the body cannot be read; `field` names the part.",
    ;
    BODY =
        RequestTooLarge "" "The body is too long.",
    ;
    CAPACITY =
        CapacityExhausted "" "The agent holds as much as its settings allow.",
    ;
    HAPROXY =
        Internal "" "The agent or its disk failed. Its log has the cause.",
        HaproxyUnreachable "" "HAProxy does not answer on its Runtime API. Try again.",
    ;
    GENERATION =
        GenerationStale "generation" "The agent holds a newer generation of this hostname.",
    ;
    APPLY =
        GenerationConflict "generation" "The generation was applied with another certificate.",
        ChainMalformed "chainPem" "The chain cannot be parsed.",
        ChainOutOfOrder "chainPem" "A certificate is not signed by the next one.",
        KeyMalformed "privateKeyPem" "The private key cannot be parsed.",
        KeyMismatch "privateKeyPem" "The private key belongs to another certificate.",
        NameNotCovered "hostname" "The certificate is for other names.",
        NotYetValid "chainPem" "The certificate is not valid yet.",
        Expired "chainPem" "The certificate has expired.",
        WeakKey "chainPem" "The key is too weak.",
        WeakSignature "chainPem" "A signature uses a broken hash function.",
        WrongUsage "chainPem" "The certificate is not for TLS servers.",
        NotAnAuthority "chainPem" "A certificate above the leaf is not an authority's.",
        FingerprintMismatch "fingerprint" "The fingerprint is not the chain's.",
        PayloadTooLarge "chainPem" "Chain or key do not fit into HAProxy's buffer.",
        EdgeRejected "chainPem" "HAProxy refused the certificate.",
        EdgeMismatch "" "HAProxy took the certificate but presents another one.",
    ;
}

macro_rules! refusals_of_calls {
    ($($(#[$doc:meta])* $name:ident: $($part:expr),+;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let form = RefusalForm { schema: "Problem", has_retry_after: false };
                let refusals = [$($part),+].into_iter().flatten();
                openapi::responses(refusals, form, |refusal| serde_json::json!(example(refusal)))
            }
        }
    )*};
}

refusals_of_calls! {
    /// Refusals of an apply.
    ApplyRefusals: COMMON, PARAMETER, BODY, CAPACITY, HAPROXY, GENERATION, APPLY;
    /// Refusals of a batch as a whole.
    BatchRefusals: COMMON, PARAMETER, BODY;
    /// Refusals of a removal.
    RemoveRefusals: COMMON, PARAMETER, HAPROXY, GENERATION;
    /// Refusals of a call with parameters and without a body.
    ReadRefusals: COMMON, PARAMETER;
    /// Refusals of a publication.
    PublishRefusals: COMMON, PARAMETER, BODY, CAPACITY;
    /// Refusals of a probe.
    ProbeRefusals: COMMON, PARAMETER, BODY;
}

fn example(refusal: &DocumentedRefusal) -> Problem {
    let problem = Problem::new(refusal.kind, refusal.when);
    match refusal.field {
        "" => problem,
        field => problem.at(field),
    }
}

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

/// Returns the `OpenAPI` document, as in `docs/openapi/agent-v1.json`.
pub fn openapi_document() -> OpenApi {
    let mut document = OpenApi::default();
    for routes in [super::internal_routes(), super::public_routes()] {
        document.merge(routes.into_openapi());
    }
    "Agent API".clone_into(&mut document.info.title);
    "1".clone_into(&mut document.info.version);
    document.info.description = Some(
        "The agent beside each HAProxy. The service applies certificates, compares what the agent holds, publishes \
         HTTP-01 challenges and lets the agent probe names. With Agent:Tls, these calls are answered only over mutual \
         TLS, at the address of Agent:Tls:Listen. Every refusal is a problem document (RFC 9457) with a stable code. \
         Unknown fields are ignored, so either side may be a version ahead."
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
        server("/", "The agent that serves this document."),
        server("http://127.0.0.1:9402", "An agent with default settings."),
        server(
            "https://edge.example:9403",
            "An agent on another machine, by mutual TLS.",
        ),
    ]);
    let tags = [
        ("internal", "Calls of the service."),
        ("public", "Calls without a token, on Agent:Listen."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    document.tags = Some(tags.map(tag).to_vec());
    let components = document.components.get_or_insert_default();
    // Refusals refer to it by name, which registers no schema.
    components
        .schemas
        .insert("Problem".to_owned(), Problem::schema());
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("The token of Agent:Token.".to_owned());
    let mutual_tls = SecurityScheme::MutualTls {
        description: Some("A client certificate of Agent:Tls:ClientCaFile.".to_owned()),
        extensions: None,
        deprecated: None,
    };
    components
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    components
        .security_schemes
        .insert("mutualTls".to_owned(), mutual_tls.into());
    document
}
