//! List `Webhooks`: the receivers of events.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use dps_domain::address::forbidden_kind;
use dps_domain::webhook::{WebhookEventKind, WebhookReceiver, receiver_name};
use dps_domain::with_causes;
use dps_host::{MASK, Secret, SecretError};
use dps_infrastructure::webhook::SigningKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::report::Report;
use super::url_rules::has_credentials;

/// Receivers at most. Each is one row for every event.
const MAX_RECEIVERS: usize = 20;
/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// A receiver of events, an element of `Webhooks`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Webhook {
    /// URL to which events are posted. Required.
    #[serde(serialize_with = "place_alone", deserialize_with = "read_url")]
    pub url: Option<Url>,
    /// File that holds the secret that signs them. Required.
    pub secret_file: Option<PathBuf>,
    /// Kinds of events; all if empty.
    pub events: Vec<String>,
    /// Tenants whose events are sent; all if empty.
    pub tenants: Vec<String>,
    /// Allows http, for networks that encrypt by themselves.
    pub allow_unencrypted: bool,
    /// Allows a receiver at a private or loopback address.
    pub allow_private_addresses: bool,
}

impl Webhook {
    fn secret(&self) -> Result<Option<Secret>, SecretError> {
        Secret::resolve(None, self.secret_file.as_deref())
    }

    /// Reads the key from the file of the secret.
    ///
    /// # Errors
    /// When the file is missing, or holds no secret.
    pub fn signing_key(&self) -> anyhow::Result<SigningKey> {
        let secret = self.secret()?.context("SecretFile is missing")?;
        Ok(SigningKey::parse(&secret.into_inner())?)
    }

    /// The name of the receiver at this URL, in the store, in logs and in commands.
    pub fn name_of(url: &Url) -> String {
        receiver_name(&place(url), url.as_str())
    }

    /// The receiver as the store knows it; `None` without a URL.
    pub fn receiver(&self) -> Option<WebhookReceiver> {
        let kinds = self.events.iter();
        Some(WebhookReceiver {
            name: Self::name_of(self.url.as_ref()?),
            events: kinds
                .filter_map(|kind| WebhookEventKind::named(kind))
                .collect(),
            tenants: self.tenants.clone(),
        })
    }

    fn check(&self, key: &str, report: &mut Report) {
        match &self.url {
            Some(url) => self.check_url(&format!("{key}:Url"), url, report),
            None => report.error(
                &format!("{key}:Url"),
                "is missing; set it to the URL of the receiver, such as https://hooks.platform.example/dps",
            ),
        }
        let secret_key = format!("{key}:SecretFile");
        match self.secret() {
            Ok(Some(secret)) => {
                if let Err(fault) = SigningKey::parse(&secret.into_inner()) {
                    report.error(&secret_key, fault.to_string());
                }
            }
            Ok(None) => report.error(
                &secret_key,
                "is missing; set it to a file with a secret of 24 bytes or more that only the service can read",
            ),
            Err(error) => report.error(&secret_key, with_causes(&error)),
        }
        for (index, kind) in self.events.iter().enumerate() {
            if WebhookEventKind::named(kind).is_none() {
                let known = WebhookEventKind::ALL.iter().map(|kind| kind.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                report.error(
                    &format!("{key}:Events:{index}"),
                    format!("{kind:?} is no event; the events are {known}"),
                );
            }
        }
    }

    fn check_url(&self, key: &str, url: &Url, report: &mut Report) {
        if has_credentials(url) {
            return report.error(
                key,
                "must not contain a user name or password; messages are signed with the secret",
            );
        }
        if !matches!(url.scheme(), "http" | "https") || url.fragment().is_some() {
            return report.error(key, "must begin with https:// and have no fragment ('#')");
        }
        if url.as_str().len() > MAX_URL {
            return report.error(key, format!("is longer than {MAX_URL} bytes"));
        }
        if url.scheme() == "http" && !self.allow_unencrypted {
            report.error(
                key,
                "is not encrypted, so that events could be read on the way; use https, or set AllowUnencrypted of \
                 this receiver if the network itself encrypts",
            );
        }
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        let kind = address.and_then(forbidden_kind);
        if let Some(kind) = kind.filter(|_| !self.allow_private_addresses) {
            report.error(
                key,
                format!("is at a {kind} address; set AllowPrivateAddresses of this receiver if that is intended"),
            );
        }
    }
}

/// The host of a URL, with its port if that is not the scheme's own.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Writes a URL without its path and query, which may be a secret.
#[expect(clippy::ref_option, reason = "serde calls it with the field")]
fn place_alone<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = url.as_ref().map(|url| {
        let is_bare = url.path().len() <= 1 && url.query().is_none();
        let hidden = if is_bare { "" } else { MASK };
        format!("{}://{}/{hidden}", url.scheme(), place(url))
    });
    shown.serialize(serializer)
}

/// Reads a URL. The error does not repeat a text that may hold a secret.
fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let url = text.map(|text| Url::parse(&text)).transpose();
    url.map_err(|error| D::Error::custom(format!("not a URL ({error})")))
}

pub(super) fn check(webhooks: &[Webhook], report: &mut Report) {
    if webhooks.len() > MAX_RECEIVERS {
        let count = webhooks.len();
        report.error(
            "Webhooks",
            format!("has {count} elements; at most {MAX_RECEIVERS} are possible"),
        );
    }
    let mut urls = HashSet::new();
    for (index, webhook) in webhooks.iter().enumerate().take(MAX_RECEIVERS) {
        let key = format!("Webhooks:{index}");
        webhook.check(&key, report);
        if webhook.url.as_ref().is_some_and(|url| !urls.insert(url)) {
            report.error(
                &format!("{key}:Url"),
                "is listed twice; put all its events and tenants into one element",
            );
        }
    }
}
