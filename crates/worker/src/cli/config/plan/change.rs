//! The settings that differ, and the reasons for which they touch stored state.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{flatten, mask_credentials};
use crate::config::Settings;
use crate::wiring;

/// A setting that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// Its key.
    pub(super) setting: String,
    /// Its present value as JSON text, a secret masked; absent if it has none.
    pub(super) from: Option<String>,
    /// Its new value.
    pub(super) to: Option<String>,
    /// The process that must be restarted for it.
    pub(super) restart: &'static str,
}

macro_rules! reasons {
    ($($variant:ident => $text:literal, $keys:expr, $summary:literal;)*) => {
        /// A reason for which a change touches stored state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) enum Reason { $(#[doc = $summary] $variant,)* }

        impl Reason {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The consequence in words.
            pub(super) const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// The settings, or sections of settings, that have this consequence.
            const fn keys(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &$keys,)* }
            }
        }
    };
}

reasons! {
    Database => "database", ["CertificateStore:ConnectionString"],
        "The service starts with what the other database holds; these stay in the present one.";
    EncryptionKey => "encryptionKey",
        ["CertificateStore:EncryptionKey", "CertificateStore:EncryptionKeyFile"],
        "These private keys are encrypted with another key than the new current one.";
    Ca => "ca", ["LetsEncrypt:DirectoryUrl"],
        "Each is issued anew by the other CA, with another account; open orders are given up.";
    Cabinet => "cabinet", ["CabinetApi:BaseUrl"],
        "The other Cabinet decides about these; what it does not have is removed after \
         Workers:Intake:MissingGrace.";
    Targets => "targets",
        [
            "Workers:DomainVerification:AllowedTargets",
            "Workers:DomainVerification:BlockedNames",
            "Workers:DomainVerification:AllowPlatformNames",
            "HAProxyAgent",
        ],
        "The rules for names and targets decide otherwise about these.";
    Ownership => "ownership",
        [
            "Workers:DomainVerification:RequireProof",
            "Workers:DomainVerification:ReproveAfter",
            "Workers:DomainVerification:UniqueTargets",
        ],
        "Their tenants have not proven the hostname, and other rules decide whether they must.";
    EdgeAddresses => "edgeAddresses",
        ["Workers:DomainVerification:EdgeAddresses", "LetsEncrypt:CaaIdentities"],
        "Their next check compares DNS or CAA records with other values.";
    Edges => "edges",
        ["HAProxyAgent:BaseUrl", "HAProxyAgent:BaseUrls", "HAProxyAgent:Agents", "HAProxyAgent:Discovery"],
        "Edges that join receive every certificate; edges that leave are sent nothing more.";
    Limits => "limits", ["LetsEncrypt:Limits"],
        "These wait for a limit of the CA; the next attempt is judged by the new limits.";
    Renewal => "renewal", ["Workers:Renewal"],
        "Their renewals follow the other policy.";
    Recheck => "recheck", ["Workers:Recheck"],
        "They are checked at other times, and count as moved away by other rules.";
    Removal => "removal", ["Workers:Removal"],
        "These are being removed, by the other policy.";
    Retention => "retention",
        [
            "CertificateStore:EventsPerDomain",
            "CertificateStore:EventsMaxAge",
            "CertificateStore:OrdersMaxAge",
            "CertificateStore:RollbackFor",
        ],
        "Their history, orders and ended certificates are kept for other times.";
    Webhooks => "webhooks", ["Webhooks"],
        "Other receivers get the events; these events wait for receivers that are not configured.";
}

impl Reason {
    /// Steps of the operator, before the new settings are used.
    pub(super) fn needs(self, now: &Settings, then: &Settings) -> Vec<String> {
        match self {
            Self::Database => vec![
                "dps migrate with the new settings, which makes or migrates the other database"
                    .to_owned(),
                "copy the content with every service stopped, if it is to be kept (dps backup)"
                    .to_owned(),
            ],
            Self::EncryptionKey => key_steps(now, then),
            Self::Ca if !then.lets_encrypt.accept_directory_change => vec![
                "set LetsEncrypt:AcceptDirectoryChange to true for one start; without it the \
                 service does not start with live certificates of another directory"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

/// The steps of a change of the key-encryption keys.
fn key_steps(now: &Settings, then: &Settings) -> Vec<String> {
    let (Ok(now), Ok(then)) = (key_ids(now), key_ids(then)) else {
        return Vec::new();
    };
    let mut steps: Vec<String> = (now.iter().filter(|id| !then.contains(id)))
        .map(|id| {
            format!(
                "keep the key {id} behind the new one until dps keys rotate has ended; without it, \
                 what it encrypts cannot be opened"
            )
        })
        .collect();
    steps.push("dps keys rotate after every service was restarted with the new key".to_owned());
    steps
}

/// The identifiers of the key-encryption keys, the current one first.
fn key_ids(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let vault = wiring::open_vault(settings)?;
    Ok(vault.key_ids().map(ToString::to_string).collect())
}

/// The settings that differ, by key.
pub(super) fn between(now: &Settings, then: &Settings) -> Vec<Change> {
    let (now, then) = (lines(now), lines(then));
    let mut keys: Vec<&String> = now.keys().chain(then.keys()).collect();
    keys.sort();
    keys.dedup();
    let differing = keys
        .into_iter()
        .filter(|key| now.get(*key) != then.get(*key));
    differing
        .map(|key| Change {
            setting: key.clone(),
            from: now.get(key).cloned(),
            to: then.get(key).cloned(),
            restart: process(key),
        })
        .collect()
}

fn lines(settings: &Settings) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let Ok(mut value) = serde_json::to_value(settings) else {
        return lines;
    };
    mask_credentials(&mut value);
    flatten(&value, &mut String::new(), &mut lines);
    lines
}

fn process(setting: &str) -> &'static str {
    match setting.split(':').next() {
        Some("Agent") => "dps agent",
        Some("Cabinet") => "dps cabinet",
        _ => "dps run",
    }
}

/// The reasons for which the changes touch stored state. Keys by value are masked in settings, so
/// their identifiers are compared.
pub(super) fn reasons(changes: &[Change], now: &Settings, then: &Settings) -> Vec<Reason> {
    let is_changed = |key: &&str| {
        let mut changes = changes.iter();
        changes.any(|change| match change.setting.strip_prefix(*key) {
            Some(rest) => rest.is_empty() || rest.starts_with(':'),
            None => false,
        })
    };
    let of_key = |reason: Reason| match reason {
        Reason::EncryptionKey => match (key_ids(now), key_ids(then)) {
            (Ok(now), Ok(then)) => now != then,
            _ => reason.keys().iter().any(&is_changed),
        },
        // Names of edges are the platform's own, so they belong to the rules for names.
        Reason::Targets => now.policy().names != then.policy().names,
        Reason::Edges => {
            let urls = |settings: &Settings| -> Vec<String> {
                let urls = settings.haproxy_agent.urls();
                urls.iter().map(ToString::to_string).collect()
            };
            urls(now) != urls(then) || is_changed(&"HAProxyAgent:Discovery")
        }
        reason => reason.keys().iter().any(&is_changed),
    };
    let all = Reason::ALL.iter().copied();
    all.filter(|reason| of_key(*reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reasons for these settings instead of the defaults.
    fn reasons_of(change: impl Fn(&mut Settings)) -> Vec<Reason> {
        let (now, mut then) = (Settings::default(), Settings::default());
        change(&mut then);
        reasons(&between(&now, &then), &now, &then)
    }

    #[test]
    fn a_change_has_the_reasons_of_its_sections() {
        assert_eq!(reasons_of(|_| ()), []);
        let url = || "https://ca.example/directory".parse().unwrap();
        let ca = reasons_of(|then| then.lets_encrypt.directory_url = url());
        assert_eq!(ca, [Reason::Ca]);
        let edge = || vec!["https://edge-9.internal:9403".parse().unwrap()];
        let edges = reasons_of(|then| then.haproxy_agent.base_urls = edge());
        assert!(edges.contains(&Reason::Edges), "{edges:?}");
        let lines = reasons_of(|then| then.certificate_store.events_per_domain += 1);
        assert_eq!(lines, [Reason::Retention]);
        let renewal = reasons_of(|then| then.workers.renewal.concurrency += 1);
        assert_eq!(renewal, [Reason::Renewal]);
        // A section with a longer name is another one.
        let listen = reasons_of(|then| then.http.listen.set_port(1));
        assert_eq!(listen, []);
    }

    #[test]
    fn each_change_names_the_process_to_restart_and_no_secret() {
        let (now, mut then) = (Settings::default(), Settings::default());
        then.http.listen.set_port(1);
        then.cabinet_api.token = Some("hunter2-hunter2-hunter2".into());
        let changes = between(&now, &then);
        let listed: Vec<(&str, &str)> = changes
            .iter()
            .map(|change| (change.setting.as_str(), change.restart))
            .collect();
        assert_eq!(
            listed,
            [("CabinetApi:Token", "dps run"), ("Http:Listen", "dps run")]
        );
        assert_eq!(changes[0].to.as_deref(), Some("\"***\""));
        assert_eq!(process("Agent:Listen"), "dps agent");
    }
}
