//! Alive and ready.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Surface;

/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// For so long a result is shown again instead of asking anew, so that nobody can wear out the store by asking.
const FRESH: Duration = Duration::from_secs(1);
/// Longest detail that is shown, in characters.
const MAX_DETAIL: usize = 300;

/// Something that this process needs.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// A short stable name, such as `store`.
    fn name(&self) -> &'static str;

    /// Whether the process is not ready without it. What is not required is shown as information.
    fn is_required(&self) -> bool;

    /// Asks. The error is a sentence for the operator without any secret.
    async fn check(&self) -> Result<(), String>;
}

/// Whether this process should be given work.
pub struct Readiness {
    checks: Vec<Arc<dyn HealthCheck>>,
    draining: CancellationToken,
    last: Mutex<Option<(Instant, Report)>>,
}

/// What the checks said.
#[derive(Debug, Clone, Serialize)]
struct Report {
    status: Overall,
    version: &'static str,
    checks: Vec<CheckResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Overall {
    Ready,
    NotReady,
    Draining,
}

#[derive(Debug, Clone, Serialize)]
struct CheckResult {
    name: &'static str,
    status: CheckStatus,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum CheckStatus {
    Ok,
    Failing,
}

impl Readiness {
    /// Ready while all required `checks` pass and `draining` has not fired.
    pub fn new(checks: Vec<Arc<dyn HealthCheck>>, draining: CancellationToken) -> Self {
        Self {
            checks,
            draining,
            last: Mutex::new(None),
        }
    }

    /// Asks all checks at once, or tells again what they said a moment ago. Callers at the same time share one answer.
    async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        let mut report = match &*last {
            Some((at, report)) if at.elapsed() < FRESH => report.clone(),
            _ => {
                let report = self.ask().await;
                *last = Some((Instant::now(), report.clone()));
                report
            }
        };
        if self.draining.is_cancelled() {
            report.status = Overall::Draining;
        }
        report
    }

    async fn ask(&self) -> Report {
        let checks = join_all(self.checks.iter().map(|check| ask(check.as_ref()))).await;
        let is_down = |result: &CheckResult| result.required && result.status == CheckStatus::Failing;
        let status = if checks.iter().any(is_down) {
            Overall::NotReady
        } else {
            Overall::Ready
        };
        Report {
            status,
            version: env!("CARGO_PKG_VERSION"),
            checks,
        }
    }
}

async fn ask(check: &dyn HealthCheck) -> CheckResult {
    let outcome = timeout(CHECK_TIMEOUT, check.check()).await;
    let detail = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(detail)) => Some(detail.chars().take(MAX_DETAIL).collect()),
        Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    };
    CheckResult {
        name: check.name(),
        status: if detail.is_none() {
            CheckStatus::Ok
        } else {
            CheckStatus::Failing
        },
        required: check.is_required(),
        detail,
    }
}

/// `GET /health/live`: the process can answer.
pub(super) async fn live() -> Response {
    (
        [(CACHE_CONTROL, "no-store")],
        Json(serde_json::json!({"status": "live"})),
    )
        .into_response()
}

/// `GET /health/ready` and `GET /health`: whether it should be given work, and what each check says.
pub(super) async fn ready(State(surface): State<Surface>) -> Response {
    let report = surface.readiness.report().await;
    let status = match report.status {
        Overall::Ready => StatusCode::OK,
        Overall::NotReady | Overall::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
