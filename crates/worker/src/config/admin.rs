//! Section `Admin`: the address and the tokens of the admin API.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use dps_domain::with_causes;
use dps_host::mutual_tls::{ServerTls, TlsFiles};
use dps_host::{Secret, SecretError};
use serde::{Deserialize, Serialize};

use super::haproxy_agent::Tls;
use super::report::Report;
use crate::admin::is_missing;

/// Tokens at most.
const MAX_TOKENS: usize = 100;
/// Calls of a holder a minute, as a bound can be set.
const MAX_PER_MINUTE: u32 = 100_000;
/// Longest name of a token, in bytes.
const MAX_NAME: usize = 64;

/// The admin API. It is off without a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Admin {
    /// Address and port; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// The tokens that are accepted.
    pub tokens: Vec<AdminToken>,
    /// Mutual TLS: callers show a certificate of its authority, and a token.
    pub tls: Tls,
    /// Allows calls without TLS from other machines, for networks that encrypt by themselves.
    pub allow_unencrypted: bool,
    /// Calls of one holder a minute at most, at each replica.
    pub requests_per_minute: u32,
    /// Of these, calls that act.
    pub actions_per_minute: u32,
}

/// An element of `Admin:Tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct AdminToken {
    /// Name of its holder, as the history of a domain shows it. Required.
    pub name: Option<String>,
    /// The calls that are allowed.
    pub role: AdminRole,
    /// File that holds the bearer token. It is read again when it changes. Required.
    pub token_file: Option<PathBuf>,
}

/// The calls that a token allows; each role allows those of the roles before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum AdminRole {
    /// Calls that change nothing.
    #[default]
    Viewer,
    /// Calls that act on a domain or a limit.
    Operator,
    /// All calls.
    Admin,
}

impl AdminRole {
    /// Its name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Operator => "Operator",
            Self::Admin => "Admin",
        }
    }
}

impl AdminToken {
    /// Reads the token from its file.
    pub fn token(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(None, self.token_file.as_deref())
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
            tokens: Vec::new(),
            tls: Tls::default(),
            allow_unencrypted: false,
            requests_per_minute: 600,
            actions_per_minute: 60,
        }
    }
}

impl Admin {
    /// Whether the API is on.
    pub const fn is_on(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Reads certificate, key and authority from their files; `None` if none are set.
    pub fn server_tls(&self) -> anyhow::Result<Option<ServerTls>> {
        Ok(self.tls_files()?.map(ServerTls::open).transpose()?)
    }

    fn tls_files(&self) -> anyhow::Result<Option<TlsFiles>> {
        self.tls.files().map_err(|missing| {
            anyhow::anyhow!(
                "Admin:Tls: {} missing; set CertificateFile, KeyFile and CaFile",
                missing.join(" and ")
            )
        })
    }

    pub(super) fn check(&self, report: &mut Report) {
        for (key, value) in [
            ("Admin:RequestsPerMinute", self.requests_per_minute),
            ("Admin:ActionsPerMinute", self.actions_per_minute),
        ] {
            report.count(key, value, 1..=MAX_PER_MINUTE);
        }
        match self.server_tls() {
            Err(error) => report.error("Admin:Tls", with_causes(error.as_ref())),
            Ok(None) if !self.listen.ip().is_loopback() && !self.allow_unencrypted => {
                if self.is_on() {
                    report.error(
                        "Admin:Listen",
                        format!(
                            "{} is reached by other machines without encryption, so tokens could be read; set Admin:Tls \
                             (create the certificates with `dps pki`), or set Admin:AllowUnencrypted if the network \
                             itself encrypts",
                            self.listen
                        ),
                    );
                }
            }
            Ok(_) => {}
        }
        if self.tokens.len() > MAX_TOKENS {
            let count = self.tokens.len();
            report.error(
                "Admin:Tokens",
                format!("has {count} elements; at most {MAX_TOKENS} are possible"),
            );
        }
        let (mut names, mut shown) = (HashSet::new(), HashSet::new());
        for (index, token) in self.tokens.iter().enumerate().take(MAX_TOKENS) {
            let key = format!("Admin:Tokens:{index}");
            let is_usable = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
            let name = token.name.as_deref().unwrap_or_default();
            if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_usable) {
                report.error(
                    &format!("{key}:Name"),
                    format!(
                        "must be 1 to {MAX_NAME} letters, digits, hyphens, dots, underscores or @, since the history \
                         of domains shows it"
                    ),
                );
            } else if !names.insert(name) {
                report.error(
                    &format!("{key}:Name"),
                    format!("{name} is listed twice; give each token a name of its own"),
                );
            }
            let secret = token.token();
            match &secret {
                Ok(None) => report.error(
                    &format!("{key}:TokenFile"),
                    "is missing; set it to a file that holds the token and that only the service can read",
                ),
                Err(error) if is_missing(error) => report.warning(
                    &format!("{key}:TokenFile"),
                    format!("{name} has no access: {}", with_causes(error)),
                ),
                secret => report.token(&format!("{key}:TokenFile"), secret),
            }
            let text = secret
                .ok()
                .flatten()
                .map(|secret| secret.expose().to_owned());
            if text.is_some_and(|text| !shown.insert(text)) {
                report.error(
                    &format!("{key}:TokenFile"),
                    "holds the token of another element; give each holder a token of its own",
                );
            }
        }
    }
}
