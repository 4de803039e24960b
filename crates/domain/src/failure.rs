//! The closed catalogue of what can go wrong, each with its code, who must act, and the customer's sentence.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{Hostname, Timestamp};

/// Who must act for the domain to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// The customer changes a record or a server of theirs.
    Customer,
    /// The platform's operator looks at a part of the platform.
    Operator,
    /// Nobody: time alone solves it.
    Nobody,
}

/// What went wrong, with its facts as typed fields. Serialises as an object with `code` and the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "code",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "field names say what they hold; each variant is documented"
)]
pub enum Failure {
    /// The text is no hostname that a CA certifies.
    NameInvalid { reason: String },
    /// The platform's policy refuses the name.
    NameBlocked { rule: String },
    /// Another tenant holds the name.
    NameAlreadyClaimed {},
    /// The name does not exist in DNS.
    DnsNxdomain {},
    /// The name exists but has no CNAME to us; `addresses` are what it has instead.
    DnsNoCname { addresses: Vec<IpAddr> },
    /// The name points elsewhere: the CNAME chain in order, and the addresses at its end.
    DnsWrongTarget {
        chain: Vec<String>,
        addresses: Vec<IpAddr>,
    },
    /// The CNAME chain comes back to itself or is longer than resolvers follow.
    DnsCnameLoop { chain: Vec<String> },
    /// The name's own DNS servers fail.
    DnsServfail { resolvers: Vec<SocketAddr> },
    /// DNSSEC signatures of the zone do not verify.
    DnsDnssecBogus { resolvers: Vec<SocketAddr> },
    /// No answer in time. `resolver_outage` tells that the resolvers answered nothing at all, which is ours.
    DnsTimeout {
        resolvers: Vec<SocketAddr>,
        resolver_outage: bool,
    },
    /// Resolvers disagree: the change is on its way.
    DnsPropagating {
        seen_by: Vec<SocketAddr>,
        missing_at: Vec<SocketAddr>,
    },
    /// Besides our addresses the name has others, to which a visitor or the CA may be sent.
    DnsStrayAddress { stray: Vec<IpAddr> },
    /// The name of a live domain no longer points at us.
    DnsMoved { cause: Box<Failure> },
    /// A CAA record (RFC 8659) forbids the CA to issue.
    CaaForbids { record: String },
    /// The CAA look-up failed, which forbids issuance too.
    CaaLookupFailed { detail: String },
    /// The connection to port 80 was refused or had no route.
    HttpRefused { address: IpAddr },
    /// No answer in time on port 80.
    HttpTimeout { address: IpAddr },
    /// Somebody else answered the challenge path.
    HttpWrongResponder { address: IpAddr, server: Option<String> },
    /// The challenge path was answered with a status other than 200.
    HttpStatus { address: IpAddr, status: u16 },
    /// The challenge path was answered with a redirect.
    HttpRedirect {
        address: IpAddr,
        status: u16,
        location: Option<String>,
    },
    /// The name has an address that we do not connect to (private, loopback, link-local, reserved).
    HttpAddressForbidden { address: IpAddr, kind: String },
    /// The CA limits us until the given time.
    AcmeRateLimited {
        until: Option<Timestamp>,
        detail: String,
    },
    /// The CA paused this name for our account; a human must unpause it.
    AcmePaused {
        unpause_url: Option<String>,
        detail: String,
    },
    /// The CA does not certify this name.
    AcmeRejectedIdentifier { detail: String },
    /// The CA's validation failed; `sub_cause` is the problem type of RFC 8555 §6.7 without its prefix.
    AcmeValidationFailed { sub_cause: String, detail: String },
    /// The CA cannot be reached or fails.
    AcmeCaUnavailable { detail: String },
    /// Our CA account cannot be used.
    AcmeAccount { detail: String },
    /// An edge's agent cannot be reached.
    EdgeUnreachable { edge: String, detail: String },
    /// An edge's agent refused the certificate.
    EdgeRejected { edge: String, reason: String },
    /// An edge presents another certificate than the one applied.
    EdgeMismatch { edge: String, detail: String },
    /// A fault of the service itself.
    Internal { detail: String },
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// The code of a [`Failure`]: the same word in the Cabinet, the API, the command line, logs and metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "documented at the failure of the same name")]
        pub enum FailureCode { $($variant,)* }

        impl FailureCode {
            /// Every code of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl Failure {
            /// The code of this failure.
            pub const fn code(&self) -> FailureCode {
                match self { $(Self::$variant { .. } => FailureCode::$variant,)* }
            }
        }
    };
}

codes! {
    NameInvalid => "NAME_INVALID",
    NameBlocked => "NAME_BLOCKED",
    NameAlreadyClaimed => "NAME_ALREADY_CLAIMED",
    DnsNxdomain => "DNS_NXDOMAIN",
    DnsNoCname => "DNS_NO_CNAME",
    DnsWrongTarget => "DNS_WRONG_TARGET",
    DnsCnameLoop => "DNS_CNAME_LOOP",
    DnsServfail => "DNS_SERVFAIL",
    DnsDnssecBogus => "DNS_DNSSEC_BOGUS",
    DnsTimeout => "DNS_TIMEOUT",
    DnsPropagating => "DNS_PROPAGATING",
    DnsStrayAddress => "DNS_STRAY_ADDRESS",
    DnsMoved => "DNS_MOVED",
    CaaForbids => "CAA_FORBIDS",
    CaaLookupFailed => "CAA_LOOKUP_FAILED",
    HttpRefused => "HTTP_REFUSED",
    HttpTimeout => "HTTP_TIMEOUT",
    HttpWrongResponder => "HTTP_WRONG_RESPONDER",
    HttpStatus => "HTTP_STATUS",
    HttpRedirect => "HTTP_REDIRECT",
    HttpAddressForbidden => "HTTP_ADDRESS_FORBIDDEN",
    AcmeRateLimited => "ACME_RATE_LIMITED",
    AcmePaused => "ACME_PAUSED",
    AcmeRejectedIdentifier => "ACME_REJECTED_IDENTIFIER",
    AcmeValidationFailed => "ACME_VALIDATION_FAILED",
    AcmeCaUnavailable => "ACME_CA_UNAVAILABLE",
    AcmeAccount => "ACME_ACCOUNT",
    EdgeUnreachable => "EDGE_UNREACHABLE",
    EdgeRejected => "EDGE_REJECTED",
    EdgeMismatch => "EDGE_MISMATCH",
    Internal => "INTERNAL",
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The records a customer must have: what the sentences of the catalogue name exactly.
#[derive(Debug, Clone, Copy)]
pub struct WantedRecords<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Where its CNAME must point.
    pub cname_target: &'a Hostname,
    /// The addresses of our edges, for names that cannot have a CNAME.
    pub edge_addresses: &'a [IpAddr],
}

impl WantedRecords<'_> {
    /// The instruction that creates the right record, for this kind of name.
    pub fn instruction(&self) -> String {
        let name = self.hostname.record_name();
        let zone = self.hostname.registered_domain();
        let cname = format!(
            "create the record \"{name} CNAME {}.\" in the zone {zone}",
            self.cname_target
        );
        if !self.hostname.is_apex() {
            return cname;
        }
        if self.edge_addresses.is_empty() {
            return format!(
                "create an ALIAS or ANAME record for {} that points to {}",
                self.hostname, self.cname_target
            );
        }
        let records: Vec<String> = self
            .edge_addresses
            .iter()
            .map(|ip| format!("\"{name} {} {ip}\"", if ip.is_ipv4() { "A" } else { "AAAA" }))
            .collect();
        format!(
            "create the record {} in the zone {zone}, and no other A or AAAA record for this name",
            records.join(" and ")
        )
    }
}

impl Failure {
    /// Who must act.
    pub fn actor(&self) -> Actor {
        match self {
            Self::NameInvalid { .. }
            | Self::NameAlreadyClaimed { .. }
            | Self::DnsNxdomain { .. }
            | Self::DnsNoCname { .. }
            | Self::DnsWrongTarget { .. }
            | Self::DnsCnameLoop { .. }
            | Self::DnsServfail { .. }
            | Self::DnsDnssecBogus { .. }
            | Self::DnsTimeout {
                resolver_outage: false,
                ..
            }
            | Self::DnsStrayAddress { .. }
            | Self::DnsMoved { .. }
            | Self::CaaForbids { .. }
            | Self::CaaLookupFailed { .. }
            | Self::HttpRefused { .. }
            | Self::HttpTimeout { .. }
            | Self::HttpWrongResponder { .. }
            | Self::HttpStatus { .. }
            | Self::HttpRedirect { .. }
            | Self::HttpAddressForbidden { .. }
            | Self::AcmeRejectedIdentifier { .. }
            | Self::AcmeValidationFailed { .. } => Actor::Customer,
            Self::NameBlocked { .. }
            | Self::DnsTimeout {
                resolver_outage: true,
                ..
            }
            | Self::AcmePaused { .. }
            | Self::AcmeAccount { .. }
            | Self::EdgeUnreachable { .. }
            | Self::EdgeRejected { .. }
            | Self::EdgeMismatch { .. }
            | Self::Internal { .. } => Actor::Operator,
            Self::DnsPropagating { .. } | Self::AcmeRateLimited { .. } | Self::AcmeCaUnavailable { .. } => {
                Actor::Nobody
            }
        }
    }

    /// Whether the service tries again by itself. What is not retryable waits for somebody to ask for a retry.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NameInvalid { .. }
            | Self::NameBlocked { .. }
            | Self::NameAlreadyClaimed { .. }
            | Self::AcmePaused { .. }
            | Self::AcmeRejectedIdentifier { .. } => false,
            Self::DnsNxdomain { .. }
            | Self::DnsNoCname { .. }
            | Self::DnsWrongTarget { .. }
            | Self::DnsCnameLoop { .. }
            | Self::DnsServfail { .. }
            | Self::DnsDnssecBogus { .. }
            | Self::DnsTimeout { .. }
            | Self::DnsPropagating { .. }
            | Self::DnsStrayAddress { .. }
            | Self::DnsMoved { .. }
            | Self::CaaForbids { .. }
            | Self::CaaLookupFailed { .. }
            | Self::HttpRefused { .. }
            | Self::HttpTimeout { .. }
            | Self::HttpWrongResponder { .. }
            | Self::HttpStatus { .. }
            | Self::HttpRedirect { .. }
            | Self::HttpAddressForbidden { .. }
            | Self::AcmeRateLimited { .. }
            | Self::AcmeValidationFailed { .. }
            | Self::AcmeCaUnavailable { .. }
            | Self::AcmeAccount { .. }
            | Self::EdgeUnreachable { .. }
            | Self::EdgeRejected { .. }
            | Self::EdgeMismatch { .. }
            | Self::Internal { .. } => true,
        }
    }

    /// Whether it can count against the domain. What is ours or the CA's never makes a domain `Failed` by giving up.
    pub fn counts_against_domain(&self) -> bool {
        self.actor() == Actor::Customer
    }

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
            Self::DnsNxdomain {} => format!("{host} does not exist in DNS. To fix it, {fix}."),
            Self::DnsNoCname { addresses } if addresses.is_empty() => {
                format!("{host} has no record that points to us. To fix it, {fix}.")
            }
            Self::DnsNoCname { addresses } => format!(
                "{host} has the address {} instead of a CNAME to us. To fix it, remove that record and {fix}.",
                list(addresses)
            ),
            Self::DnsWrongTarget { chain, addresses } => format!(
                "{host} points to {}, not to us. To fix it, remove that record and {fix}.",
                chain.last().cloned().unwrap_or_else(|| list(addresses))
            ),
            Self::DnsCnameLoop { chain } => {
                format!("The CNAME records of {host} never end ({}). To fix it, {fix}.", chain.join(" to "))
            }
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
            Self::DnsStrayAddress { stray } => format!(
                "{host} also has the address {}, which is not ours. Remove that record; visitors and the certificate \
                 authority may be sent there.",
                list(stray)
            ),
            Self::DnsMoved { cause } => format!(
                "{host} no longer points to us, so its certificate cannot be renewed. {}",
                cause.message(wanted)
            ),
            other => other.message_beyond_dns(host),
        }
    }

    fn message_beyond_dns(&self, host: &Hostname) -> String {
        match self {
            Self::CaaForbids { record } => format!(
                "The CAA record \"{record}\" forbids our certificate authority to issue for {host}. Add the record \
                 \"0 issue letsencrypt.org\" beside it, or remove it."
            ),
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
                format!("Something on our side delays {host}. We are on it; you need do nothing.")
            }
            Self::NameInvalid { .. }
            | Self::NameBlocked { .. }
            | Self::NameAlreadyClaimed { .. }
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

fn list(addresses: &[IpAddr]) -> String {
    addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn a_failure_serialises_under_its_own_code_and_round_trips() {
        let failure = Failure::DnsMoved {
            cause: Box::new(Failure::DnsWrongTarget {
                chain: vec!["old.example".into()],
                addresses: vec![],
            }),
        };
        let json = serde_json::to_value(&failure).unwrap();
        assert_eq!(json["code"], failure.code().as_str());
        assert_eq!(json["cause"]["code"], "DNS_WRONG_TARGET");
        assert_eq!(serde_json::from_value::<Failure>(json).unwrap(), failure);
        let limited = serde_json::to_value(Failure::AcmeRateLimited {
            until: None,
            detail: String::new(),
        })
        .unwrap();
        assert_eq!(limited["code"], "ACME_RATE_LIMITED");
    }

    #[test]
    fn codes_are_distinct() {
        let mut all: Vec<_> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), FailureCode::ALL.len());
    }

    #[test]
    fn a_missing_subdomain_is_told_its_exact_cname() {
        let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
        let wanted = WantedRecords {
            hostname: &name,
            cname_target: &target,
            edge_addresses: &[],
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
        };
        let text = Failure::DnsNoCname { addresses: vec![] }.message(&wanted);
        assert!(
            text.contains("\"@ A 192.0.2.7\" and \"@ AAAA 2001:db8::7\""),
            "{text}"
        );
    }

    #[test]
    fn an_outage_of_ours_never_counts_against_the_domain() {
        for failure in [
            Failure::DnsTimeout {
                resolvers: vec![],
                resolver_outage: true,
            },
            Failure::AcmeCaUnavailable {
                detail: String::new(),
            },
            Failure::EdgeUnreachable {
                edge: String::new(),
                detail: String::new(),
            },
            Failure::Internal {
                detail: String::new(),
            },
        ] {
            assert!(!failure.counts_against_domain(), "{failure:?}");
        }
    }
}
