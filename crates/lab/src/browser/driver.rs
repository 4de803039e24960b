//! The `ChromeDriver` process and its session.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BOUND, BrowserOptions};
use crate::process::{Process, ProcessSpec, find_program, running_as_root};
use crate::{LabError, free_port};

/// How long Chromium may take to end.
const END_BOUND: Duration = Duration::from_secs(10);
/// How long a command may take; a page that loads is one.
const COMMAND_BOUND: Duration = Duration::from_secs(60);

/// A session with a browser of its own.
#[derive(Debug)]
pub(super) struct Driver {
    process: Process,
    http: reqwest::Client,
    session_url: String,
    /// The process id of Chromium.
    chromium: Option<u64>,
    /// The profile, removed when both programs have ended.
    home: TempDir,
}

impl Driver {
    pub(super) async fn start(options: BrowserOptions) -> Result<Self, LabError> {
        let home = tempfile::tempdir().map_err(LabError::io("make a directory for Chromium"))?;
        let program = find_program("chromedriver", "chromium-driver", &[])?;
        let port = free_port()?;
        let mut process = ProcessSpec::new("chromedriver", program, home.path().join("driver.log"))
            .arg(format!("--port={port}"))
            .start()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_for_port(address, BOUND).await?;
        crate::tls::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(COMMAND_BOUND);
        let http = http
            .build()
            .map_err(|error| LabError::invalid("an HTTP client", error.to_string()))?;
        let sessions = format!("http://{address}/session");
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities(home.path(), options)?}});
        let session = call(http.post(&sessions).json(&wanted)).await?;
        let id = session["sessionId"].as_str().unwrap_or_default();
        Ok(Self {
            process,
            http,
            session_url: format!("{sessions}/{id}"),
            chromium: session["capabilities"]["goog:processID"].as_u64(),
            home,
        })
    }

    /// Sends a command with its parameters.
    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, LabError> {
        call(self.request(Method::POST, path).json(&body)).await
    }

    /// Sends a command without parameters.
    pub(super) async fn get(&self, path: &str) -> Result<Value, LabError> {
        call(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}/{path}", self.session_url))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        // Chromium ends when the pipe to its driver closes, and writes to its profile until then.
        let chromium = self.chromium.map(|id| format!("/proc/{id}/exe"));
        let deadline = Instant::now() + END_BOUND;
        while chromium
            .as_deref()
            .is_some_and(|path| Path::new(path).exists())
            && Instant::now() < deadline
        {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = std::fs::remove_dir_all(self.home.path());
    }
}

fn capabilities(home: &Path, options: BrowserOptions) -> Result<Value, LabError> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--no-proxy-server".to_owned(),
        // The width of a page does not depend on its height.
        "--hide-scrollbars".to_owned(),
        // Containers have a small one.
        "--disable-dev-shm-usage".to_owned(),
        // The browser ends with its driver, however that ends.
        "--remote-debugging-pipe".to_owned(),
        format!("--user-data-dir={}", home.join("profile").display()),
    ];
    if running_as_root() {
        arguments.push("--no-sandbox".to_owned());
    }
    let mut preferences = json!({"intl.accept_languages": options.languages});
    if !options.runs_scripts {
        const BLOCK: u8 = 2;
        preferences["profile.managed_default_content_settings.javascript"] = BLOCK.into();
    }
    Ok(json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL"},
        "goog:chromeOptions": {
            "binary": find_program("chromium", "chromium", &[])?,
            "args": arguments,
            "prefs": preferences,
        },
    }))
}

/// Sends a request; returns its value, or the driver's words as an error.
async fn call(request: reqwest::RequestBuilder) -> Result<Value, LabError> {
    let fault = |error: reqwest::Error| LabError::invalid("a call of the driver", error);
    let response = request.send().await.map_err(fault)?;
    let is_success = response.status().is_success();
    let mut answer: Value = response.json().await.map_err(fault)?;
    let value = answer["value"].take();
    if is_success {
        return Ok(value);
    }
    let words = value["message"].as_str().unwrap_or_default();
    Err(LabError::invalid("a command of the browser", words))
}
