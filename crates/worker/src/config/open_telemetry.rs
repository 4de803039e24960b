//! Section `OpenTelemetry`: the collector to which the service sends spans.

use std::path::PathBuf;

use dps_domain::with_causes;
use dps_host::{Secret, SecretError, TOKEN_RULE};
use dps_traces::Export;
use serde::{Deserialize, Serialize};
use url::Url;

use super::report::Report;
use super::url_rules::{check_form, is_loopback};

/// The collector of spans.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OpenTelemetry {
    /// Base URL of the collector; nothing is sent without one.
    pub endpoint: Option<Url>,
    /// Bearer token for the collector.
    pub token: Option<Secret>,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
    /// Part of the traces that is sent, from 0 to 1.
    pub sample_ratio: f64,
}

impl Default for OpenTelemetry {
    fn default() -> Self {
        Self {
            endpoint: None,
            token: None,
            token_file: None,
            sample_ratio: 1.0,
        }
    }
}

impl OpenTelemetry {
    fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }

    /// Returns the export of a process of this name; `None` while it is off.
    ///
    /// # Errors
    /// When the file of the token cannot be used.
    pub fn export(&self, instance: &str) -> Result<Option<Export>, SecretError> {
        let Some(endpoint) = self.endpoint.clone() else {
            return Ok(None);
        };
        Ok(Some(Export {
            endpoint,
            token: self.token()?.map(Secret::into_inner),
            sample_ratio: self.sample_ratio,
            service: "dps",
            version: env!("CARGO_PKG_VERSION"),
            instance: instance.to_owned(),
        }))
    }

    pub(super) fn check(&self, report: &mut Report) {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let ratio = self.sample_ratio;
            report.error(
                "OpenTelemetry:SampleRatio",
                format!("is {ratio}, but must be from 0 to 1"),
            );
        }
        let has_token = self.token.is_some() || self.token_file.is_some();
        match &self.endpoint {
            Some(url) => {
                check_form(report, "OpenTelemetry:Endpoint", url);
                if has_token && url.scheme() == "http" && !is_loopback(url) {
                    report.warning(
                        "OpenTelemetry:Endpoint",
                        "is not encrypted: the token and hostnames can be read on the way; use https",
                    );
                }
            }
            None if has_token => report.warning(
                "OpenTelemetry:Token",
                "is not used, since OpenTelemetry:Endpoint is not set",
            ),
            None => {}
        }
        match self.token() {
            Ok(Some(token)) if !token.is_usable_token() => {
                report.error("OpenTelemetry:Token", TOKEN_RULE);
            }
            Ok(_) => {}
            Err(error) => report.error("OpenTelemetry:Token", with_causes(&error)),
        }
    }
}
