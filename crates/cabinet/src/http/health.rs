//! What anybody may ask.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Shared, openapi_document};

/// How long the database may take before the Cabinet calls itself unhealthy.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the Cabinet and its database answer.
#[utoipa::path(get, path = "/health", tag = "public", responses(
    (status = 200, description = "Healthy."),
    (status = 503, description = "The database does not answer."),
))]
pub(super) async fn health(State(app): Shared) -> Response {
    let (status, word) = match tokio::time::timeout(PING_TIMEOUT, app.store.last_position()).await {
        Ok(Ok(_)) => (StatusCode::OK, "Healthy"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
    };
    (status, Json(serde_json::json!({ "status": word }))).into_response()
}

/// This contract as an `OpenAPI` document.
#[utoipa::path(get, path = "/openapi.json", tag = "public", responses((status = 200, description = "The document.")))]
pub(super) async fn openapi() -> Response {
    Json(openapi_document()).into_response()
}
