//! The sentences that a customer reads, with the exact record to create or change.
//!
//! `docs/reference/failures.md` shows each of them; a test compares it with the code.

mod ca;
mod dns;
mod http;

use std::net::IpAddr;

use self::dns::Addresses;
use super::Failure;
use crate::Hostname;
use crate::ownership::{ProofValue, txt_name};

/// DNS records that a customer must have, as the sentences name them.
#[derive(Debug, Clone, Copy)]
pub struct WantedRecords<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Target of its CNAME record.
    pub cname_target: &'a Hostname,
    /// Addresses of our edges, for names that cannot have a CNAME record.
    pub edge_addresses: &'a [IpAddr],
    /// Name by which CAA records allow the certificate authority (RFC 8659 §4.2); `None` if the CA
    /// does not say.
    pub caa_identity: Option<&'a str>,
    /// The value of the TXT record that proves the claim; `None` if no proof is required.
    pub proof: Option<&'a ProofValue>,
}

/// The instruction to create a TXT record for `hostname`, as the customer enters it at the provider
/// of the zone.
pub fn txt_instruction(name: &str, value: &str, hostname: &Hostname) -> String {
    let zone = hostname.registered_domain();
    let below = name.strip_suffix(zone);
    match below.and_then(|below| below.strip_suffix('.')) {
        Some(below) => format!("create the record \"{below} TXT {value}\" in the zone {zone}"),
        None => format!("create the record \"{name}. TXT {value}\""),
    }
}

impl WantedRecords<'_> {
    /// The instruction that lets the certificate authority issue for the name. The records that
    /// prevent it are those of `owner`, or of the zone if it is empty.
    fn caa_instruction(&self, owner: &str, account_url: Option<&str>) -> String {
        let zone = self.hostname.registered_domain();
        // Records of a name above the zone are not the customer's to change, but nearer ones win.
        let is_above = |owner: &str| {
            zone.strip_suffix(owner)
                .is_some_and(|below| below.ends_with('.'))
        };
        let below = owner.strip_suffix(zone);
        let (name, place) = match below {
            // Stored before the owner was.
            _ if owner.is_empty() || is_above(owner) => {
                ("@".to_owned(), format!(" in the zone {zone}"))
            }
            Some("") => ("@".to_owned(), format!(" in the zone {zone}")),
            Some(below) if below.ends_with('.') => {
                let name = below.trim_end_matches('.');
                (name.to_owned(), format!(" in the zone {zone}"))
            }
            // Above the zone, or in one that an alias leads to.
            _ => (format!("{owner}."), String::new()),
        };
        match self.caa_identity {
            Some(identity) => {
                let account =
                    account_url.map_or(String::new(), |url| format!("; accounturi={url}"));
                format!(
                    "add the record {name} CAA 0 issue \"{identity}{account}\"{place}, or remove the \
                     CAA records that prevent this"
                )
            }
            None if place.is_empty() => {
                format!("remove the CAA records of {owner} that prevent this")
            }
            None => format!("remove the CAA records{place} that prevent this"),
        }
    }

    /// The instruction that creates the right record for this kind of name.
    pub fn instruction(&self) -> String {
        if self.hostname.is_apex() {
            return self.apex_instruction(
                self.hostname.record_name(),
                self.hostname.registered_domain(),
            );
        }
        format!(
            "create the record \"{} CNAME {}.\" in the zone {}",
            self.hostname.record_name(),
            self.cname_target,
            self.hostname.registered_domain()
        )
    }

    /// The instruction that proves the ownership of the name; `None` if no proof is required.
    pub fn proof_instruction(&self) -> Option<String> {
        let value = self.proof?.as_str();
        let name = txt_name(self.hostname);
        Some(txt_instruction(&name, value, self.hostname))
    }

    /// The instruction for a name at the top of its zone, where DNS allows no CNAME.
    fn apex_instruction(&self, name: &str, zone: &str) -> String {
        if self.edge_addresses.is_empty() {
            return format!(
                "create an ALIAS or ANAME record for {} that points to {}",
                self.hostname, self.cname_target
            );
        }
        let records: Vec<String> = self
            .edge_addresses
            .iter()
            .map(|ip| {
                format!(
                    "\"{name} {} {ip}\"",
                    if ip.is_ipv4() { "A" } else { "AAAA" }
                )
            })
            .collect();
        format!(
            "create the {} {} in the zone {zone}, with no other A or AAAA record for this name",
            if records.len() == 1 {
                "record"
            } else {
                "records"
            },
            records.join(" and ")
        )
    }
}

impl Failure {
    /// The sentence for the customer, with the exact record to create or change.
    pub fn message(&self, wanted: &WantedRecords<'_>) -> String {
        let host = wanted.hostname;
        match self {
            Self::NameInvalid { reason } => format!("This hostname cannot be used: {reason}."),
            Self::NameBlocked { rule } => name_blocked(host, rule),
            Self::NameAlreadyClaimed { proven } => name_already_claimed(host, *proven),
            Self::TargetNotAllowed { target, .. } => target_not_allowed(target),
            Self::DnsNxdomain {} => {
                let fix = wanted.instruction();
                format!("{host} does not exist in DNS. To fix this, {fix}.")
            }
            Self::DnsNoCname {
                addresses,
                more,
                is_zone,
            } => dns::no_cname(wanted, &Addresses(addresses, *more), *is_zone),
            Self::DnsWrongTarget {
                chain,
                addresses,
                more,
            } => dns::wrong_target(wanted, chain, &Addresses(addresses, *more)),
            Self::DnsCnameLoop { chain } => dns::cname_loop(wanted, chain),
            Self::DnsServfail {
                seen_by, txt_name, ..
            } => dns::servfail(wanted, !seen_by.is_empty(), txt_name),
            Self::DnsDnssecBogus { name, .. } => dns::dnssec_bogus(host, name),
            Self::DnsTimeout {
                resolver_outage,
                txt_name,
                ..
            } => dns::timeout(wanted, *resolver_outage, txt_name),
            Self::DnsOwnershipRequired { contested, .. } => {
                dns::ownership_required(wanted, *contested)
            }
            Self::DnsPropagating { until, .. } => dns::propagating(host, *until),
            Self::DnsStrayAddress { stray, more } => {
                dns::stray_address(host, &Addresses(stray, *more))
            }
            Self::CdnInFront {
                cdn,
                addresses,
                more,
                answer,
            } => dns::cdn_in_front(wanted, cdn, &Addresses(addresses, *more), answer.as_deref()),
            Self::DnsMoved { cause } => format!(
                "{host} no longer points to us, so it cannot get a new certificate. {}",
                cause.message(wanted)
            ),
            Self::CaaForbids {
                record,
                owner,
                reason,
                account_url,
            } => {
                let add = wanted.caa_instruction(owner, account_url.as_deref());
                ca::caa_forbids(wanted.hostname, record, owner, *reason, &add)
            }
            Self::AcmeValidationFailed { detail, .. } if self.is_about_caa() => {
                ca::caa_refused_by_ca(wanted, detail)
            }
            Self::AcmeValidationFailed {
                sub_cause,
                detail,
                reached_by_us: true,
            } => ca::reached_by_us_alone(host, sub_cause, detail),
            Self::AcmeValidationFailed {
                sub_cause, detail, ..
            } => ca::validation_failed(host, sub_cause, detail),
            Self::CaaLookupFailed { detail } => ca::caa_lookup_failed(host, detail),
            Self::HttpRefused { address } => http::refused(host, *address),
            Self::HttpTimeout { address } => http::timeout(host, *address),
            Self::HttpWrongResponder { address, server } => {
                http::wrong_responder(host, *address, server.as_deref())
            }
            Self::HttpStatus { address, status } => http::status(host, *address, *status),
            Self::HttpRedirect {
                address, location, ..
            } => http::redirect(host, *address, location.as_deref()),
            Self::HttpAddressForbidden { address, kind } => {
                http::address_forbidden(host, *address, kind)
            }
            Self::IssuancePaused {} => ca::issuance_paused(),
            Self::AcmeRateLimited { until, .. } => ca::rate_limited(*until),
            Self::AcmePaused { unpause_url, .. } => ca::paused(host, unpause_url.as_deref()),
            Self::AcmeRejectedIdentifier { detail } => format!(
                "The certificate authority does not issue certificates for {host}{}.",
                after_colon(detail)
            ),
            Self::AcmeCaUnavailable { .. } => ca::unavailable(),
            Self::AcmeAccount { .. }
            | Self::EdgeUnreachable { .. }
            | Self::EdgeRejected { .. }
            | Self::EdgeMismatch { .. }
            | Self::Internal { .. } => internal_message(Some(host)),
        }
    }
}

fn name_blocked(host: &Hostname, rule: &str) -> String {
    format!(
        "{host} cannot be used on this platform (blocked: {rule}). If you need this name, contact \
         support."
    )
}

fn name_already_claimed(host: &Hostname, proven: bool) -> String {
    if proven {
        return format!(
            "Another account on this platform has proven that {host} belongs to it. If it is yours, \
             request a retry: you then get a record with which you can prove it."
        );
    }
    format!(
        "{host} is already in use by another account on this platform. Remove it from that account \
         first, or contact support."
    )
}

fn target_not_allowed(target: &str) -> String {
    format!(
        "The DNS target {target:?} of this domain is not one of this platform's. Nothing is wrong \
         on your side. Contact support so that we can correct it."
    )
}

/// The sentence about a fault of ours; `None` where the name cannot be read.
pub fn internal_message(host: Option<&Hostname>) -> String {
    let name = host.map_or("this domain", Hostname::as_str);
    format!("A problem on our side is delaying {name}. You do not need to do anything.")
}

/// Words of another party after a colon, without their full stop; nothing if there are none.
fn after_colon(detail: &str) -> String {
    match bare(detail) {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

/// Words of another party in brackets, without their full stop; nothing if there are none.
fn in_brackets(detail: &str) -> String {
    match bare(detail) {
        "" => String::new(),
        words => format!(" ({words})"),
    }
}

fn bare(detail: &str) -> &str {
    detail.trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::dns::PROXY;
    use super::*;
    use crate::caa::CaaReason;

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn the_sentence_about_a_missing_subdomain_has_its_exact_cname() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &[],
            caa_identity: None,
            proof: None,
        };
        let text = Failure::DnsNxdomain {}.message(&wanted);
        assert!(
            text.contains("\"shop CNAME edge.platform.net.\" in the zone example.com"),
            "{text}"
        );
    }

    #[test]
    fn the_sentence_about_an_apex_has_addresses_because_it_cannot_have_a_cname() {
        let (name, target) = (host("example.com"), host("edge.platform.net"));
        let edges = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &edges,
            caa_identity: None,
            proof: None,
        };
        let missing = Failure::DnsNoCname {
            addresses: vec![],
            more: 0,
            is_zone: false,
        };
        let text = missing.message(&wanted);
        assert!(
            text.contains("\"@ A 192.0.2.7\" and \"@ AAAA 2001:db8::7\""),
            "{text}"
        );
    }

    #[test]
    fn the_sentence_about_a_zone_of_its_own_has_addresses_in_that_zone() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let edges = ["192.0.2.7".parse().unwrap()];
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &edges,
            caa_identity: None,
            proof: None,
        };
        let failure = Failure::DnsNoCname {
            addresses: vec![],
            more: 0,
            is_zone: true,
        };
        let text = failure.message(&wanted);
        assert!(
            text.contains("\"@ A 192.0.2.7\" in the zone shop.example.com")
                && !text.contains("CNAME"),
            "{text}"
        );
    }

    #[test]
    fn addresses_without_a_visible_cname_may_be_those_of_a_proxy() {
        let (sub, apex, target) = (
            host("shop.example.com"),
            host("example.com"),
            host("edge.platform.net"),
        );
        let sentence_of = |hostname: &Hostname, failure: &Failure| {
            failure.message(&WantedRecords {
                hostname,
                cname_target: &target,
                edge_addresses: &[],
                caa_identity: None,
                proof: None,
            })
        };
        let addresses = vec!["104.16.132.229".parse().unwrap()];
        let proxied = Failure::DnsNoCname {
            addresses: addresses.clone(),
            more: 3,
            is_zone: false,
        };
        let text = sentence_of(&sub, &proxied);
        assert!(
            text.contains("104.16.132.229 and 3 more") && text.ends_with(PROXY),
            "{text}"
        );
        let elsewhere = |chain: Vec<String>| Failure::DnsWrongTarget {
            chain,
            addresses: addresses.clone(),
            more: 0,
        };
        assert!(sentence_of(&apex, &elsewhere(vec![])).ends_with(PROXY));
        assert!(!sentence_of(&sub, &elsewhere(vec!["shops.example".into()])).contains("proxy"));
    }

    #[test]
    fn a_caa_record_that_forbids_is_reported_with_the_name_of_the_configured_authority() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let wanted = |caa_identity| WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &[],
            caa_identity,
            proof: None,
        };
        let found = [
            Failure::CaaForbids {
                record: "0 issue \"other.example\"".into(),
                owner: "example.com".into(),
                reason: CaaReason::OtherAuthority,
                account_url: None,
            },
            Failure::AcmeValidationFailed {
                sub_cause: "caa".into(),
                detail: "CAA record prevents issuance".into(),
                reached_by_us: false,
            },
        ];
        for failure in found {
            let text = failure.message(&wanted(Some("sectigo.com")));
            let record = "@ CAA 0 issue \"sectigo.com\" in the zone example.com";
            assert!(text.contains(record), "{text}");
            let text = failure.message(&wanted(None));
            assert!(
                !text.contains("letsencrypt") && text.contains("zone example.com"),
                "{text}"
            );
        }
    }
}
