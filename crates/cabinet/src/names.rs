//! Which names customers may have, and where they must point.

use std::net::IpAddr;

use dps_cabinet_api::{CustomDomain, OwnershipVerification, ProblemCode, limits};
use dps_domain::address::edge_address_fault;
use dps_domain::failure::WantedRecords;
use dps_domain::name_rules::ID_PLACEHOLDER;
use dps_domain::{DomainId, Hostname, NameRules, NameSuffix};

use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError};

/// The platform's rules for names.
#[derive(Debug)]
pub(crate) struct NamePolicy {
    rules: NameRules,
    cname_target: Option<String>,
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
        let mut targets = suffixes(&settings.allowed_targets)?;
        if let Some(template) = &settings.cname_target {
            let sample = DomainId::from_uuid(uuid::Uuid::nil());
            Hostname::parse(&fill_in(template, sample)).map_err(|source| {
                SettingsError::CnameTarget {
                    value: template.clone(),
                    source,
                }
            })?;
            targets.extend(NameSuffix::of_template(template).ok());
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
            rules: NameRules::new(blocked, targets, &[], settings.allow_platform_names),
            cname_target: settings.cname_target.clone(),
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

    /// Where the customer's DNS must point: what was requested, or the configured target.
    pub(crate) fn target(
        &self,
        requested: Option<&str>,
        id: DomainId,
        host: &Hostname,
    ) -> Result<Hostname, Refusal> {
        let wrong = |detail: String| Refusal::at(ProblemCode::FieldInvalid, "cnameTarget", detail);
        let text = match (requested, &self.cname_target) {
            (Some(requested), _) => requested.to_owned(),
            (None, Some(template)) => fill_in(template, id),
            (None, None) => {
                return Err(wrong(
                    "give a target, since this platform has no default target".to_owned(),
                ));
            }
        };
        let target = Hostname::parse(&text).map_err(|error| wrong(error.to_string()))?;
        // Without any rule, an empty list would let a request choose where this platform connects
        // to.
        if self.rules.targets.is_empty() || !self.rules.allows_target(&target) {
            return Err(wrong(format!(
                "{target} is not a target of this platform; omit the field, or have the target added to \
                 Cabinet:AllowedTargets"
            )));
        }
        match self.rules.blocking(host, &target) {
            Some(rule) => Err(blocked(host, &rule)),
            None => Ok(target),
        }
    }

    /// The exact record that the customer creates, and the record that proves ownership if one is
    /// wanted.
    pub(crate) fn instruction(&self, domain: &CustomDomain) -> String {
        let record = self.record(domain);
        match &domain.ownership_verification {
            Some(proof) => format!(
                "{record}; to prove that the name is yours, {}",
                proof_instruction(domain, proof)
            ),
            None => record,
        }
    }

    fn record(&self, domain: &CustomDomain) -> String {
        match (domain.canonical_host(), domain.cname_target()) {
            (Ok(hostname), Ok(cname_target)) => WantedRecords {
                hostname: &hostname,
                cname_target: &cname_target,
                edge_addresses: &self.edge_addresses,
                caa_identity: None,
            }
            .instruction(),
            _ => format!("point {} to {}", domain.canonical_host, domain.cname_target),
        }
    }
}

/// The instruction to create the record that proves ownership.
fn proof_instruction(domain: &CustomDomain, proof: &OwnershipVerification) -> String {
    let hostname = domain.canonical_host();
    let zone = hostname.as_ref().map_or("", Hostname::registered_domain);
    let within = proof.name.strip_suffix(zone);
    let (kind, value) = (&proof.kind, &proof.value);
    match within.and_then(|name| name.strip_suffix('.')) {
        Some(name) if !zone.is_empty() => {
            format!("create the record \"{name} {kind} {value}\" in the zone {zone}")
        }
        _ => format!("create the record \"{}. {kind} {value}\"", proof.name),
    }
}

fn blocked(name: &Hostname, rule: &NameSuffix) -> Refusal {
    let detail = format!(
        "{name} cannot be used on this platform (blocked: {} and all names below it); choose another \
         name",
        rule.as_str()
    );
    Refusal::at(ProblemCode::NameBlocked, "hostname", detail)
}

fn fill_in(template: &str, id: DomainId) -> String {
    template.replace(ID_PLACEHOLDER, &id.as_uuid().simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_domain::{Status, Timestamp};

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
            cname_target: Some("{id}.edge.platform.example".to_owned()),
            ..Settings::default()
        });
        let id = DomainId::from_uuid(uuid::Uuid::from_u128(0xab));
        let host = Hostname::parse("shop.example.com").unwrap();
        let target = policy.target(None, id, &host).unwrap();
        assert_eq!(
            target.as_str(),
            "000000000000000000000000000000ab.edge.platform.example"
        );
        assert!(policy.target(Some("shop.example.com"), id, &host).is_err());
    }

    #[test]
    fn the_instruction_names_the_record_that_proves_ownership_while_one_is_wanted() {
        let rules = policy(&Settings::default());
        let now = Timestamp::from_unix_seconds(0);
        let mut domain = CustomDomain {
            id: DomainId::from_uuid(uuid::Uuid::nil()),
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
            ..Settings::default()
        };
        let rules = policy(&settings);
        for own in [
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
        let (id, host) = (
            DomainId::from_uuid(uuid::Uuid::nil()),
            rules.hostname("shop.example.com").unwrap(),
        );
        assert!(rules.target(Some("eu.lb.other.example"), id, &host).is_ok());
        for elsewhere in ["anything.evil.example", "www.platform.example"] {
            let refusal = rules.target(Some(elsewhere), id, &host).unwrap_err();
            assert_eq!(
                refusal.problem.field.as_deref(),
                Some("cnameTarget"),
                "{elsewhere}"
            );
        }
        let none = policy(&Settings::default());
        assert!(
            none.target(Some("anything.evil.example"), id, &host)
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
