//! Alive and ready.

use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use dps_domain::text::shown;
use dps_host::http_server::ClientAddress;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Surface;

/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// For so long a result is shown again instead of a new check, so that no client can wear out the
/// store by requests.
const FRESH: Duration = Duration::from_secs(1);
/// Longest detail that is shown, in characters.
const MAX_DETAIL: usize = 300;

/// Something that this process needs.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// A short stable name, such as `store`.
    fn name(&self) -> &'static str;

    /// Whether the process is not ready without it. A check that is not required is for
    /// information.
    fn is_required(&self) -> bool;

    /// Asks. The error is a sentence for the operator without any secret.
    async fn check(&self) -> Result<(), String>;
}

/// Whether this process should be given work.
pub struct Readiness {
    stage: SyncMutex<Stage>,
    draining: CancellationToken,
    last: Mutex<Option<(Instant, Report)>>,
}

/// How far the start of the process has come.
#[derive(Clone)]
enum Stage {
    /// The settings cannot be used, for these reasons.
    NotConfigured(Vec<String>),
    /// The store is being opened and migrated.
    Starting,
    Started(Vec<Arc<dyn HealthCheck>>),
}

/// The results of the checks.
#[derive(Debug, Clone, Serialize)]
struct Report {
    status: Overall,
    version: &'static str,
    checks: Vec<CheckResult>,
    /// The problems of the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl Report {
    const fn new(status: Overall, checks: Vec<CheckResult>) -> Self {
        Self {
            status,
            version: env!("CARGO_PKG_VERSION"),
            checks,
            problems: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Overall {
    NotConfigured,
    Starting,
    Ready,
    NotReady,
    Draining,
}

/// The result of a check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CheckResult {
    /// The name of the check.
    pub(crate) name: &'static str,
    /// Whether it passes.
    pub(crate) status: CheckStatus,
    required: bool,
    /// Why it does not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// Whether a check passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CheckStatus {
    Ok,
    Failing,
}

impl Readiness {
    /// Ready while all required `checks` pass and `draining` has not fired.
    pub fn new(checks: Vec<Arc<dyn HealthCheck>>, draining: CancellationToken) -> Self {
        Self::at(Stage::Started(checks), draining)
    }

    /// Not ready, until [`Self::started`].
    pub fn starting(draining: CancellationToken) -> Self {
        Self::at(Stage::Starting, draining)
    }

    /// Not ready, because the settings have these problems.
    pub fn not_configured(problems: Vec<String>, draining: CancellationToken) -> Self {
        Self::at(Stage::NotConfigured(problems), draining)
    }

    fn at(stage: Stage, draining: CancellationToken) -> Self {
        Self {
            stage: SyncMutex::new(stage),
            draining,
            last: Mutex::new(None),
        }
    }

    /// From now on the process is ready while all required `checks` pass.
    pub fn started(&self, checks: Vec<Arc<dyn HealthCheck>>) {
        self.set_stage(Stage::Started(checks));
    }

    /// The problems that the settings have now.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.set_stage(Stage::NotConfigured(problems));
    }

    fn set_stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        self.stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The results of the checks, as the admin API shows them.
    pub(crate) async fn document(&self) -> dps_admin_api::Readiness {
        let report = self.report().await;
        let status = match report.status {
            Overall::NotConfigured => "notConfigured",
            Overall::Starting => "starting",
            Overall::Ready => "ready",
            Overall::NotReady => "notReady",
            Overall::Draining => "draining",
        };
        let checks = report.checks.into_iter();
        let checks = checks.map(|check| dps_admin_api::ReadinessCheck {
            name: check.name.to_owned(),
            is_ok: check.status == CheckStatus::Ok,
            is_required: check.required,
            detail: check.detail,
        });
        dps_admin_api::Readiness {
            status: status.to_owned(),
            checks: checks.collect(),
        }
    }

    /// Runs all checks at once, or repeats their results of a moment ago. Callers at the same
    /// time share one answer.
    async fn report(&self) -> Report {
        let checks = match self.stage() {
            Stage::NotConfigured(problems) => {
                return Report {
                    problems,
                    ..Report::new(Overall::NotConfigured, Vec::new())
                };
            }
            Stage::Starting => return Report::new(Overall::Starting, Vec::new()),
            Stage::Started(checks) => checks,
        };
        let mut last = self.last.lock().await;
        let mut report = match &*last {
            Some((at, report)) if at.elapsed() < FRESH => report.clone(),
            _ => {
                let report = report(&checks).await;
                *last = Some((Instant::now(), report.clone()));
                report
            }
        };
        if self.draining.is_cancelled() {
            report.status = Overall::Draining;
        }
        report
    }
}

/// Runs all checks at once, each within a bounded time.
pub(crate) async fn run_all(checks: &[Arc<dyn HealthCheck>]) -> Vec<CheckResult> {
    join_all(checks.iter().map(|check| run(check.as_ref()))).await
}

async fn report(checks: &[Arc<dyn HealthCheck>]) -> Report {
    let checks = run_all(checks).await;
    let is_down = |result: &CheckResult| result.required && result.status == CheckStatus::Failing;
    let status = if checks.iter().any(is_down) {
        Overall::NotReady
    } else {
        Overall::Ready
    };
    Report::new(status, checks)
}

async fn run(check: &dyn HealthCheck) -> CheckResult {
    let outcome = timeout(CHECK_TIMEOUT, check.check()).await;
    let detail = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(detail)) => Some(shown(&detail, MAX_DETAIL)),
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

/// `GET /health/ready` and `GET /health`: whether it should be given work, and what each check
/// says.
///
/// Details name edges and databases, so only clients on this machine read them.
pub(super) async fn ready(
    State(surface): State<Surface>,
    client: Option<Extension<ClientAddress>>,
) -> Response {
    let mut report = surface.readiness.report().await;
    let is_local =
        client.is_some_and(|Extension(client)| client.0.ip().to_canonical().is_loopback());
    if !is_local {
        report
            .checks
            .iter_mut()
            .for_each(|check| check.detail = None);
    }
    let status = match report.status {
        Overall::Ready => StatusCode::OK,
        Overall::NotConfigured | Overall::Starting | Overall::NotReady | Overall::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
