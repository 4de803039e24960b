//! The agent's settings: section `Agent` of `appsettings.json`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_host::mutual_tls::TlsError;
use dps_host::{HumanDuration, OutOfBounds, Secret, SecretError, TOKEN_RULE};
use dps_http_probe::ProbeSettings;
use serde::{Deserialize, Serialize};

use crate::runtime_api::{Endpoint, EndpointError, NameError, RuntimeLimits};
use tls::Tls;
pub(crate) use tls::TlsListener;

pub(crate) mod tls;

/// Section `Agent`. Every field has a default; a token or the files of `Tls` must be given, so that
/// the service can prove itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where the agent listens without encryption: for HAProxy's challenge backend, for monitoring
    /// and, unless `Tls` is set, for the service (`/internal/…`).
    pub listen: SocketAddr,
    /// Where and how it listens with mutual TLS.
    pub tls: Tls,
    /// Whether the service may be listened for without encryption on an address that other machines
    /// reach.
    pub allow_unencrypted: bool,
    /// The bearer token that the service shows.
    pub token: Option<Secret>,
    /// A file that holds the bearer token, instead of `Token`.
    pub token_file: Option<PathBuf>,
    /// Where certificates, keys and the crt-list live; absolute, letters, digits and `. _ - /`
    /// only. HAProxy's configuration names `<StateDirectory>/crt-list.txt`, spelled the same way.
    pub state_directory: PathBuf,
    /// HAProxy's stats socket with `level admin`: a path, or `tcp:host:port`.
    pub haproxy_socket: String,
    /// Where a TLS handshake reaches this HAProxy's HTTPS bind, to prove what is served.
    pub tls_address: SocketAddr,
    /// How long a challenge is answered unless it is withdrawn: 1 minute to 7 days.
    pub challenge_ttl: HumanDuration,
    /// Challenges held at once.
    pub max_challenges: usize,
    /// Certificates held at once.
    pub max_certificates: usize,
    /// How often the agent looks whether HAProxy was restarted: 100 ms to 1 minute.
    pub watch_interval: HumanDuration,
    /// How often the agent compares everything that HAProxy has with the disk although it is the
    /// same process: 1 second to 1 day.
    pub audit_interval: HumanDuration,
    /// The longest that one Runtime API command may take: 100 ms to 1 minute.
    pub runtime_deadline: HumanDuration,
    /// The longest that the proving handshake may take: 100 ms to 1 minute.
    pub handshake_timeout: HumanDuration,
    /// The longest that one call to the agent may take, waiting for others included: 1 second to 10
    /// minutes.
    pub request_timeout: HumanDuration,
    /// Grace after HAProxy has read the crt-list, in which its new worker is expected to take over.
    /// The time that it read is added, at least half a millisecond for each certificate. More is
    /// needed where HAProxy reads other long lists after ours: 100 ms to 5 minutes.
    pub reload_grace: HumanDuration,
    /// Longest wait of an apply or a removal for a reload that began before it: 1 second to 10
    /// minutes. Less than `RequestTimeout` and than the service waits, so that the service learns
    /// the reason.
    pub reload_timeout: HumanDuration,
    /// The longest Runtime API request: HAProxy's `tune.bufsize` less 512. Beyond its buffer
    /// HAProxy may drop the request or hang.
    pub max_runtime_request_bytes: usize,
    /// Port of the HTTP probes that the service sends from this edge, 1 to 65,535. A public CA
    /// connects only to port 80 (RFC 8555 §8.3).
    pub probe_port: u16,
    /// Whether these probes may connect to private and loopback addresses, for a lab or an
    /// intranet.
    pub allow_private_probes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9402)),
            tls: Tls::default(),
            allow_unencrypted: false,
            token: None,
            token_file: None,
            state_directory: PathBuf::from("/var/lib/haproxy-domain-agent"),
            haproxy_socket: "/run/haproxy/domain-agent.sock".to_owned(),
            tls_address: SocketAddr::from(([127, 0, 0, 1], 443)),
            challenge_ttl: HumanDuration::from_secs(24 * 3600),
            max_challenges: 10_000,
            max_certificates: 100_000,
            watch_interval: HumanDuration::from(Duration::from_millis(1500)),
            audit_interval: HumanDuration::from_secs(15 * 60),
            runtime_deadline: HumanDuration::from_secs(10),
            handshake_timeout: HumanDuration::from_secs(5),
            request_timeout: HumanDuration::from_secs(60),
            reload_grace: HumanDuration::from_secs(2),
            reload_timeout: HumanDuration::from_secs(20),
            max_runtime_request_bytes: 15_872,
            probe_port: 80,
            allow_private_probes: false,
        }
    }
}

/// A setting of section `Agent` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Neither `Token` nor `TokenFile` nor `Tls`.
    #[error(
        "Agent:Token is missing; set it, Agent:TokenFile or the files of Agent:Tls, so that the service can \
         authenticate itself"
    )]
    TokenMissing,
    /// Some of the files, but not all.
    #[error(
        "Agent:Tls:{missing} is missing; mutual TLS needs CertificateFile, KeyFile and ClientCaFile"
    )]
    TlsIncomplete {
        /// The setting's name.
        missing: &'static str,
    },
    /// The files of `Tls`.
    #[error("Agent:Tls cannot be used")]
    Tls(#[source] TlsError),
    /// Keys and the token would travel in the clear.
    #[error(
        "Agent:Listen {0} is reachable from other machines, and keys would be sent unencrypted; set \
         Agent:Tls, listen on 127.0.0.1, or set Agent:AllowUnencrypted if the network itself encrypts"
    )]
    Unencrypted(SocketAddr),
    /// The token's file.
    #[error("cannot read Agent:Token")]
    Token(#[source] SecretError),
    /// A token that can be guessed, or that no caller can show.
    #[error("Agent:Token {TOKEN_RULE}")]
    TokenUnusable,
    /// The socket.
    #[error("Agent:HaproxySocket is not valid")]
    Socket(#[source] EndpointError),
    /// The directory's path.
    #[error("Agent:StateDirectory {} is not valid", path.display())]
    StateDirectory {
        /// The path.
        path: PathBuf,
        /// Why.
        source: NameError,
    },
    /// A duration out of bounds.
    #[error("Agent:{setting} {source}")]
    Duration {
        /// The setting's name.
        setting: &'static str,
        /// Found and allowed.
        source: OutOfBounds,
    },
    /// A count out of bounds.
    #[error("Agent:{setting} must be from {least} to {most}")]
    Count {
        /// The setting's name.
        setting: &'static str,
        /// The smallest allowed.
        least: usize,
        /// The largest allowed.
        most: usize,
    },
}

/// Settings that were found usable.
#[derive(Clone)]
pub(crate) struct Checked {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<TlsListener>,
    pub(crate) token: Option<Secret>,
    pub(crate) state_directory: PathBuf,
    pub(crate) endpoint: Endpoint,
    pub(crate) limits: RuntimeLimits,
    pub(crate) tls_address: SocketAddr,
    pub(crate) handshake_timeout: Duration,
    pub(crate) challenge_ttl: Duration,
    pub(crate) max_challenges: usize,
    pub(crate) max_certificates: usize,
    pub(crate) watch_interval: Duration,
    pub(crate) audit_interval: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) reload_grace: Duration,
    pub(crate) reload_timeout: Duration,
    pub(crate) probe: ProbeSettings,
}

impl Settings {
    /// Whether the agent could start with these settings. Reads the files that they name and
    /// touches nothing else.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.checked().map(drop)
    }

    pub(crate) fn checked(&self) -> Result<Checked, SettingsError> {
        let token = Secret::resolve(self.token.as_ref(), self.token_file.as_deref())
            .map_err(SettingsError::Token)?;
        if token.as_ref().is_some_and(|token| !token.is_usable_token()) {
            return Err(SettingsError::TokenUnusable);
        }
        let tls = self.tls.open()?;
        if tls.is_none() && token.is_none() {
            return Err(SettingsError::TokenMissing);
        }
        if tls.is_none() && !self.listen.ip().is_loopback() && !self.allow_unencrypted {
            return Err(SettingsError::Unencrypted(self.listen));
        }
        let fast = HumanDuration::from(Duration::from_millis(100));
        let minute = HumanDuration::from_secs(60);
        let within = |setting, duration: HumanDuration, least, most| {
            duration
                .within(least, most)
                .map_err(|source| SettingsError::Duration { setting, source })
        };
        let deadline = within("RuntimeDeadline", self.runtime_deadline, fast, minute)?;
        Ok(Checked {
            listen: self.listen,
            tls,
            token,
            state_directory: usable_directory(&self.state_directory)?,
            endpoint: self.haproxy_socket.parse().map_err(SettingsError::Socket)?,
            limits: RuntimeLimits {
                deadline,
                lock_timeout: deadline,
                max_request_bytes: count(
                    "MaxRuntimeRequestBytes",
                    self.max_runtime_request_bytes,
                    4_096,
                    131_072,
                )?,
            },
            tls_address: self.tls_address,
            handshake_timeout: within("HandshakeTimeout", self.handshake_timeout, fast, minute)?,
            challenge_ttl: within(
                "ChallengeTtl",
                self.challenge_ttl,
                minute,
                HumanDuration::from_secs(7 * 86_400),
            )?,
            max_challenges: count("MaxChallenges", self.max_challenges, 1, 1_000_000)?,
            max_certificates: count("MaxCertificates", self.max_certificates, 1, 1_000_000)?,
            watch_interval: within("WatchInterval", self.watch_interval, fast, minute)?,
            audit_interval: within(
                "AuditInterval",
                self.audit_interval,
                HumanDuration::from_secs(1),
                HumanDuration::from_secs(86_400),
            )?,
            request_timeout: within(
                "RequestTimeout",
                self.request_timeout,
                HumanDuration::from_secs(1),
                HumanDuration::from_secs(600),
            )?,
            reload_grace: within(
                "ReloadGrace",
                self.reload_grace,
                fast,
                HumanDuration::from_secs(300),
            )?,
            reload_timeout: within(
                "ReloadTimeout",
                self.reload_timeout,
                HumanDuration::from_secs(1),
                HumanDuration::from_secs(600),
            )?,
            probe: ProbeSettings {
                port: u16::try_from(count("ProbePort", self.probe_port.into(), 1, 65_535)?)
                    .unwrap_or(self.probe_port),
                allow_private: self.allow_private_probes,
                ..ProbeSettings::default()
            },
        })
    }
}

fn count(
    setting: &'static str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<usize, SettingsError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(SettingsError::Count {
            setting,
            least,
            most,
        })
    }
}

fn usable_directory(path: &Path) -> Result<PathBuf, SettingsError> {
    let bad = |source| SettingsError::StateDirectory {
        path: path.to_owned(),
        source,
    };
    let text = path
        .to_str()
        .ok_or_else(|| bad(NameError::IllegalCharacter))?;
    let text = if text.len() > 1 {
        text.trim_end_matches('/')
    } else {
        text
    };
    // The longest name below it has some 300 characters.
    if text.len() > 512 {
        return Err(bad(NameError::IllegalForm));
    }
    crate::runtime_api::ListName::parse(&format!("{text}/crt-list.txt")).map_err(bad)?;
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable() -> Settings {
        Settings {
            token: Some(Secret::from("t0ken-of-the-tests")),
            ..Settings::default()
        }
    }

    #[test]
    fn the_defaults_need_a_token_and_nothing_else() {
        assert!(matches!(
            Settings::default().check(),
            Err(SettingsError::TokenMissing)
        ));
        usable().check().unwrap();
        let empty: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(empty.listen, Settings::default().listen);
    }

    #[test]
    fn unusable_values_are_refused_by_name() {
        for (settings, name) in [
            (
                Settings {
                    state_directory: "relative".into(),
                    ..usable()
                },
                "StateDirectory",
            ),
            (
                Settings {
                    state_directory: "/with space".into(),
                    ..usable()
                },
                "StateDirectory",
            ),
            (
                Settings {
                    haproxy_socket: "tcp:nowhere".into(),
                    ..usable()
                },
                "HaproxySocket",
            ),
            (
                Settings {
                    challenge_ttl: HumanDuration::from_secs(1),
                    ..usable()
                },
                "ChallengeTtl",
            ),
            (
                Settings {
                    max_certificates: 0,
                    ..usable()
                },
                "MaxCertificates",
            ),
            (
                Settings {
                    token: Some(Secret::from("fifteen-letters")),
                    ..usable()
                },
                "Token",
            ),
            (
                Settings {
                    token: Some(Secret::from("a token that no header carries")),
                    ..usable()
                },
                "Token",
            ),
            (
                Settings {
                    listen: SocketAddr::from(([0, 0, 0, 0], 9402)),
                    ..usable()
                },
                "AllowUnencrypted",
            ),
            (
                Settings {
                    tls: Tls {
                        certificate_file: Some("/c.pem".into()),
                        key_file: Some("/k.pem".into()),
                        ..Tls::default()
                    },
                    ..usable()
                },
                "Tls:ClientCaFile",
            ),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let unknown = serde_json::from_str::<Settings>(r#"{"Listn": "127.0.0.1:1"}"#).unwrap_err();
        assert!(unknown.to_string().contains("Listn"));
    }

    #[test]
    fn a_token_is_never_shown() {
        assert!(!format!("{:?}", usable()).contains("t0ken-of-the-tests"));
        assert!(
            !serde_json::to_string(&usable())
                .unwrap()
                .contains("t0ken-of-the-tests")
        );
    }
}
