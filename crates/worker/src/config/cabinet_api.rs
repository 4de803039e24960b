//! Section `CabinetApi`: where the Cabinet is.

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
    /// Where its API begins, such as `https://cabinet.platform.example`.
    pub base_url: Option<Url>,
    /// The bearer token we show.
    pub token: Option<Secret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// Whether a Cabinet on another machine may be called by http.
    pub allow_unencrypted: bool,
    /// For a whole call.
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
    /// The token, by value or from its file.
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
