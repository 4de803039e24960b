//! Section `LetsEncrypt`: the CA.

use std::path::{Path, PathBuf};

use dps_domain::Hostname;
use dps_domain::limits::CaLimits;
use dps_x509::Roots;
use serde::{Deserialize, Serialize};
use url::Url;

use super::limits::{self, Limits};
use super::report::Report;
use super::url_rules::{has_credentials, is_loopback};

/// Let's Encrypt's staging directory: real, but trusted by no browser and with generous limits.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// Let's Encrypt's production directory.
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The domain of Let's Encrypt, and its name in CAA records.
const LETS_ENCRYPT: &str = "letsencrypt.org";

/// The certificate authority: Let's Encrypt or any other that speaks ACME (RFC 8555).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LetsEncrypt {
    /// Directory URL (RFC 8555 §7.1.1); Let's Encrypt's staging by default.
    pub directory_url: Url,
    /// PEM file of roots that replace the system's for connections to the CA, for a private CA.
    pub ca_certificate_file: Option<PathBuf>,
    /// PEM file of the roots to which issued certificates must lead. `None` is
    /// `ca_certificate_file`, or else the system's roots.
    pub roots_file: Option<PathBuf>,
    /// Further hosts of the CA besides the directory's, as `host` or `host:port`. Other hosts are
    /// never called.
    pub allowed_hosts: Vec<String>,
    /// The CA's names in CAA records (RFC 8659 §4.2), instead of `caaIdentities` in its directory.
    /// Without either, CAA records are not checked.
    pub caa_identities: Vec<String>,
    /// Allows this directory to replace live certificates of another; needed for one start.
    pub accept_directory_change: bool,
    /// The operator's agreement to the CA's terms of service; must be true.
    pub terms_of_service_agreed: bool,
    /// User agent for the CA, printable ASCII; `None` is `DomainProvisioningService/<version>`.
    pub user_agent: Option<String>,
    /// Limits of the CA that differ from the published ones.
    pub limits: Limits,
}

impl Default for LetsEncrypt {
    fn default() -> Self {
        Self {
            directory_url: Url::parse(STAGING).expect("the address of Let's Encrypt is a URL"),
            ca_certificate_file: None,
            roots_file: None,
            allowed_hosts: Vec::new(),
            caa_identities: Vec::new(),
            accept_directory_change: false,
            terms_of_service_agreed: false,
            user_agent: None,
            limits: Limits::default(),
        }
    }
}

impl LetsEncrypt {
    /// Returns the published limits of the CA, overridden by these settings.
    pub fn effective_limits(&self) -> CaLimits {
        self.limits.effective(self.directory_url.as_str())
    }

    /// Returns the effective limits in the form of the section `LetsEncrypt:Limits`.
    pub fn effective_limits_shown(&self) -> serde_json::Value {
        limits::shown(&self.effective_limits())
    }

    /// Returns the file of the roots for issued certificates; `None` for the system's.
    pub fn issuing_roots_file(&self) -> Option<&Path> {
        self.roots_file
            .as_deref()
            .or(self.ca_certificate_file.as_deref())
    }

    /// The configured names of the CA in CAA records.
    pub fn caa_identities(&self) -> Vec<Hostname> {
        let parse = |name: &String| Hostname::parse(name).ok();
        self.caa_identities.iter().filter_map(parse).collect()
    }

    /// The CA's name in CAA records, if it is known without calling the CA.
    pub fn caa_identity(&self) -> Option<Hostname> {
        let domain = self.directory_url.domain().unwrap_or_default();
        let is_known = domain.ends_with(&format!(".{LETS_ENCRYPT}"));
        let known = || Hostname::parse(LETS_ENCRYPT).ok().filter(|_| is_known);
        self.caa_identities().into_iter().next().or_else(known)
    }

    /// True for Let's Encrypt's staging, whose roots are in no trust store.
    pub fn is_staging(&self) -> bool {
        self.directory_url.as_str() == STAGING
    }

    pub(super) fn check(&self, report: &mut Report) {
        self.limits.check(report);
        let url = &self.directory_url;
        let key = "LetsEncrypt:DirectoryUrl";
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)) {
            report.error(
                key,
                "must begin with https:// (RFC 8555 §6.1); http:// is accepted only for this machine",
            );
        } else if has_credentials(url) {
            report.error(key, "must not contain a user name or password");
        } else if self.is_staging() {
            report.warning(key, format!(
                    "is the staging directory of Let's Encrypt, whose certificates no browser trusts; \
                     set {PRODUCTION} for trusted certificates"
                ));
        }
        if !self.terms_of_service_agreed {
            report.error(
                "LetsEncrypt:TermsOfServiceAgreed",
                "must be true; read the CA's terms of service, then set it",
            );
        }
        for (key, file) in [
            ("LetsEncrypt:CaCertificateFile", &self.ca_certificate_file),
            ("LetsEncrypt:RootsFile", &self.roots_file),
        ] {
            let Some(path) = file else { continue };
            let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let roots =
                read.and_then(|text| Roots::from_pem(&text).map_err(|error| error.to_string()));
            if let Err(error) = roots {
                report.error(key, format!("{}: {error}", path.display()));
            }
        }
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            if !is_host(host) {
                report.error(
                    &format!("LetsEncrypt:AllowedHosts:{index}"),
                    "must be a hostname, or a hostname and a port, such as orders.example.com:8443",
                );
            }
        }
        for (index, name) in self.caa_identities.iter().enumerate() {
            if Hostname::parse(name).is_err() {
                report.error(
                    &format!("LetsEncrypt:CaaIdentities:{index}"),
                    "must be a domain name that the CA gives for CAA records, such as ca.example",
                );
            }
        }
        if self.accept_directory_change {
            report.warning(
                "LetsEncrypt:AcceptDirectoryChange",
                "is true: the next start with another directory replaces live certificates; remove it after \
                 that start",
            );
        }
        if self.user_agent.as_ref().is_some_and(|agent| {
            !agent
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        }) {
            report.error(
                "LetsEncrypt:UserAgent",
                "must be printable ASCII, since it is sent in an HTTP header",
            );
        }
    }
}

/// True if a text is a host, alone or with a port.
fn is_host(text: &str) -> bool {
    // A URL may have these in its host, but no host has.
    let is_pattern = text.contains(|character: char| "*,;!$&'()+=~".contains(character));
    !is_pattern
        && Url::parse(&format!("https://{text}/")).is_ok_and(|url| {
            let authority = url.port().map_or_else(
                || url.host_str().unwrap_or_default().to_owned(),
                |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
            );
            let asked = text.trim().to_ascii_lowercase();
            authority == asked || format!("{authority}:443") == asked
        })
}
