//! The sentences that a customer reads, with the exact record to create or change.

use std::net::IpAddr;

use super::Failure;
use crate::Hostname;

/// The records a customer must have: what the sentences of the catalogue name exactly.
#[derive(Debug, Clone, Copy)]
pub struct WantedRecords<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Where its CNAME must point.
    pub cname_target: &'a Hostname,
    /// The addresses of our edges, for names that cannot have a CNAME.
    pub edge_addresses: &'a [IpAddr],
    /// The name by which CAA records allow the certificate authority (RFC 8659 §4.2), if it is
    /// known.
    pub caa_identity: Option<&'a str>,
}

impl WantedRecords<'_> {
    /// The instruction that lets the certificate authority issue for the name.
    fn caa_instruction(&self) -> String {
        let zone = self.hostname.registered_domain();
        match self.caa_identity {
            Some(identity) => format!(
                "add the record @ CAA 0 issue \"{identity}\" in the zone {zone}, or remove the CAA records that forbid it"
            ),
            None => format!("remove the CAA records in the zone {zone} that forbid it"),
        }
    }

    /// The instruction that creates the right record, for this kind of name.
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
            "create the record {} in the zone {zone}, and no other A or AAAA record for this name",
            records.join(" and ")
        )
    }
}

impl Failure {
    /// The sentence for the customer, with the exact record to create or change.
    pub fn message(&self, wanted: &WantedRecords<'_>) -> String {
        let host = wanted.hostname;
        let fix = wanted.instruction();
        match self {
            Self::NameInvalid { reason } => format!("This hostname cannot be used: {reason}."),
            Self::NameBlocked { rule } => format!("{host} is not allowed on this platform ({rule}). Contact support."),
            Self::NameAlreadyClaimed {} => {
                format!("{host} is already in use on this platform. Remove it there first, or contact support.")
            }
            Self::TargetNotAllowed { target, .. } => format!(
                "The DNS target {target:?} is not one of this platform's. Nothing is wrong on your side. Contact support."
            ),
            Self::DnsNxdomain {} => format!("{host} does not exist in DNS. To fix it, {fix}."),
            Self::DnsNoCname { addresses, more, is_zone } => {
                // In a zone of its own, the name is the top, whatever the zone above is called.
                let fix = if *is_zone { wanted.apex_instruction("@", host.as_str()) } else { fix };
                if addresses.is_empty() {
                    return format!("{host} has no record that points to us. To fix it, {fix}.");
                }
                format!(
                    "{host} has the address {} instead of a CNAME to us. To fix it, remove that record and {fix}. {PROXY}",
                    list(addresses, *more)
                )
            }
            Self::DnsWrongTarget { chain, addresses, more } => match chain.last() {
                Some(end) => {
                    format!("{host} points to {end}, not to us. To fix it, remove that record and {fix}.")
                }
                None => format!(
                    "{host} points to {}, not to us. To fix it, remove that record and {fix}. {PROXY}",
                    list(addresses, *more)
                ),
            },
            Self::DnsCnameLoop { chain } => {
                format!("The CNAME records of {host} never end ({}). To fix it, {fix}.", chain.join(" to "))
            }
            Self::DnsServfail { seen_by, .. } if !seen_by.is_empty() => format!(
                "Some resolvers cannot look up {host} (SERVFAIL), and others can. Ask your DNS provider to check the DNSSEC \
                 signatures and the name servers of {}.",
                host.registered_domain()
            ),
            Self::DnsServfail { .. } => format!(
                "The DNS servers of {} do not answer for {host} (SERVFAIL). Ask your DNS provider to repair the zone; {fix}.",
                host.registered_domain()
            ),
            Self::DnsDnssecBogus { .. } => format!(
                "The DNSSEC signatures of {0} are not valid. Ask your DNS provider to sign the zone again, or remove the DS \
                 record of {0} at your registrar.",
                host.registered_domain()
            ),
            Self::DnsTimeout { resolver_outage: true, .. } => {
                "Our DNS resolvers do not answer at the moment. Nothing is wrong on your side; we try again by ourselves."
                    .to_owned()
            }
            Self::DnsTimeout { .. } => format!(
                "The DNS servers of {} do not answer in time. Check that they are reachable; then {fix}.",
                host.registered_domain()
            ),
            Self::DnsPropagating { .. } => format!(
                "Your DNS change is on its way: some resolvers already see it, others do not yet. Wait; we check {host} again \
                 by ourselves."
            ),
            Self::DnsStrayAddress { stray, more } => format!(
                "{host} also has the address {}, which is not ours. Remove that record; visitors and the certificate \
                 authority may be sent there.",
                list(stray, *more)
            ),
            Self::DnsMoved { cause } => format!(
                "{host} no longer points to us, so it cannot get another certificate. {}",
                cause.message(wanted)
            ),
            Self::CaaForbids { record } => format!(
                "The CAA record \"{record}\" forbids our certificate authority to issue for {host}. To fix it, {}.",
                wanted.caa_instruction()
            ),
            Self::AcmeValidationFailed { detail, .. } if self.is_about_caa() => format!(
                "A CAA record forbids our certificate authority to issue for {host} ({detail}). To fix it, {}.",
                wanted.caa_instruction()
            ),
            other => other.message_beyond_dns(host),
        }
    }

    fn message_beyond_dns(&self, host: &Hostname) -> String {
        match self {
            Self::CaaLookupFailed { detail } => {
                format!("The CAA records of {host} could not be looked up ({detail}). Ask your DNS provider to repair the zone.")
            }
            Self::HttpRefused { address } => format!(
                "Nothing answers on port 80 of {address}, to which {host} points. Point {host} to us and nowhere else, and \
                 remove firewalls or proxies in front."
            ),
            Self::HttpTimeout { address } => format!(
                "{address}, to which {host} points, does not answer on port 80 in time. Remove firewalls or proxies in front."
            ),
            Self::HttpWrongResponder { address, server } => format!(
                "Requests for {host} at {address} are answered by another server{}. Turn off the proxy or CDN in front of \
                 {host}, or point it to us directly.",
                server.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
            ),
            Self::HttpStatus { address, status } => format!(
                "Requests for http://{host}/.well-known/acme-challenge/ at {address} are answered with status {status} instead \
                 of by us. Turn off the proxy or CDN in front of {host}."
            ),
            Self::HttpRedirect { address, location, .. } => format!(
                "Requests for http://{host}/.well-known/acme-challenge/ at {address} are redirected{}. Turn off the redirect \
                 for this path, or the proxy in front of {host}.",
                location.as_ref().map(|to| format!(" to {to}")).unwrap_or_default()
            ),
            Self::HttpAddressForbidden { address, kind } => format!(
                "{host} points to {address}, which is a {kind} address that cannot be reached from the Internet. Remove it."
            ),
            Self::AcmeRateLimited { until, .. } => format!(
                "The certificate authority limits how many certificates may be ordered. We go on {}; you need do nothing.",
                until.map_or_else(|| "as soon as it allows".to_owned(), |at| format!("at {at}"))
            ),
            Self::AcmePaused { unpause_url, .. } => format!(
                "The certificate authority paused {host} after many failed attempts. The platform must unpause it{}.",
                unpause_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default()
            ),
            Self::AcmeRejectedIdentifier { detail } => {
                format!("The certificate authority does not issue certificates for {host}: {detail}")
            }
            Self::AcmeValidationFailed { sub_cause, detail } => format!(
                "The certificate authority could not validate {host} ({sub_cause}): {detail}. Check that {host} points to us \
                 from everywhere; we try again by ourselves."
            ),
            Self::AcmeCaUnavailable { .. } => {
                "The certificate authority is not reachable at the moment. We try again by ourselves; you need do nothing."
                    .to_owned()
            }
            Self::AcmeAccount { .. }
            | Self::EdgeUnreachable { .. }
            | Self::EdgeRejected { .. }
            | Self::EdgeMismatch { .. }
            | Self::Internal { .. } => {
                internal_message(Some(host))
            }
            Self::CaaForbids { .. }
            | Self::NameInvalid { .. }
            | Self::NameBlocked { .. }
            | Self::NameAlreadyClaimed { .. }
            | Self::TargetNotAllowed { .. }
            | Self::DnsNxdomain { .. }
            | Self::DnsNoCname { .. }
            | Self::DnsWrongTarget { .. }
            | Self::DnsCnameLoop { .. }
            | Self::DnsServfail { .. }
            | Self::DnsDnssecBogus { .. }
            | Self::DnsTimeout { .. }
            | Self::DnsPropagating { .. }
            | Self::DnsStrayAddress { .. }
            | Self::DnsMoved { .. } => format!("{}: {host}", self.code()),
        }
    }
}

/// The sentence about a fault of ours; `None` where the name cannot be read.
pub fn internal_message(host: Option<&Hostname>) -> String {
    let name = host.map_or("this domain", Hostname::as_str);
    format!("Something on our side delays {name}. We are on it; you need do nothing.")
}

/// Behind a proxy, the record that the customer sees in the panel is not the one that resolvers
/// see.
const PROXY: &str = "If this record exists already, switch off the proxy (CDN) for it.";

fn list(addresses: &[IpAddr], more: usize) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let listed = texts.join(", ");
    if more == 0 {
        return listed;
    }
    format!("{listed} and {more} more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn a_missing_subdomain_is_told_its_exact_cname() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &[],
            caa_identity: None,
        };
        let text = Failure::DnsNxdomain {}.message(&wanted);
        assert!(
            text.contains("\"shop CNAME edge.platform.net.\" in the zone example.com"),
            "{text}"
        );
    }

    #[test]
    fn an_apex_is_told_addresses_because_it_cannot_have_a_cname() {
        let (name, target) = (host("example.com"), host("edge.platform.net"));
        let edges = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &edges,
            caa_identity: None,
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
    fn a_name_that_is_a_zone_of_its_own_is_told_addresses_in_that_zone() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let edges = ["192.0.2.7".parse().unwrap()];
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &edges,
            caa_identity: None,
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
        let told = |hostname: &Hostname, failure: &Failure| {
            failure.message(&WantedRecords {
                hostname,
                cname_target: &target,
                edge_addresses: &[],
                caa_identity: None,
            })
        };
        let addresses = vec!["104.16.132.229".parse().unwrap()];
        let behind_proxy = Failure::DnsNoCname {
            addresses: addresses.clone(),
            more: 3,
            is_zone: false,
        };
        let text = told(&sub, &behind_proxy);
        assert!(
            text.contains("104.16.132.229 and 3 more") && text.ends_with(PROXY),
            "{text}"
        );
        let elsewhere = |chain: Vec<String>| Failure::DnsWrongTarget {
            chain,
            addresses: addresses.clone(),
            more: 0,
        };
        assert!(told(&apex, &elsewhere(vec![])).ends_with(PROXY));
        assert!(!told(&sub, &elsewhere(vec!["shops.example".into()])).contains("proxy"));
    }

    #[test]
    fn a_caa_record_that_forbids_is_told_with_the_name_of_the_configured_authority() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let wanted = |caa_identity| WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &[],
            caa_identity,
        };
        let found = [
            Failure::CaaForbids {
                record: "0 issue \"other.example\"".into(),
            },
            Failure::AcmeValidationFailed {
                sub_cause: "caa".into(),
                detail: "CAA record prevents issuance".into(),
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
