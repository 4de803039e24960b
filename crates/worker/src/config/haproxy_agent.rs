//! Section `HAProxyAgent`: where the edges' agents are.

use std::path::PathBuf;

use dps_application::Policy;
use dps_domain::with_causes;
use dps_host::mutual_tls::{ClientTls, TlsFiles};
use dps_host::{HumanDuration, Secret, SecretError};
use serde::{Deserialize, Serialize};
use url::Url;

use super::discovery::Discovery;
use super::report::Report;
use super::url_rules::{check_base_url, is_loopback};

/// The agents, one beside each HAProxy. All show the same certificates, and we prove ourselves to
/// all in the same way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HAProxyAgent {
    /// The agent, if there is one.
    pub base_url: Option<Url>,
    /// The agents, if there are several.
    pub base_urls: Vec<Url>,
    /// Agents with a bearer token of their own.
    pub agents: Vec<OneAgent>,
    /// The bearer token that is shown to agents without one of their own.
    pub token: Option<Secret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// Whether several agents on other machines may be shown the same token.
    pub shared_token: bool,
    /// Certificate, key and authority for agents that are called by https.
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

/// An element of `HAProxyAgent:Agents`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneAgent {
    /// Where it is.
    pub base_url: Url,
    /// The bearer token that is shown to it alone.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A file that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl OneAgent {
    fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }
}

/// The bearer tokens that agents are shown. A token stolen from one agent must not command another.
#[derive(Debug, Clone, Default)]
pub struct AgentTokens {
    own: Vec<(Url, Secret)>,
    shared: Option<Secret>,
    found_are_shown_it: bool,
}

impl AgentTokens {
    /// One token for every agent of the configuration.
    pub const fn shared(token: Option<Secret>) -> Self {
        Self {
            own: Vec::new(),
            shared: token,
            found_are_shown_it: false,
        }
    }

    /// The token that is shown to an agent of the configuration.
    pub fn of_configured(&self, url: &Url) -> Option<Secret> {
        let own = self.own.iter().find(|(of, _)| of == url);
        own.map(|(_, token)| token)
            .or(self.shared.as_ref())
            .cloned()
    }

    /// The token that is shown to an agent that was found by DNS.
    pub fn of_found(&self, url: &Url) -> Option<Secret> {
        let shared = self.shared.as_ref().filter(|_| self.found_are_shown_it);
        let own = self.own.iter().find(|(of, _)| of == url);
        own.map(|(_, token)| token).or(shared).cloned()
    }
}

/// Section `HAProxyAgent:Tls`: mutual TLS. Without the three files, https goes by the authorities
/// of the system and the token alone.
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
            agents: Vec::new(),
            token: None,
            token_file: None,
            shared_token: false,
            tls: Tls::default(),
            allow_unencrypted: false,
            unreachable_grace: Policy::default().unreachable_grace.into(),
            discovery: Discovery::default(),
            timeout: HumanDuration::from_secs(30),
        }
    }
}

impl HAProxyAgent {
    /// Every agent once: `BaseUrl`, `BaseUrls` and `Agents` together.
    pub fn urls(&self) -> Vec<&Url> {
        let mut urls: Vec<&Url> = Vec::new();
        let with_token = self.agents.iter().map(|agent| &agent.base_url);
        for url in self
            .base_url
            .iter()
            .chain(&self.base_urls)
            .chain(with_token)
        {
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

    /// The tokens of all agents.
    pub fn tokens(&self) -> Result<AgentTokens, SecretError> {
        let mut own = Vec::new();
        for agent in &self.agents {
            if let Some(token) = agent.token()? {
                own.push((agent.base_url.clone(), token));
            }
        }
        Ok(AgentTokens {
            own,
            shared: self.token()?,
            found_are_shown_it: self.shared_token,
        })
    }

    /// Certificate, key and authority for TLS, read from their files; `None` if none are set.
    pub fn client_tls(&self) -> anyhow::Result<Option<ClientTls>> {
        let files = self.tls.files().map_err(|missing| {
            anyhow::anyhow!(
                "HAProxyAgent:Tls: {} missing; set CertificateFile, KeyFile and CaFile",
                missing.join(" and ")
            )
        })?;
        Ok(files.map(ClientTls::open).transpose()?)
    }

    pub(super) fn check(&self, report: &mut Report) {
        if self.urls().is_empty() && self.discovery.name.is_none() {
            report.error(
                "HAProxyAgent:BaseUrl",
                "is missing; set it (or the list HAProxyAgent:BaseUrls) to the URL of the agent, such as \
                 http://127.0.0.1:9402, or set HAProxyAgent:Discovery:Name to find the agents by DNS",
            );
        }
        if let Some(url) = &self.base_url {
            self.check_url(report, "HAProxyAgent:BaseUrl", url);
        }
        for (index, url) in self.base_urls.iter().enumerate() {
            self.check_url(report, &format!("HAProxyAgent:BaseUrls:{index}"), url);
        }
        for (index, agent) in self.agents.iter().enumerate() {
            let key = format!("HAProxyAgent:Agents:{index}");
            self.check_url(report, &format!("{key}:BaseUrl"), &agent.base_url);
            report.token(&format!("{key}:Token"), &agent.token());
            let mut earlier = self.agents[..index].iter();
            if earlier.any(|other| other.base_url == agent.base_url) {
                report.error(
                    &format!("{key}:BaseUrl"),
                    format!(
                        "{} is listed twice; remove one of the elements",
                        agent.base_url
                    ),
                );
            }
        }
        self.check_tls(report);
        self.check_shared_tokens(report);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(300);
        report.duration("HAProxyAgent:Timeout", self.timeout, bounds);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(24 * 3600);
        report.duration(
            "HAProxyAgent:UnreachableGrace",
            self.unreachable_grace,
            bounds,
        );
        self.discovery
            .check(matches!(self.tls.files(), Ok(Some(_))), report);
    }

    /// Agents on other machines that are shown the same token could command each other with it.
    /// Mutual TLS asks for more than a token.
    fn check_shared_tokens(&self, report: &mut Report) {
        let (false, Ok(None), Ok(tokens)) = (self.shared_token, self.tls.files(), self.tokens())
        else {
            return;
        };
        let mut shown: Vec<Secret> = Vec::new();
        for url in self.urls().into_iter().filter(|url| !is_loopback(url)) {
            let Some(token) = tokens.of_configured(url) else {
                continue;
            };
            if shown.iter().any(|other| other.expose() == token.expose()) {
                return report.error(
                    "HAProxyAgent:Token",
                    format!(
                        "is sent to {url} and to another agent, so a token stolen from one controls the \
                         other; set one token for each agent in HAProxyAgent:Agents, use \
                         HAProxyAgent:Tls, or set HAProxyAgent:SharedToken"
                    ),
                );
            }
            shown.push(token);
        }
    }

    /// Plain HTTP to another machine is an error here and not a warning, because private keys
    /// travel.
    fn check_url(&self, report: &mut Report, key: &str, url: &Url) {
        if url.scheme() == "http" && !is_loopback(url) && !self.allow_unencrypted {
            return report.error(
                key,
                format!(
                    "{url} is not encrypted, but private keys are sent there; use https with \
                     HAProxyAgent:Tls (create the certificates with `dps pki init`), or set \
                     HAProxyAgent:AllowUnencrypted if the network itself encrypts"
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
        let has_own = |url: &Url| self.agents.iter().any(|agent| agent.base_url == *url);
        let all_have_their_own = !self.agents.is_empty() && self.urls().into_iter().all(has_own);
        let is_needed = matches!(self.tls.files(), Ok(None)) && !all_have_their_own;
        if is_needed || !matches!(token, Ok(None)) {
            report.token("HAProxyAgent:Token", &token);
        }
    }
}
