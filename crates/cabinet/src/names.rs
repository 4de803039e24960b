//! Which names customers may have, and where they must point.

use std::net::IpAddr;

use dps_cabinet_api::{CustomDomain, ProblemCode, limits};
use dps_domain::address::edge_address_fault;
use dps_domain::failure::{WantedRecords, txt_instruction};
use dps_domain::{Hostname, NameRules, NameSuffix};

use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError};
use crate::target::{TargetSeed, TargetTemplate};

/// The platform's rules for names.
#[derive(Debug)]
pub(crate) struct NamePolicy {
    rules: NameRules,
    template: Option<TargetTemplate>,
    /// Suffixes of targets that a request may name.
    requestable: Vec<NameSuffix>,
    edge_addresses: Vec<IpAddr>,
}

impl NamePolicy {
    /// Reads and checks the rules in the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let suffixes = |names: &[String]| -> Result<Vec<NameSuffix>, SettingsError> {
            let parse = |name: &String| {
                NameSuffix::parse(name).map_err(|_| SettingsError::NoName(name.clone()))
            };
            names.iter().map(parse).collect()
        };
        let blocked = suffixes(&settings.blocked_names)?;
        let own = suffixes(&settings.own_names)?;
        let mut requestable = suffixes(&settings.allowed_targets)?;
        let read = |template: &String| {
            TargetTemplate::new(template).map_err(|source| SettingsError::CnameTarget {
                value: template.clone(),
                source,
            })
        };
        let template = settings.cname_target.as_ref().map(read).transpose()?;
        let mut targets = requestable.clone();
        if let Some(template) = &template {
            targets.extend(template.suffix().cloned());
            if template.suffix_of_unique().is_none() {
                requestable.extend(template.suffix().cloned());
            }
        }
        for address in &settings.edge_addresses {
            if let Some(fault) = edge_address_fault(*address) {
                return Err(SettingsError::EdgeAddress {
                    address: *address,
                    fault,
                });
            }
        }
        Ok(Self {
            rules: NameRules::new(blocked, targets, &own, settings.allow_platform_names),
            template,
            requestable,
            edge_addresses: settings.edge_addresses.clone(),
        })
    }

    /// The hostname that a customer typed, if it is one and the platform allows it.
    pub(crate) fn hostname(&self, typed: &str) -> Result<Hostname, Refusal> {
        let invalid = |detail: String| Refusal::at(ProblemCode::NameInvalid, "hostname", detail);
        if typed.len() > limits::MAX_HOSTNAME_BYTES {
            return Err(invalid(
                dps_domain::hostname::HostnameError::TooLong.to_string(),
            ));
        }
        let name = Hostname::parse(typed).map_err(|error| invalid(error.to_string()))?;
        match self.rules.blocked.iter().find(|rule| rule.covers(&name)) {
            Some(rule) => Err(blocked(&name, rule)),
            None => Ok(name),
        }
    }

    /// The template of targets.
    pub(crate) fn template(&self) -> Option<&TargetTemplate> {
        self.template.as_ref()
    }

    /// Where the customer's DNS must point: what was requested, or the configured target.
    pub(crate) fn target(
        &self,
        requested: Option<&str>,
        seed: TargetSeed<'_>,
        host: &Hostname,
    ) -> Result<Hostname, Refusal> {
        let target = match (requested, &self.template) {
            (Some(requested), _) => self.requested_target(requested)?,
            (None, Some(template)) => parse_target(&template.target(seed))?,
            (None, None) => {
                return Err(wrong_target(
                    "give a target, since this platform has no default target",
                ));
            }
        };
        match self.rules.blocking(host, &target) {
            Some(rule) => Err(blocked(host, &rule)),
            None => Ok(target),
        }
    }

    fn requested_target(&self, requested: &str) -> Result<Hostname, Refusal> {
        let target = parse_target(requested)?;
        // Anyone who sees another domain's target in DNS, or guesses it, could share it and so pass
        // for that domain.
        let unique = self
            .template()
            .and_then(TargetTemplate::suffix_of_unique)
            .filter(|suffix| suffix.covers(&target) && suffix.as_str() != target.as_str());
        if let Some(suffix) = unique {
            return Err(wrong_target(format!(
                "{target} cannot be requested: below {}, each domain gets a target of its own \
                 (Cabinet:CnameTarget); omit the field",
                suffix.as_str()
            )));
        }
        if self.requestable.iter().any(|suffix| suffix.covers(&target)) {
            return Ok(target);
        }
        Err(wrong_target(format!(
            "{target} is not a target of this platform; omit the field, or have the target added to \
             Cabinet:AllowedTargets"
        )))
    }

    /// The addresses that customers enter for names that cannot have a CNAME.
    pub(crate) fn edge_addresses(&self) -> &[IpAddr] {
        &self.edge_addresses
    }

    /// The exact record that the customer creates, and the record that proves ownership if one is
    /// wanted.
    pub(crate) fn instruction(&self, domain: &CustomDomain) -> String {
        let record = self.record(domain);
        match (&domain.ownership_verification, domain.canonical_host()) {
            (Some(proof), Ok(hostname)) => format!(
                "{record}; to prove that the name is yours, {}",
                txt_instruction(&proof.name, &proof.value, &hostname)
            ),
            _ => record,
        }
    }

    fn record(&self, domain: &CustomDomain) -> String {
        match (domain.canonical_host(), domain.cname_target()) {
            (Ok(hostname), Ok(cname_target)) => WantedRecords {
                hostname: &hostname,
                cname_target: &cname_target,
                edge_addresses: &self.edge_addresses,
                caa_identity: None,
                proof: None,
            }
            .instruction(),
            _ => format!("point {} to {}", domain.canonical_host, domain.cname_target),
        }
    }
}

fn parse_target(text: &str) -> Result<Hostname, Refusal> {
    Hostname::parse(text).map_err(|error| wrong_target(error.to_string()))
}

fn wrong_target(detail: impl Into<String>) -> Refusal {
    Refusal::at(ProblemCode::FieldInvalid, "cnameTarget", detail)
}

fn blocked(name: &Hostname, rule: &NameSuffix) -> Refusal {
    let detail = format!(
        "{name} cannot be used on this platform (blocked: {} and all names below it); choose another \
         name",
        rule.as_str()
    );
    Refusal::at(ProblemCode::NameBlocked, "hostname", detail)
}

#[cfg(test)]
mod tests {
    use dps_cabinet_api::OwnershipVerification;
    use dps_domain::{DomainId, Status, Timestamp};

    use super::*;

    const SEED: TargetSeed<'static> = TargetSeed {
        id: DomainId::from_uuid(uuid::Uuid::nil()),
        label: "abcdefghijklmnopqrstuvwxyz",
    };

    fn policy(settings: &Settings) -> NamePolicy {
        NamePolicy::new(settings).unwrap()
    }

    #[test]
    fn a_blocked_name_blocks_what_is_below_it_and_nothing_beside_it() {
        let policy = policy(&Settings {
            blocked_names: ["Bank.example", "*.local.", "bücher.example", "co.uk"]
                .map(str::to_owned)
                .into(),
            ..Settings::default()
        });
        for blocked in [
            "bank.example",
            "www.BANK.example",
            "a.local",
            "www.xn--bcher-kva.example",
            "x.co.uk",
        ] {
            let refusal = policy.hostname(blocked).unwrap_err();
            assert_eq!(
                refusal.problem.code(),
                Some(ProblemCode::NameBlocked),
                "{blocked}"
            );
        }
        assert!(policy.hostname("mybank.example").is_ok());
    }

    #[test]
    fn the_target_can_be_unique_per_domain() {
        let policy = policy(&Settings {
            cname_target: Some("{random}.edge.platform.example".to_owned()),
            ..Settings::default()
        });
        let host = Hostname::parse("shop.example.com").unwrap();
        let target = policy.target(None, SEED, &host).unwrap();
        assert_eq!(
            target.as_str(),
            "abcdefghijklmnopqrstuvwxyz.edge.platform.example"
        );
        assert!(
            policy
                .target(Some("shop.example.com"), SEED, &host)
                .is_err()
        );
    }

    #[test]
    fn a_request_cannot_name_a_target_where_each_domain_gets_its_own() {
        let host = Hostname::parse("shop.example.com").unwrap();
        for template in [
            "{random}.edge.platform.example",
            "{id}.edge.platform.example",
        ] {
            let rules = policy(&Settings {
                cname_target: Some(template.to_owned()),
                // Both cover the targets of the template.
                allowed_targets: ["platform.example", "edge.platform.example"]
                    .map(str::to_owned)
                    .into(),
                ..Settings::default()
            });
            for shared in ["lb.platform.example", "edge.platform.example"] {
                assert!(rules.target(Some(shared), SEED, &host).is_ok(), "{shared}");
            }
            let somebodys = rules.target(None, SEED, &host).unwrap();
            for requested in [
                somebodys.as_str(),
                "x.Edge.platform.example.",
                "a.b.edge.platform.example",
            ] {
                let refusal = rules.target(Some(requested), SEED, &host).unwrap_err();
                let problem = refusal.problem;
                assert_eq!(problem.code(), Some(ProblemCode::FieldInvalid));
                assert_eq!(problem.field.as_deref(), Some("cnameTarget"));
                assert!(problem.detail.contains("omit the field"), "{requested}");
            }
        }
        // A target that all domains share proves nothing, so a request may name it.
        let shared = policy(&Settings {
            cname_target: Some("edge.platform.example".to_owned()),
            ..Settings::default()
        });
        assert!(
            shared
                .target(Some("edge.platform.example"), SEED, &host)
                .is_ok()
        );
    }

    #[test]
    fn the_instruction_names_the_record_that_proves_ownership_while_one_is_wanted() {
        let rules = policy(&Settings::default());
        let now = Timestamp::from_unix_seconds(0);
        let mut domain = CustomDomain {
            id: SEED.id,
            tenant_id: "t".to_owned(),
            hostname: "shop.example.co.uk".to_owned(),
            canonical_host: "shop.example.co.uk".to_owned(),
            cname_target: "x.edge.platform.example".to_owned(),
            status: Status::PendingDns.to_string(),
            last_error_code: None,
            last_error_message: None,
            error_details: None,
            next_attempt_at: None,
            certificate_not_after: None,
            ownership_verification: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let record = rules.instruction(&domain);
        let mut with_proof = |name: &str| {
            let proof = OwnershipVerification::txt(name, "dps-verify=abc");
            domain.ownership_verification = Some(proof);
            let text = rules.instruction(&domain);
            let rest = text.strip_prefix(&record).unwrap();
            let proof = rest.strip_prefix("; to prove that the name is yours, ");
            proof.unwrap().to_owned()
        };
        assert_eq!(
            with_proof("_dps-challenge.shop.example.co.uk"),
            "create the record \"_dps-challenge.shop TXT dps-verify=abc\" in the zone example.co.uk"
        );
        assert_eq!(
            with_proof("_dps-challenge.elsewhere.example"),
            "create the record \"_dps-challenge.elsewhere.example. TXT dps-verify=abc\""
        );
    }

    #[test]
    fn the_platforms_own_names_are_blocked_and_a_request_cannot_choose_where_we_connect() {
        let settings = Settings {
            cname_target: Some("{id}.edge.platform.example".to_owned()),
            allowed_targets: vec!["lb.other.example".to_owned()],
            own_names: vec!["edge-1.machines.example".to_owned()],
            ..Settings::default()
        };
        let rules = policy(&settings);
        for own in [
            "www.machines.example",
            "www.platform.example",
            "foo.edge.platform.example",
            "other.example",
        ] {
            let refusal = rules.hostname(own).unwrap_err();
            assert_eq!(
                refusal.problem.code(),
                Some(ProblemCode::NameBlocked),
                "{own}"
            );
        }
        let host = rules.hostname("shop.example.com").unwrap();
        assert!(
            rules
                .target(Some("eu.lb.other.example"), SEED, &host)
                .is_ok()
        );
        for elsewhere in ["anything.evil.example", "www.platform.example"] {
            let refusal = rules.target(Some(elsewhere), SEED, &host).unwrap_err();
            assert_eq!(
                refusal.problem.field.as_deref(),
                Some("cnameTarget"),
                "{elsewhere}"
            );
        }
        let none = policy(&Settings::default());
        assert!(
            none.target(Some("anything.evil.example"), SEED, &host)
                .is_err()
        );
        let lax = policy(&Settings {
            allow_platform_names: true,
            ..settings
        });
        assert!(lax.hostname("www.platform.example").is_ok());
    }

    #[test]
    fn settings_that_are_no_names_are_refused_at_the_start() {
        let target = Settings {
            cname_target: Some("https://edge".to_owned()),
            ..Settings::default()
        };
        assert!(NamePolicy::new(&target).is_err());
        let blocked = Settings {
            blocked_names: vec!["*".to_owned()],
            ..Settings::default()
        };
        assert!(NamePolicy::new(&blocked).is_err());
    }
}
