//! Section `LetsEncrypt`: who issues the certificates.

use std::path::PathBuf;

use dps_domain::limits::CaLimits;
use serde::{Deserialize, Serialize};
use url::Url;

use super::limits::{self, Limits};
use super::report::Report;
use super::url_rules::{has_credentials, is_loopback};

/// Let's Encrypt's staging directory: real, but trusted by no browser and with generous limits.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// Let's Encrypt's production directory.
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The certificate authority (RFC 8555), Let's Encrypt or any other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LetsEncrypt {
    /// The directory (RFC 8555 §7.1.1).
    pub directory_url: Url,
    /// PEM file of roots to trust instead of the system's, for a directory with a private certificate.
    pub ca_certificate_file: Option<PathBuf>,
    /// Whether the operator has read the CA's terms of service and agrees.
    pub terms_of_service_agreed: bool,
    /// How we call ourselves to the CA, instead of `DomainProvisioningService/<version>`.
    pub user_agent: Option<String>,
    /// The CA's limits where they differ from what it publishes.
    pub limits: Limits,
}

impl Default for LetsEncrypt {
    fn default() -> Self {
        Self {
            directory_url: Url::parse(STAGING).expect("the address of Let's Encrypt is a URL"),
            ca_certificate_file: None,
            terms_of_service_agreed: false,
            user_agent: None,
            limits: Limits::default(),
        }
    }
}

impl LetsEncrypt {
    /// The limits of the CA: those that it publishes with what is set here.
    pub fn effective_limits(&self) -> CaLimits {
        self.limits.effective(self.directory_url.as_str())
    }

    /// The same in the form of the section `LetsEncrypt:Limits`, with what is not set filled in.
    pub fn effective_limits_shown(&self) -> serde_json::Value {
        limits::shown(&self.effective_limits())
    }

    pub(super) fn check(&self, report: &mut Report) {
        self.limits.check(report);
        let url = &self.directory_url;
        let key = "LetsEncrypt:DirectoryUrl";
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)) {
            report.error(
                key,
                "must begin with https:// (RFC 8555 §6.1); http:// is for this machine only",
            );
        } else if has_credentials(url) {
            report.error(key, "must not hold a user name or password");
        } else if url.as_str() == STAGING {
            report.warning(key, format!("is Let's Encrypt's staging, whose certificates no browser trusts; for real ones: {PRODUCTION}"));
        }
        if !self.terms_of_service_agreed {
            report.error(
                "LetsEncrypt:TermsOfServiceAgreed",
                "must be true: read the terms of service of the CA, then set it",
            );
        }
        if let Some(path) = &self.ca_certificate_file
            && let Err(error) = std::fs::metadata(path)
        {
            report.error(
                "LetsEncrypt:CaCertificateFile",
                format!("{}: {error}", path.display()),
            );
        }
        if self
            .user_agent
            .as_ref()
            .is_some_and(|agent| !agent.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()))
        {
            report.error(
                "LetsEncrypt:UserAgent",
                "must be printable ASCII, since it travels in an HTTP header",
            );
        }
    }
}
