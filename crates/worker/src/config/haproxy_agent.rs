//! Section `HAProxyAgent`: the agents of the edges.

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

/// The agents, one beside each HAProxy. All receive the same certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HAProxyAgent {
    /// Base URL of the agent, if there is one.
    pub base_url: Option<Url>,
    /// Base URLs of the agents, if there are several.
    pub base_urls: Vec<Url>,
    /// Agents with their own bearer tokens; they need not be in `base_urls`.
    pub agents: Vec<OneAgent>,
    /// Bearer token for agents without their own. Not needed with `tls`.
    pub token: Option<Secret>,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
    /// Allows the same token for several agents on other machines, and for those found by DNS.
    pub shared_token: bool,
    /// Mutual TLS; without it, https trusts the system's authorities.
    pub tls: Tls,
    /// Allows http to agents on other machines, for networks that encrypt by themselves.
    pub allow_unencrypted: bool,
    /// Time from the first failure of an edge until steps leave it out, 1 s to 24 h.
    pub unreachable_grace: HumanDuration,
    /// Agents that are found by DNS.
    pub discovery: Discovery,
    /// Timeout of one call, 1 s to 5 min. Applying a certificate includes the handshake that proves
    /// it.
    pub timeout: HumanDuration,
}

/// An element of `HAProxyAgent:Agents`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneAgent {
    /// Base URL of the agent.
    pub base_url: Url,
    /// Bearer token for this agent alone.
    #[serde(default)]
    pub token: Option<Secret>,
    /// File that holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl OneAgent {
    fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }
}

/// Bearer tokens for the agents. A token stolen from one agent must not control another.
#[derive(Debug, Clone, Default)]
pub struct AgentTokens {
    own: Vec<(Url, Secret)>,
    shared: Option<Secret>,
    is_sent_to_found: bool,
}

impl AgentTokens {
    /// Returns one token for every agent of the configuration.
    pub const fn shared(token: Option<Secret>) -> Self {
        Self {
            own: Vec::new(),
            shared: token,
            is_sent_to_found: false,
        }
    }

    /// Returns the token for an agent of the configuration.
    pub fn of_configured(&self, url: &Url) -> Option<Secret> {
        let own = self.own.iter().find(|(of, _)| of == url);
        own.map(|(_, token)| token)
            .or(self.shared.as_ref())
            .cloned()
    }

    /// Returns the token for an agent that was found by DNS.
    pub fn of_found(&self, url: &Url) -> Option<Secret> {
        let shared = self.shared.as_ref().filter(|_| self.is_sent_to_found);
        let own = self.own.iter().find(|(of, _)| of == url);
        own.map(|(_, token)| token).or(shared).cloned()
    }
}

/// Mutual TLS, by all three files or none. Without them, https to agents trusts the system's
/// authorities, and agents check the token alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_field_names, reason = "the names of the settings")]
pub struct Tls {
    /// PEM file of our certificate, leaf first.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its private key.
    pub key_file: Option<PathBuf>,
    /// PEM file of the authority that issues the other side's certificates.
    pub ca_file: Option<PathBuf>,
}

impl Tls {
    const FILES: [&str; 3] = ["CertificateFile", "KeyFile", "CaFile"];

    /// Returns the three files, or none; else the names of the missing settings.
    pub(super) fn files(&self) -> Result<Option<TlsFiles>, Vec<&'static str>> {
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
    /// The DNS names of the edges: those of the agents' URLs, and that of the discovery.
    pub fn edge_names(&self) -> Vec<&str> {
        let agents = self.urls().into_iter().filter_map(Url::domain);
        let found = self.discovery.name.as_deref().map(without_service);
        agents.chain(found).collect()
    }

    /// Returns the URLs of `BaseUrl`, `BaseUrls` and `Agents`, each once.
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

    /// Returns the token, from its value or its file.
    pub fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
    }

    /// Returns the tokens of all agents.
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
            is_sent_to_found: self.shared_token,
        })
    }

    /// Reads certificate, key and authority from their files; `None` if none are set.
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

    /// Refuses one token for several agents on other machines without mutual TLS: with it, one
    /// agent could control another.
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

    /// Refuses http to another machine, since private keys are sent.
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
        // With mutual TLS, a token is optional; one that is set must be usable.
        let token = self.token();
        let has_own = |url: &Url| self.agents.iter().any(|agent| agent.base_url == *url);
        let all_have_their_own = !self.agents.is_empty() && self.urls().into_iter().all(has_own);
        let is_needed = matches!(self.tls.files(), Ok(None)) && !all_have_their_own;
        if is_needed || !matches!(token, Ok(None)) {
            report.token("HAProxyAgent:Token", &token);
        }
    }
}

/// The name without the labels of a service (RFC 2782), such as `_haproxy-agent._tcp`.
fn without_service(name: &str) -> &str {
    let mut rest = name;
    while rest.starts_with('_') {
        rest = rest.split_once('.').map_or("", |(_, rest)| rest);
    }
    rest
}
