//! How a CA is reached.

use std::time::Duration;

use dps_domain::Hostname;
use reqwest::{Certificate, redirect};
use url::{Host, Url};

const OUR_NAME: &str = concat!("DomainProvisioningService/", env!("CARGO_PKG_VERSION"));

/// How one ACME directory is reached.
#[derive(Debug, Clone)]
pub struct AcmeSettings {
    /// The directory's URL: `https`, or `http` to a loopback address.
    pub directory_url: Url,
    /// Roots to trust **instead of** the system's, as PEM, for a directory with a private
    /// certificate.
    pub root_certificates_pem: Option<String>,
    /// Hosts besides the directory's that the CA may name for its resources, as `host` or
    /// `host:port`.
    pub allowed_hosts: Vec<String>,
    /// The CA's names in CAA records, instead of `caaIdentities` in its directory.
    pub caa_identities: Vec<Hostname>,
    /// Whether the operator agreed to the CA's terms of service, if it has any.
    pub terms_of_service_agreed: bool,
    /// How we call ourselves (RFC 8555 §6.1 wants a name), printable ASCII.
    pub user_agent: String,
    /// For the TCP and TLS connection.
    pub connect_timeout: Duration,
    /// For one request, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
}

impl AcmeSettings {
    /// The usual settings for a directory of the public Web: terms not agreed, 10 s to connect, 30
    /// s per request.
    pub fn new(directory_url: Url) -> Self {
        Self {
            directory_url,
            root_certificates_pem: None,
            allowed_hosts: Vec::new(),
            caa_identities: Vec::new(),
            terms_of_service_agreed: false,
            user_agent: OUR_NAME.to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }

    /// A client without proxy, redirects and cookies; `https` only unless the directory itself is
    /// on loopback.
    pub(super) fn http_client(&self) -> Result<reqwest::Client, AcmeSetupError> {
        let url = &self.directory_url;
        let encrypted = url.scheme() == "https";
        let harmless = url.scheme() == "http" && is_loopback(url);
        if !encrypted && !harmless {
            return Err(AcmeSetupError::NotHttps { url: url.clone() });
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .https_only(encrypted)
            .redirect(redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout);
        if let Some(pem) = &self.root_certificates_pem {
            let roots =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(AcmeSetupError::Roots)?;
            if roots.is_empty() {
                return Err(AcmeSetupError::NoRoots);
            }
            builder = builder.tls_certs_only(roots);
        }
        builder.build().map_err(AcmeSetupError::Client)
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AcmeSetupError {
    /// Neither `https` nor loopback (RFC 8555 §6.1).
    #[error("the ACME directory {url} is not an https URL")]
    NotHttps {
        /// The directory.
        url: Url,
    },
    /// The PEM text cannot be read.
    #[error("the root certificates for the ACME directory cannot be read")]
    Roots(#[source] reqwest::Error),
    /// The PEM text holds no certificate.
    #[error("the root certificates for the ACME directory hold no certificate")]
    NoRoots,
    /// The name cannot stand in a header.
    #[error("the name to show to the CA is not printable ASCII")]
    UserAgent(#[source] http::header::InvalidHeaderValue),
    /// No TLS, or a root that is no certificate.
    #[error("the HTTP client for the ACME directory cannot be made")]
    Client(#[source] reqwest::Error),
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str, roots: Option<&str>) -> Result<reqwest::Client, AcmeSetupError> {
        AcmeSettings {
            root_certificates_pem: roots.map(str::to_owned),
            ..AcmeSettings::new(url.parse().unwrap())
        }
        .http_client()
    }

    #[test]
    fn a_directory_in_clear_is_refused_unless_it_is_on_loopback() {
        assert!(matches!(
            client("http://ca.example/directory", None),
            Err(AcmeSetupError::NotHttps { .. })
        ));
        assert!(client("http://127.0.0.1:14000/dir", None).is_ok());
        assert!(client("http://[::1]:14000/dir", None).is_ok());
        assert!(client("https://ca.example/directory", None).is_ok());
    }

    #[test]
    fn a_root_file_without_a_certificate_is_an_error_and_not_a_client_that_trusts_nobody() {
        let error =
            client("https://ca.example/directory", Some("not a certificate\n")).unwrap_err();
        assert!(matches!(error, AcmeSetupError::NoRoots), "{error:?}");
    }
}
