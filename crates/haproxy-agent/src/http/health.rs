//! `/health` and `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dps_agent_api::{Health, HealthStatus, ProblemCode, TlsHealth};
use dps_host::exposition;
use tokio::time::Instant;

use super::App;
use super::problem::Rejection;

fn health_of(app: &App) -> Health {
    let challenges = app.challenges.count(Instant::now()) as u64;
    let view = app.shared.view();
    let is_ok = view.haproxy.reachable && view.in_sync;
    Health {
        status: if is_ok {
            HealthStatus::Ok
        } else {
            HealthStatus::Degraded
        },
        started_at: Some(app.started_at),
        haproxy: view.haproxy.clone(),
        certificates: view.held.len() as u64,
        challenges,
        quarantined: view.quarantined,
        last_repair_at: view.last_repair_at,
        tls: app.tls.as_ref().map(|tls| {
            let state = tls.state();
            TlsHealth {
                not_after: state.expires_at,
                problem: state.problem,
            }
        }),
    }
}

/// Returns the health of the agent and of its HAProxy.
#[utoipa::path(get, path = "/health", tag = "public", operation_id = "getHealth",
    responses(
        (status = 200, description = "HAProxy answers and serves what is on disk.", body = Health),
        (status = 503, description = "HAProxy does not answer, or does not serve all yet.", body = Health)))]
pub(super) async fn health(State(app): State<App>) -> Response {
    let health = health_of(&app);
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Degraded => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

/// Returns the metrics of the agent.
#[utoipa::path(get, path = "/metrics", tag = "public", operation_id = "getMetrics",
    responses((status = 200, description = "Metrics in Prometheus's text format, or in OpenMetrics by `Accept`.",
        body = String, content_type = "text/plain")))]
pub(super) async fn metrics(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let health = health_of(&app);
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    {
        let view = app.shared.view();
        let (all, not_served) = (health.certificates, view.not_served.len() as u64);
        let others = all.saturating_sub(not_served);
        let (served, unknown) = if view.is_compared() {
            (others, 0)
        } else {
            (0, others)
        };
        app.metrics.set_certificates([
            ("served", served),
            ("not_served", not_served),
            ("unknown", unknown),
        ]);
        app.metrics.disk_bytes.set(gauge(view.held.bytes()));
    }
    app.metrics.challenges.set(gauge(health.challenges));
    app.metrics.quarantined.set(gauge(health.quarantined));
    app.metrics
        .in_sync
        .set(i64::from(health.status == HealthStatus::Ok));
    if let Some(tls) = &health.tls {
        app.metrics.tls(tls);
    }
    let text = app
        .metrics
        .text()
        .map_err(|_| Rejection::new(ProblemCode::Internal, "metrics.encode_failed"))?;
    Ok(exposition::response(&headers, text))
}
