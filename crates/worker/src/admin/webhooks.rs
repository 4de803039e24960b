//! The receivers of events.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{RedeliverRequest, Redelivering, WebhookReceivers};

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::documents::webhooks::{self, RedeliverError};

/// Longest identifier of an event and longest name of a receiver, in bytes.
const MAX_TEXT: usize = 500;

/// Lists the receivers of events with their deliveries.
#[utoipa::path(get, path = "/admin/v1/webhooks", tag = "viewer", operation_id = "listWebhooks",
    security(("token" = [])),
    responses((status = 200, description = "The receivers.", body = WebhookReceivers), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<WebhookReceivers>, Refusal> {
    let configured = app.settings.webhook_receivers();
    Ok(Json(
        webhooks::receivers(app.store.as_ref(), &configured).await?,
    ))
}

/// Delivers events again that were delivered or given up in the last 14 days.
#[utoipa::path(post, path = "/admin/v1/webhooks/redeliver", tag = "operator",
    operation_id = "redeliverWebhooks", security(("token" = [])),
    request_body(content = RedeliverRequest, description = "The events."),
    responses((status = 200, description = "The deliveries are due.", body = Redelivering),
        ActionRefusals))]
pub(super) async fn redeliver(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<RedeliverRequest>,
) -> Result<Json<Redelivering>, Refusal> {
    let reason = checked_reason(request.reason.as_deref())?;
    for (field, text) in [("event", &request.event), ("receiver", &request.receiver)] {
        let is_usable = |text: &String| text.len() <= MAX_TEXT && !text.contains(char::is_control);
        if !text.as_ref().is_none_or(is_usable) {
            let detail = format!("give up to {MAX_TEXT} bytes without control characters");
            return Err(Refusal::field(field, detail));
        }
    }
    let who = caller.in_history();
    let author = (caller.requester(&who, reason), app.now());
    let done = webhooks::redeliver(app.store.as_ref(), author, &request).await?;
    tracing::info!(deliveries = done.deliveries, by = %who, reason, "admin.redelivery_requested");
    Ok(Json(done))
}

impl From<RedeliverError> for Refusal {
    fn from(error: RedeliverError) -> Self {
        match error {
            RedeliverError::Which => Self::field("event", error.to_string()),
            RedeliverError::Store(error) => error.into(),
        }
    }
}
