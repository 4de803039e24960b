//! The endpoints that need no token.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use dps_cabinet_api::ProblemCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use super::refusals::HealthRefusals;
use super::{Shared, openapi_document};
use crate::refusal::Refusal;

/// How long the database may take before the Cabinet calls itself unhealthy.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// When to look again at a Cabinet that is unhealthy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The answer of a healthy Cabinet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `Healthy`; anything else is a refusal.
    #[schema(example = "Healthy")]
    status: &'static str,
}

/// Whether the Cabinet and its database answer.
#[utoipa::path(get, path = "/health", tag = "public", security(()), operation_id = "getHealth", responses(
    (status = 200, body = Health, description = "Healthy.", example = json!({"status": "Healthy"})),
    HealthRefusals,
))]
pub(super) async fn health(State(app): Shared) -> Result<Json<Health>, Refusal> {
    match tokio::time::timeout(PING_TIMEOUT, app.store.last_position()).await {
        Ok(Ok(_)) => Ok(Json(Health { status: "Healthy" })),
        Ok(Err(_)) | Err(_) => {
            let refusal = Refusal::new(ProblemCode::Timeout, "the database does not answer");
            Err(refusal.retry_after(RETRY_AFTER))
        }
    }
}

/// This contract as an `OpenAPI` document.
#[utoipa::path(get, path = "/openapi.json", tag = "public", security(()), operation_id = "getOpenApiDocument", responses(
    (status = 200, body = Object, description = "The document.",
        example = json!({"openapi": "3.1.0", "info": {"title": "Cabinet API", "version": "1"}, "paths": {}})),
))]
pub(super) async fn openapi() -> Json<OpenApi> {
    Json(openapi_document())
}
