//! Section `HAProxyAgent`: where the edges' agents are.

use std::path::PathBuf;

use dps_host::{HumanDuration, Secret, SecretError};
use serde::{Deserialize, Serialize};
use url::Url;

use super::report::Report;
use super::url_rules::check_base_url;

/// The agents, one beside each HAProxy. All show the same certificates and take the same token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HAProxyAgent {
    /// The agent, if there is one.
    pub base_url: Option<Url>,
    /// The agents, if there are several.
    pub base_urls: Vec<Url>,
    /// The bearer token we show.
    pub token: Option<Secret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// For a whole call; applying a certificate includes the handshake that proves it.
    pub timeout: HumanDuration,
}

impl Default for HAProxyAgent {
    fn default() -> Self {
        Self {
            base_url: None,
            base_urls: Vec::new(),
            token: None,
            token_file: None,
            timeout: HumanDuration::from_secs(30),
        }
    }
}

impl HAProxyAgent {
    /// Every agent once: `BaseUrl` and `BaseUrls` together.
    pub fn urls(&self) -> Vec<&Url> {
        let mut urls: Vec<&Url> = Vec::new();
        for url in self.base_url.iter().chain(&self.base_urls) {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        urls
    }

    /// The token, by value or from its file.
    pub fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }

    pub(super) fn check(&self, report: &mut Report) {
        if self.urls().is_empty() {
            report.error(
                "HAProxyAgent:BaseUrl",
                "is missing; set it (or the list HAProxyAgent:BaseUrls) to the URL of the agent, such as http://127.0.0.1:9402",
            );
        }
        if let Some(url) = &self.base_url {
            check_base_url(report, "HAProxyAgent:BaseUrl", url);
        }
        for (index, url) in self.base_urls.iter().enumerate() {
            check_base_url(report, &format!("HAProxyAgent:BaseUrls:{index}"), url);
        }
        report.token("HAProxyAgent:Token", &self.token());
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(300);
        report.duration("HAProxyAgent:Timeout", self.timeout, bounds);
    }
}
