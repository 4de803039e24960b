//! `dps doctor`: checks all that the service needs, and names what to mend.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use dps_application::operator::diagnose::STORE_TIMEOUT;
use dps_domain::text::shown;
use dps_host::exit;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::output::{OutputError, outln};
use crate::config::{Finding, Role, Settings};
use crate::http::health::{CheckResult, CheckStatus, run_all};
use crate::service::readiness_checks;
use crate::wiring::{self, Peers};

/// Longest message of a check, in characters.
const MAX_MESSAGE: usize = 500;
/// The checks that need an open store.
const NEED_STORE: [&str; 2] = ["cabinet", "agents"];

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Ok,
    /// The service works with it.
    Warning,
    Failed,
    /// It means nothing before another check passes.
    Skipped,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    check: &'static str,
    status: Status,
    /// Absent if nothing is wrong.
    message: Option<String>,
    /// The remedy; absent if the message names it.
    remedy: Option<&'static str>,
}

impl Row {
    fn new(check: &'static str, status: Status, message: &str) -> Self {
        Self {
            check,
            status,
            message: Some(shown(message, MAX_MESSAGE)),
            remedy: remedy(check).filter(|_| status == Status::Failed),
        }
    }

    const fn ok(check: &'static str) -> Self {
        Self {
            check,
            status: Status::Ok,
            message: None,
            remedy: None,
        }
    }

    fn of(result: CheckResult) -> Self {
        match (result.status, result.detail) {
            (CheckStatus::Ok, _) => Self::ok(result.name),
            (CheckStatus::Failing, detail) => {
                Self::new(result.name, Status::Failed, &detail.unwrap_or_default())
            }
        }
    }
}

/// The remedy when a check fails, unless its message names it.
fn remedy(check: &str) -> Option<&'static str> {
    Some(match check {
        "store" => {
            "Check CertificateStore:ConnectionString, and that the database answers and has space. \
             `dps migrate` brings its schema to this version."
        }
        "ca" => "Check LetsEncrypt:DirectoryUrl and the way from this machine to the CA.",
        "clock" => "Synchronise the clock of this machine, for instance by NTP.",
        "cabinet" => "Check CabinetApi:BaseUrl and CabinetApi:Token, and that the Cabinet runs.",
        "agents" => {
            "Check HAProxyAgent:Urls, its token and certificates, and the log of the agent. `dps \
             edges` shows every edge."
        }
        _ => return None,
    })
}

/// Checks everything and prints the results. The exit code is 2 if the settings cannot be used, and
/// 1 if another check failed.
pub async fn run(config: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let (settings, mut rows) = examined(config);
    let is_usable = settings.is_some();
    match settings {
        Some(settings) => rows.extend(parties(&settings).await),
        None => {
            let message = "The settings cannot be used.";
            let skipped = |check| Row::new(check, Status::Skipped, message);
            rows.extend(
                ["store", "ca", "clock"]
                    .into_iter()
                    .chain(NEED_STORE)
                    .map(skipped),
            );
        }
    }
    print(&rows, as_json)?;
    Ok(if !is_usable {
        ExitCode::from(exit::UNUSABLE)
    } else if rows.iter().any(|row| row.status == Status::Failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The settings, if they can be used, with the findings of `dps config check`. These include the
/// modes of files with secrets.
fn examined(config: Option<&Path>) -> (Option<Settings>, Vec<Row>) {
    const CHECK: &str = "settings";
    let settings = match Settings::load(config) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            return (
                None,
                vec![Row::new(CHECK, Status::Failed, &error.to_string())],
            );
        }
    };
    let report = settings.check(Role::Run);
    let rows = |findings: &[Finding], status| -> Vec<Row> {
        let row = |finding: &Finding| Row::new(CHECK, status, &finding.to_string());
        findings.iter().map(row).collect()
    };
    let mut found = rows(&report.errors, Status::Failed);
    let is_usable = found.is_empty();
    found.extend(rows(&report.warnings, Status::Warning));
    if found.is_empty() {
        found.push(Row::ok(CHECK));
    }
    (is_usable.then_some(settings), found)
}

/// The checks of the parties, as readiness makes them.
async fn parties(settings: &Settings) -> Vec<Row> {
    let (of_ca, of_store) = tokio::join!(Box::pin(ca(settings)), Box::pin(store(settings)));
    of_store.into_iter().chain(of_ca).collect()
}

async fn ca(settings: &Settings) -> Vec<Row> {
    match readiness_checks::of_ca(settings) {
        Ok(checks) => run_all(&checks).await.into_iter().map(Row::of).collect(),
        Err(error) => vec![Row::new("ca", Status::Failed, &format!("{error:#}"))],
    }
}

/// The checks that need the store, and those of the parties that the service calls with it.
async fn store(settings: &Settings) -> Vec<Row> {
    let opened = timeout(STORE_TIMEOUT, wiring::open_existing_store(settings)).await;
    let opened = opened.unwrap_or_else(|_| {
        Err(anyhow::anyhow!(
            "no answer within {} s",
            STORE_TIMEOUT.as_secs()
        ))
    });
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            let failed = Row::new("store", Status::Failed, &format!("{error:#}"));
            let skipped = |check| {
                Row::new(
                    check,
                    Status::Skipped,
                    "It means nothing without the store.",
                )
            };
            return std::iter::once(failed)
                .chain(NEED_STORE.map(skipped))
                .collect();
        }
    };
    let checked = async {
        let peers = Peers::configured(settings)?;
        let service = wiring::observer(settings, &peers, Arc::clone(&store)).await?;
        let checks = readiness_checks::of_command(&service, peers.agent_tls.as_ref());
        anyhow::Ok(run_all(&checks).await)
    };
    let checked = Box::pin(checked).await.context("the service cannot start");
    wiring::close_store(&store).await;
    match checked {
        Ok(results) => results.into_iter().map(Row::of).collect(),
        Err(error) => vec![Row::new("settings", Status::Failed, &format!("{error:#}"))],
    }
}

fn print(rows: &[Row], as_json: bool) -> Result<(), OutputError> {
    if as_json {
        let is_healthy = rows.iter().all(|row| row.status != Status::Failed);
        return outln!("{:#}", json!({ "isHealthy": is_healthy, "checks": rows }));
    }
    for row in rows {
        outln!("{:<8} {}", row.status.as_str(), row.check)?;
        for text in row.message.as_deref().into_iter().chain(row.remedy) {
            outln!("  {text}")?;
        }
    }
    Ok(())
}
