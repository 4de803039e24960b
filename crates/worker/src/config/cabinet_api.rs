//! Section `CabinetApi`: the Cabinet that the service calls.

use std::path::PathBuf;

use dps_host::{HumanDuration, Secret, SecretError};
use serde::{Deserialize, Serialize};
use url::Url;

use super::report::Report;
use super::url_rules::{check_base_url, is_loopback};

/// The Cabinet, the source of truth for custom domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CabinetApi {
    /// Base URL of the API, such as `https://cabinet.platform.example`. Required.
    pub base_url: Option<Url>,
    /// Bearer token of the service. Required, here or in `token_file`.
    pub token: Option<Secret>,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
    /// Allows http to a Cabinet on another machine, for networks that encrypt by themselves.
    pub allow_unencrypted: bool,
    /// Timeout of one call, 1 s to 5 min.
    pub timeout: HumanDuration,
}

impl Default for CabinetApi {
    fn default() -> Self {
        Self {
            base_url: None,
            token: None,
            token_file: None,
            allow_unencrypted: false,
            timeout: HumanDuration::from_secs(20),
        }
    }
}

impl CabinetApi {
    /// Returns the token, from its value or its file.
    pub fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }

    pub(super) fn check(&self, report: &mut Report) {
        match &self.base_url {
            Some(url) if url.scheme() == "http" && !is_loopback(url) && !self.allow_unencrypted => report.error(
                "CabinetApi:BaseUrl",
                format!(
                    "{url} is not encrypted: an attacker could read our token and order removals; use https, \
                     or set CabinetApi:AllowUnencrypted if the network itself encrypts"
                ),
            ),
            Some(url) => check_base_url(report, "CabinetApi:BaseUrl", url),
            None => report.error(
                "CabinetApi:BaseUrl",
                "is missing; set it to the URL of the Cabinet, such as http://127.0.0.1:8081",
            ),
        }
        report.token("CabinetApi:Token", &self.token());
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(300);
        report.duration("CabinetApi:Timeout", self.timeout, bounds);
    }
}
