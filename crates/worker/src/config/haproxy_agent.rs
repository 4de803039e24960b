//! Section `HAProxyAgent`: where the edges' agents are.

use std::path::PathBuf;

use dps_domain::with_causes;
use dps_host::mutual_tls::{ClientTls, TlsFiles};
use dps_host::{HumanDuration, Secret, SecretError};
use serde::{Deserialize, Serialize};
use url::Url;

use super::discovery::Discovery;
use super::report::Report;
use super::url_rules::{check_base_url, is_loopback};

/// The agents, one beside each HAProxy. All show the same certificates, and we prove ourselves to all in the same way.
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
    /// What we show and believe where agents are called by https.
    pub tls: Tls,
    /// Whether agents on other machines may be called by http.
    pub allow_unencrypted: bool,
    /// How long an edge that does not do what it is asked is waited for.
    pub unreachable_grace: HumanDuration,
    /// Agents that are found by DNS.
    pub discovery: Discovery,
    /// For a whole call; applying a certificate includes the handshake that proves it.
    pub timeout: HumanDuration,
}

/// Section `HAProxyAgent:Tls`: mutual TLS. Without the three files, https goes by the authorities of the system and the token alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_field_names, reason = "the names of the settings")]
pub struct Tls {
    /// The service's certificate in PEM.
    pub certificate_file: Option<PathBuf>,
    /// Its private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The authority that the agents' certificates must come from, in PEM.
    pub ca_file: Option<PathBuf>,
}

impl Tls {
    const FILES: [&str; 3] = ["CertificateFile", "KeyFile", "CaFile"];

    /// The three files, or none; else the names of the settings that are missing.
    fn files(&self) -> Result<Option<TlsFiles>, Vec<&'static str>> {
        TlsFiles::all_or_none(
            self.certificate_file.as_ref(),
            self.key_file.as_ref(),
            self.ca_file.as_ref(),
        )
        .map_err(|places| places.into_iter().map(|place| Self::FILES[place]).collect())
    }
}

impl Default for HAProxyAgent {
    fn default() -> Self {
        Self {
            base_url: None,
            base_urls: Vec::new(),
            token: None,
            token_file: None,
            tls: Tls::default(),
            allow_unencrypted: false,
            unreachable_grace: HumanDuration::from_secs(120),
            discovery: Discovery::default(),
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

    /// What we show and believe over TLS, read from its files; `None` where none are given.
    pub fn client_tls(&self) -> anyhow::Result<Option<ClientTls>> {
        let files = self
            .tls
            .files()
            .map_err(|missing| anyhow::anyhow!("HAProxyAgent:Tls: {} missing", missing.join(" and ")))?;
        Ok(files.map(ClientTls::open).transpose()?)
    }

    pub(super) fn check(&self, report: &mut Report) {
        if self.urls().is_empty() && self.discovery.name.is_none() {
            report.error(
                "HAProxyAgent:BaseUrl",
                "is missing; set it (or the list HAProxyAgent:BaseUrls) to the URL of the agent, such as http://127.0.0.1:9402, or \
                 HAProxyAgent:Discovery:Name to where the agents are found",
            );
        }
        if let Some(url) = &self.base_url {
            self.check_url(report, "HAProxyAgent:BaseUrl", url);
        }
        for (index, url) in self.base_urls.iter().enumerate() {
            self.check_url(report, &format!("HAProxyAgent:BaseUrls:{index}"), url);
        }
        self.check_tls(report);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(300);
        report.duration("HAProxyAgent:Timeout", self.timeout, bounds);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(24 * 3600);
        report.duration("HAProxyAgent:UnreachableGrace", self.unreachable_grace, bounds);
        self.discovery.check(self.allow_unencrypted, report);
    }

    /// Plain HTTP to another machine is an error here and not a warning, because private keys travel.
    fn check_url(&self, report: &mut Report, key: &str, url: &Url) {
        if url.scheme() == "http" && !is_loopback(url) && !self.allow_unencrypted {
            return report.error(
                key,
                format!(
                    "{url} is not encrypted, and private keys would travel; use https with HAProxyAgent:Tls (`dps pki init` makes \
                     the certificates), or set HAProxyAgent:AllowUnencrypted if something else encrypts"
                ),
            );
        }
        check_base_url(report, key, url);
    }

    fn check_tls(&self, report: &mut Report) {
        let is_plain = self.urls().iter().any(|url| url.scheme() == "http");
        match self.tls.files() {
            Err(missing) => {
                for name in missing {
                    report.error(
                        &format!("HAProxyAgent:Tls:{name}"),
                        "is missing; mutual TLS needs CertificateFile, KeyFile and CaFile",
                    );
                }
            }
            Ok(Some(files)) => {
                if let Err(error) = ClientTls::open(files) {
                    report.error("HAProxyAgent:Tls", with_causes(&error));
                }
                if is_plain {
                    report.error(
                        "HAProxyAgent:BaseUrl",
                        "must begin with https:// for every agent when HAProxyAgent:Tls is set",
                    );
                }
            }
            Ok(None) => {}
        }
        // A certificate is proof enough; a token that is given must be usable all the same.
        let token = self.token();
        if matches!(self.tls.files(), Ok(None)) || !matches!(token, Ok(None)) {
            report.token("HAProxyAgent:Token", &token);
        }
    }
}
