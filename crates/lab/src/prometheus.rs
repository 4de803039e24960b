//! A real Prometheus that scrapes what the test tells it to.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, ProcessSpec, find_program, run};
use crate::{LabError, free_port, wait};

/// How long a start, or an answer, may take on a loaded machine.
const BOUND: Duration = Duration::from_secs(60);

/// A running Prometheus, with its files in a directory of the test. Dropping it stops it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Prometheus {
    /// Writes its configuration and `rules` to `home`, starts it, and waits until it is ready. It
    /// scrapes `/metrics` of every target and evaluates the rules once a second.
    ///
    /// # Errors
    /// [`LabError::MissingProgram`] without Prometheus, [`LabError::Exited`] with its words when it
    /// refuses the rules.
    pub async fn start(home: &Path, targets: &[SocketAddr], rules: &str) -> Result<Self, LabError> {
        let write = |name: &str, text: &str| {
            std::fs::write(home.join(name), text).map_err(LabError::io("configure Prometheus"))
        };
        std::fs::create_dir_all(home).map_err(LabError::io("make a directory for Prometheus"))?;
        write("rules.yml", rules)?;
        write("prometheus.yml", &configuration(targets))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let spec = ProcessSpec::new("prometheus", program()?, home.join("prometheus.log"));
        let process = spec
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .directory(home)
            .start()?;
        crate::tls::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(BOUND).build();
        let http = http.map_err(|error| LabError::invalid("an HTTP client", error.to_string()))?;
        let mut prometheus = Self {
            process,
            address,
            http,
        };
        let ready = format!("http://{address}/-/ready");
        let http = prometheus.http.clone();
        let is_ready = || async {
            let answer = http.get(&ready).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        let process = &mut prometheus.process;
        process.wait_until("it is ready", BOUND, is_ready).await?;
        Ok(prometheus)
    }

    /// The names of the alerts that fire now.
    pub async fn firing(&self) -> BTreeSet<String> {
        let answer = self.get("/api/v1/alerts").await;
        let alerts = answer["data"]["alerts"].as_array().cloned();
        let alerts = alerts.unwrap_or_default().into_iter();
        alerts
            .filter(|alert| alert["state"] == "firing")
            .filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned()))
            .collect()
    }

    /// The samples of an expression now; empty if it has none.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the words of Prometheus when it cannot evaluate the expression.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, LabError> {
        let request = self
            .http
            .get(format!("http://{}/api/v1/query", self.address))
            .query(&[("query", expression)]);
        let answer = json_of(request).await;
        let samples = answer["data"]["result"].as_array();
        samples
            .cloned()
            .ok_or_else(|| LabError::invalid(expression, &answer))
    }

    /// Waits until exactly these alerts fire.
    ///
    /// # Errors
    /// [`LabError::TimedOut`], with those that fired instead.
    pub async fn wait_until_firing(
        &self,
        alerts: &[&str],
        bound: Duration,
    ) -> Result<(), LabError> {
        let wanted: BTreeSet<String> = alerts.iter().map(|&name| name.to_owned()).collect();
        let fire = wait::until("the alerts", bound, || async {
            (self.firing().await == wanted).then_some(())
        });
        if fire.await.is_ok() {
            return Ok(());
        }
        let firing = self.firing().await;
        let what = format!("{wanted:?} fire, but {firing:?} do");
        Err(LabError::TimedOut { what, bound })
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.http.get(format!("http://{}{path}", self.address))).await
    }
}

/// The answer, or null where there is none.
async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let Ok(answer) = request.send().await else {
        return Value::Null;
    };
    let text = answer.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn configuration(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
    format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n  - job_name: dps\n    static_configs:\n      - targets: [{}]\n",
        targets.join(", ")
    )
}

/// Runs `promtool` in a directory, with an input if there is one; returns what it printed.
///
/// # Errors
/// [`LabError::MissingProgram`] without it, [`LabError::Failed`] with its words if it fails.
pub async fn promtool(
    directory: &Path,
    arguments: &[&str],
    input: Option<&Path>,
) -> Result<String, LabError> {
    let program = find_program("promtool", "prometheus", &[])?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(directory);
    if let Some(input) = input {
        let file = std::fs::File::open(input).map_err(LabError::io("open the input"))?;
        command.stdin(file);
    }
    run("promtool", command).await
}

fn program() -> Result<PathBuf, LabError> {
    find_program("prometheus", "prometheus", &[])
}
