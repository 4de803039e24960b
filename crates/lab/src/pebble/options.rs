//! How a Pebble behaves.

use std::net::SocketAddr;
use std::time::Duration;

use crate::process::ProcessSpec;

/// The options of a Pebble. `None` is Pebble's own default.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// The resolver that validation queries.
    pub dns: SocketAddr,
    /// The port HTTP-01 is fetched from, at the address the resolver gives.
    pub http_port: u16,
    /// The port TLS-ALPN-01 is fetched from.
    pub tls_port: u16,
    /// Lifetime of issued certificates; Pebble's default is five years.
    pub certificate_validity: Option<Duration>,
    /// Whether validation begins with a random pause of up to five seconds, as Pebble does when
    /// left alone. Off.
    pub pause_before_validation: bool,
    /// Percentage of good nonces refused; Pebble's default is 5.
    pub nonce_reject_percent: Option<u8>,
    /// Chance in percent that a valid authorization is reused by a new order; Pebble's default is
    /// 50.
    pub authorization_reuse_percent: Option<u8>,
    /// Names refused with `rejectedIdentifier`, with everything below them.
    pub blocked_domains: Vec<String>,
    /// Number of alternate chains offered; Pebble's default is none.
    pub alternate_roots: Option<u8>,
    /// Number of certificates above the leaf, but for the root; Pebble's default is 1.
    pub chain_length: Option<u8>,
    /// Whether an account needs an external account binding (RFC 8555 §7.3.4).
    pub external_account_required: bool,
}

impl PebbleOptions {
    /// Validates by queries to `dns` and fetching from `http_port`, without the pause; everything
    /// else as Pebble likes it.
    pub fn new(dns: SocketAddr, http_port: u16) -> Self {
        Self {
            dns,
            http_port,
            // Nothing of ours answers TLS-ALPN-01; port 1 refuses.
            tls_port: 1,
            certificate_validity: None,
            pause_before_validation: false,
            nonce_reject_percent: None,
            authorization_reuse_percent: None,
            blocked_domains: Vec::new(),
            alternate_roots: None,
            chain_length: None,
            external_account_required: false,
        }
    }

    pub(super) fn apply(&self, spec: ProcessSpec) -> ProcessSpec {
        let pause = if self.pause_before_validation {
            "0"
        } else {
            "1"
        };
        let spec = spec
            .args(["-dnsserver", &self.dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", pause);
        let numbers = [
            ("PEBBLE_WFE_NONCEREJECT", self.nonce_reject_percent),
            ("PEBBLE_AUTHZREUSE", self.authorization_reuse_percent),
            ("PEBBLE_ALTERNATE_ROOTS", self.alternate_roots),
            ("PEBBLE_CHAIN_LENGTH", self.chain_length),
        ];
        numbers
            .into_iter()
            .fold(spec, |spec, (name, number)| match number {
                Some(number) => spec.env(name, number.to_string()),
                None => spec,
            })
    }

    pub(super) fn config(&self, directory: SocketAddr, management: SocketAddr) -> String {
        let mut pebble = serde_json::json!({
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": "cert.pem",
            "privateKey": "key.pem",
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.external_account_required,
            "domainBlocklist": self.blocked_domains,
        });
        if let Some(validity) = self.certificate_validity {
            pebble["certificateValidityPeriod"] = validity.as_secs().into();
        }
        serde_json::json!({ "pebble": pebble }).to_string()
    }
}
