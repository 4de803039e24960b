//! The system as a whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dps_admin_api::System;

use super::App;
use super::problem::{ReadRefusals, Refusal};
use crate::documents::{self, SystemParts};

/// Shows the system.
///
/// The document has the replicas, the database, periodic tasks, queues, key-encryption keys, and
/// the readiness of the answering replica.
#[utoipa::path(get, path = "/admin/v1/system", tag = "viewer", operation_id = "showSystem",
    security(("token" = [])),
    responses((status = 200, description = "The system.", body = System), ReadRefusals))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<System>, Refusal> {
    Ok(Json(shown(&app).await?))
}

/// The system, for a call or a page.
pub(super) async fn shown(app: &App) -> Result<System, Refusal> {
    let process = &app.process;
    let parts = SystemParts {
        replica: &process.replica,
        readiness: process.readiness.document().await,
        key_ids: &process.key_ids,
        freeze: app.policy.freeze.at(app.now()),
        secrets_under_old_keys: process.metrics.counted_secrets_under_old_keys(),
    };
    Ok(documents::system(app.store.as_ref(), app.now(), parts).await?)
}
