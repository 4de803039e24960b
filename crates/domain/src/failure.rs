//! The closed catalogue of what can go wrong, each with its code, who must act, and the customer's
//! sentence.

mod message;
mod remedy;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use self::message::{WantedRecords, internal_message, txt_instruction};
pub use self::remedy::NOTHING_SENT;
use crate::Timestamp;
use crate::caa::reason::CaaReason;

/// Who must act for the domain to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// The customer changes a record or a server of theirs.
    Customer,
    /// The platform's operator must repair a part of the platform.
    Operator,
    /// Nobody: time alone solves it.
    Nobody,
}

impl Actor {
    /// Every actor.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Operator, Self::Nobody];

    /// The word that is used on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Operator => "operator",
            Self::Nobody => "nobody",
        }
    }
}

/// A failure with its details as typed fields. Serialises as an object with `code` and the fields.
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
    /// Another tenant holds the name. `proven`: it proved that the name is its own.
    NameAlreadyClaimed {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        proven: bool,
    },
    /// The target that the Cabinet names is no hostname, or none of the platform's.
    TargetNotAllowed { target: String, reason: String },
    /// The name does not exist in DNS.
    DnsNxdomain {},
    /// The name exists but has no CNAME to us; `addresses` are some of what it has instead, and
    /// `more` counts the others. A name that `is_zone` is a zone of its own, which cannot have a
    /// CNAME.
    DnsNoCname {
        addresses: Vec<IpAddr>,
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_zone: bool,
    },
    /// The name points elsewhere: the CNAME chain in order, some of the addresses at its end, and
    /// the number of the others.
    DnsWrongTarget {
        chain: Vec<String>,
        addresses: Vec<IpAddr>,
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// The CNAME chain comes back to itself or is longer than resolvers follow.
    DnsCnameLoop { chain: Vec<String> },
    /// The name's own DNS servers fail, at these resolvers. Others, if any, see the name pointing
    /// at us.
    DnsServfail {
        resolvers: Vec<SocketAddr>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        seen_by: Vec<SocketAddr>,
        /// The name whose TXT records were queried; empty for the hostname.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        txt_name: String,
    },
    /// DNSSEC signatures do not verify at these resolvers. Others, if any, do not verify them and
    /// see the name pointing at us.
    DnsDnssecBogus {
        resolvers: Vec<SocketAddr>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        seen_by: Vec<SocketAddr>,
        /// The name of the zone with these signatures, or one below it; empty for the hostname.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
    },
    /// No answer in time. With `resolver_outage`, the resolvers answered nothing at all, which is
    /// our fault.
    DnsTimeout {
        resolvers: Vec<SocketAddr>,
        resolver_outage: bool,
        /// The name whose TXT records were queried; empty for the hostname.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        txt_name: String,
    },
    /// The tenant must prove that the name is its own, by a TXT record of this name. `contested`:
    /// another tenant claims it or had it until recently.
    DnsOwnershipRequired { name: String, contested: bool },
    /// Resolvers, or the name servers of the zone, disagree: the change is on its way. Caches may
    /// keep the old answer `until` then.
    DnsPropagating {
        seen_by: Vec<SocketAddr>,
        missing_at: Vec<SocketAddr>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The name has our addresses and others, to which a visitor or the CA may be sent. `stray`
    /// holds some of the others, and `more` counts the rest.
    DnsStrayAddress {
        stray: Vec<IpAddr>,
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// A CDN or another proxy stands in front of the name, at some of these addresses. `answer` is
    /// what it answered to the HTTP probe, if it was asked.
    CdnInFront {
        cdn: String,
        addresses: Vec<IpAddr>,
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
    },
    /// The name of a live domain no longer points at us.
    DnsMoved { cause: Box<Failure> },
    /// A CAA record (RFC 8659) of the name `owner` forbids the CA to issue.
    CaaForbids {
        record: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        owner: String,
        #[serde(default)]
        reason: CaaReason,
        /// The URL of our account, if the record demands another.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account_url: Option<String>,
    },
    /// The CAA look-up failed at every resolver, which forbids issuance too. `detail` names the
    /// name and how its servers answered.
    CaaLookupFailed { detail: String },
    /// The connection to port 80 was refused or had no route.
    HttpRefused { address: IpAddr },
    /// No answer in time on port 80.
    HttpTimeout { address: IpAddr },
    /// Another server answered the challenge path.
    HttpWrongResponder {
        address: IpAddr,
        server: Option<String>,
    },
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
    /// An operator paused the placing of orders.
    IssuancePaused {},
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
    /// The CA's validation failed; `sub_cause` is the problem type of RFC 8555 §6.7 without its
    /// prefix. With `reached_by_us`, our own probe found the right answer right after it.
    AcmeValidationFailed {
        sub_cause: String,
        detail: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reached_by_us: bool,
    },
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde requires"
)]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// The code of a [`Failure`]: the same word in the Cabinet, the API, the command line, logs
        /// and metrics.
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
    TargetNotAllowed => "TARGET_NOT_ALLOWED",
    DnsNxdomain => "DNS_NXDOMAIN",
    DnsNoCname => "DNS_NO_CNAME",
    DnsWrongTarget => "DNS_WRONG_TARGET",
    DnsCnameLoop => "DNS_CNAME_LOOP",
    DnsServfail => "DNS_SERVFAIL",
    DnsDnssecBogus => "DNS_DNSSEC_BOGUS",
    DnsTimeout => "DNS_TIMEOUT",
    DnsOwnershipRequired => "DNS_OWNERSHIP_REQUIRED",
    DnsPropagating => "DNS_PROPAGATING",
    DnsStrayAddress => "DNS_STRAY_ADDRESS",
    CdnInFront => "CDN_IN_FRONT",
    DnsMoved => "DNS_MOVED",
    CaaForbids => "CAA_FORBIDS",
    CaaLookupFailed => "CAA_LOOKUP_FAILED",
    HttpRefused => "HTTP_REFUSED",
    HttpTimeout => "HTTP_TIMEOUT",
    HttpWrongResponder => "HTTP_WRONG_RESPONDER",
    HttpStatus => "HTTP_STATUS",
    HttpRedirect => "HTTP_REDIRECT",
    HttpAddressForbidden => "HTTP_ADDRESS_FORBIDDEN",
    IssuancePaused => "ISSUANCE_PAUSED",
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

impl FailureCode {
    /// Who may have to act on a failure with this code, as [`Failure::actor`] says of each.
    pub const fn actors(self) -> &'static [Actor] {
        match self {
            Self::NameInvalid
            | Self::NameAlreadyClaimed
            | Self::DnsNxdomain
            | Self::DnsNoCname
            | Self::DnsWrongTarget
            | Self::DnsCnameLoop
            | Self::DnsServfail
            | Self::DnsDnssecBogus
            | Self::DnsOwnershipRequired
            | Self::DnsStrayAddress
            | Self::CdnInFront
            | Self::DnsMoved
            | Self::CaaForbids
            | Self::CaaLookupFailed
            | Self::HttpRefused
            | Self::HttpTimeout
            | Self::HttpWrongResponder
            | Self::HttpStatus
            | Self::HttpRedirect
            | Self::HttpAddressForbidden
            | Self::AcmeRejectedIdentifier
            | Self::AcmeValidationFailed => &[Actor::Customer],
            Self::DnsTimeout => &[Actor::Customer, Actor::Operator],
            Self::NameBlocked
            | Self::TargetNotAllowed
            | Self::IssuancePaused
            | Self::AcmePaused
            | Self::AcmeAccount
            | Self::EdgeUnreachable
            | Self::EdgeRejected
            | Self::EdgeMismatch
            | Self::Internal => &[Actor::Operator],
            Self::DnsPropagating | Self::AcmeRateLimited | Self::AcmeCaUnavailable => {
                &[Actor::Nobody]
            }
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
            | Self::DnsOwnershipRequired { .. }
            | Self::DnsStrayAddress { .. }
            | Self::CdnInFront { .. }
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
            | Self::TargetNotAllowed { .. }
            | Self::DnsTimeout {
                resolver_outage: true,
                ..
            }
            | Self::IssuancePaused { .. }
            | Self::AcmePaused { .. }
            | Self::AcmeAccount { .. }
            | Self::EdgeUnreachable { .. }
            | Self::EdgeRejected { .. }
            | Self::EdgeMismatch { .. }
            | Self::Internal { .. } => Actor::Operator,
            Self::DnsPropagating { .. }
            | Self::AcmeRateLimited { .. }
            | Self::AcmeCaUnavailable { .. } => Actor::Nobody,
        }
    }

    /// Whether it refuses a name or a target that the Cabinet gives.
    pub const fn refuses_name_or_target(&self) -> bool {
        matches!(
            self,
            Self::NameInvalid { .. }
                | Self::NameBlocked { .. }
                | Self::NameAlreadyClaimed { .. }
                | Self::TargetNotAllowed { .. }
        )
    }

    /// Whether the service retries automatically. A failure that is not retryable waits until an
    /// operator or the customer requests a retry.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NameInvalid { .. }
            | Self::NameBlocked { .. }
            | Self::NameAlreadyClaimed { .. }
            | Self::TargetNotAllowed { .. }
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
            | Self::DnsOwnershipRequired { .. }
            | Self::DnsStrayAddress { .. }
            | Self::CdnInFront { .. }
            | Self::DnsMoved { .. }
            | Self::CaaForbids { .. }
            | Self::CaaLookupFailed { .. }
            | Self::HttpRefused { .. }
            | Self::HttpTimeout { .. }
            | Self::HttpWrongResponder { .. }
            | Self::HttpStatus { .. }
            | Self::HttpRedirect { .. }
            | Self::HttpAddressForbidden { .. }
            | Self::IssuancePaused { .. }
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

    /// Whether a domain that failed for it has lost its name, because it was refused at the start
    /// or stayed moved away for too long.
    pub const fn leaves_name_free(&self) -> bool {
        self.refuses_name_or_target() || matches!(self, Self::DnsMoved { .. })
    }

    /// Whether it leaves open where the DNS of the domain points.
    pub const fn leaves_dns_open(&self) -> bool {
        matches!(
            self,
            Self::DnsTimeout { .. }
                | Self::DnsServfail { .. }
                | Self::DnsDnssecBogus { .. }
                | Self::DnsPropagating { .. }
                | Self::Internal { .. }
        )
    }

    /// Whether it can count against the domain. A fault of ours or of the CA never makes a domain
    /// `Failed` by giving up.
    pub fn counts_against_domain(&self) -> bool {
        self.actor() == Actor::Customer
    }

    /// Whether its sentence names a record that the customer adds or changes.
    pub fn names_a_record(&self) -> bool {
        match self {
            Self::DnsMoved { cause } => cause.names_a_record(),
            Self::DnsNxdomain { .. }
            | Self::DnsNoCname { .. }
            | Self::DnsWrongTarget { .. }
            | Self::DnsCnameLoop { .. }
            | Self::DnsOwnershipRequired { .. }
            | Self::DnsStrayAddress { .. }
            | Self::CdnInFront { answer: None, .. } => true,
            _ => self.is_about_caa(),
        }
    }

    /// Whether its sentence names the CAA record that allows the CA to issue.
    pub fn is_about_caa(&self) -> bool {
        match self {
            Self::CaaForbids { .. } => true,
            Self::AcmeValidationFailed { sub_cause, .. } => sub_cause == "caa",
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_serialises_under_its_own_code_and_round_trips() {
        let failure = Failure::DnsMoved {
            cause: Box::new(Failure::DnsWrongTarget {
                chain: vec!["old.example".into()],
                addresses: vec![],
                more: 0,
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
    fn failures_stored_before_addresses_were_counted_are_read() {
        for (stored, code) in [
            (
                r#"{"code":"DNS_NO_CNAME","addresses":["192.0.2.1"]}"#,
                FailureCode::DnsNoCname,
            ),
            (
                r#"{"code":"DNS_WRONG_TARGET","chain":[],"addresses":[]}"#,
                FailureCode::DnsWrongTarget,
            ),
            (
                r#"{"code":"DNS_STRAY_ADDRESS","stray":["192.0.2.1"]}"#,
                FailureCode::DnsStrayAddress,
            ),
            (
                r#"{"code":"DNS_SERVFAIL","resolvers":["192.0.2.53:53"]}"#,
                FailureCode::DnsServfail,
            ),
        ] {
            let failure: Failure = serde_json::from_str(stored).unwrap();
            assert_eq!(failure.code(), code);
            assert_eq!(serde_json::to_string(&failure).unwrap(), stored);
        }
    }

    #[test]
    fn codes_are_distinct() {
        let mut all: Vec<_> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), FailureCode::ALL.len());
    }

    #[test]
    fn an_outage_of_ours_never_counts_against_the_domain() {
        for failure in [
            Failure::DnsTimeout {
                resolvers: vec![],
                resolver_outage: true,
                txt_name: String::new(),
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
