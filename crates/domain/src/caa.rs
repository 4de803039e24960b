//! CAA records (RFC 8659, RFC 8657): whether they let the CA issue for a name.

pub mod reason;
mod record;

use std::net::SocketAddr;
use std::time::Duration;

use crate::Hostname;
use crate::dns::DnsAnswer;

pub use reason::CaaReason;
pub use record::CaaRecord;

/// Property tags that Let's Encrypt understands. A critical record with another tag forbids to
/// issue (RFC 8659 §4.1).
const KNOWN_TAGS: [&str; 4] = ["issue", "issuewild", "iodef", "issuemail"];

/// The method with which names are validated, as CAA records call it (RFC 8657 §4).
pub const VALIDATION_METHOD: &str = "http-01";

/// The CAA record that lets one account of the CA alone issue for a zone (RFC 8657 §3).
pub fn safest_record(host: &Hostname, identity: &str, account_url: &str) -> String {
    let zone = host.registered_domain();
    format!(
        "@ CAA 0 issue \"{identity}; accounturi={account_url}; \
         validationmethods={VALIDATION_METHOD}\" in the zone {zone}"
    )
}

/// The CA as CAA records name it.
#[derive(Debug, Clone, Copy)]
pub struct CaaIssuer<'a> {
    /// The names of which an `issue` record must have one (`caaIdentities`, RFC 8555 §7.1.1).
    pub identities: &'a [String],
    /// The URL of our account, for `accounturi` (RFC 8657 §3).
    pub account_url: &'a str,
    /// The method with which names are validated, for `validationmethods` (RFC 8657 §4).
    pub validation_method: &'a str,
}

/// The answer about the CAA records of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaaAnswer {
    /// At least one record. A DNS message bounds their number and size.
    Records(Vec<CaaRecord>),
    /// The name has none, or does not exist.
    None,
    /// No usable answer: [`DnsAnswer::Loop`], [`DnsAnswer::ServFail`],
    /// [`DnsAnswer::Refused`], [`DnsAnswer::Timeout`] or [`DnsAnswer::Local`].
    Failed(DnsAnswer),
}

/// The look-up of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaLookup {
    /// The name that was queried: the hostname or one above it.
    pub name: String,
    /// The CNAME targets that led to the answer, in order.
    pub chain: Vec<String>,
    /// The answer at the end of the chain.
    pub answer: CaaAnswer,
    /// Time for which a cache may keep the answer; `None` if unknown.
    pub ttl: Option<Duration>,
}

impl CaaLookup {
    /// The name that has the records.
    pub fn owner(&self) -> &str {
        self.chain.last().unwrap_or(&self.name)
    }
}

/// The answers of one resolver: for the hostname, then for each name above it (RFC 8659 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaObservation {
    /// The queried resolver.
    pub resolver: SocketAddr,
    /// From the hostname upwards.
    pub lookups: Vec<CaaLookup>,
}

impl CaaObservation {
    /// The look-up that decides: the first one with records, or that failed (RFC 8659 §3); `None`
    /// if no name has records.
    pub fn relevant(&self) -> Option<&CaaLookup> {
        let mut lookups = self.lookups.iter();
        lookups.find(|lookup| lookup.answer != CaaAnswer::None)
    }

    /// Whether the resolver got no answer about any name, the top-level domain included: it does
    /// not look up CAA records at all, whatever the name.
    pub fn is_out_of_order(&self) -> bool {
        let mut lookups = self.lookups.iter();
        !self.lookups.is_empty()
            && lookups.all(|lookup| matches!(lookup.answer, CaaAnswer::Failed(_)))
    }
}

/// The verdict of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaaVerdict {
    /// No record forbids the CA to issue.
    Allowed,
    /// A record set forbids it.
    Forbidden {
        /// The name that has the records.
        owner: String,
        /// The first record that forbids it.
        record: String,
        /// The reason.
        reason: CaaReason,
        /// Whether the records are those of our own target.
        at_target: bool,
    },
    /// The look-up failed at every resolver; a CA then does not issue.
    LookupFailed {
        /// The name and how its servers answered.
        detail: String,
        /// Whether the failed name is our own target.
        at_target: bool,
    },
    /// Unknown, by no fault of the customer.
    Inconclusive,
}

impl CaaVerdict {
    /// Whether the authoritative servers may know better than `observations`, from which the
    /// verdict is. They cannot refute that a resolver finds invalid DNSSEC signatures.
    pub fn may_be_outdated(&self, observations: &[CaaObservation]) -> bool {
        let bogus = CaaAnswer::Failed(DnsAnswer::Bogus);
        let mut relevant = observations.iter().filter_map(CaaObservation::relevant);
        matches!(self, Self::Forbidden { .. } | Self::LookupFailed { .. })
            && !relevant.any(|lookup| lookup.answer == bogus)
    }

    /// The verdict with the answers of the authoritative servers, which prevail over those of the
    /// recursive resolvers. Every server that answers must see the CA allowed. Servers without an
    /// answer do not count; if a name has no other, nothing changes.
    #[must_use]
    pub fn with_authoritative(
        self,
        seen: &[CaaObservation],
        issuer: &CaaIssuer<'_>,
        host: &Hostname,
        target: &Hostname,
    ) -> Self {
        for name in names_upwards(host) {
            let lookups = seen.iter().flat_map(|seen| &seen.lookups);
            let (mut is_answered, mut has_none) = (false, false);
            for lookup in lookups.filter(|lookup| lookup.name == name) {
                match &lookup.answer {
                    CaaAnswer::Failed(_) => continue,
                    CaaAnswer::None => has_none = true,
                    CaaAnswer::Records(records) => {
                        if let Err(against) = judge(records, issuer) {
                            return forbidden(lookup, against, target);
                        }
                    }
                }
                is_answered = true;
            }
            if !is_answered {
                return self;
            }
            if !has_none {
                return Self::Allowed;
            }
        }
        Self::Allowed
    }
}

/// The name and each one above it.
fn names_upwards(host: &Hostname) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host.as_str()), |name| {
        name.split_once('.').map(|(_, above)| above)
    })
}

/// Judges the answers of the resolvers. It is enough that one sees the CA allowed: another may keep
/// records in its cache that the customer has changed.
pub fn verdict(
    observations: &[CaaObservation],
    issuer: &CaaIssuer<'_>,
    host: &Hostname,
    target: &Hostname,
) -> CaaVerdict {
    let (mut forbids, mut failed) = (None, None);
    let working = observations.iter().filter(|seen| !seen.is_out_of_order());
    for observation in working {
        let Some(lookup) = observation.relevant() else {
            return CaaVerdict::Allowed;
        };
        let CaaAnswer::Records(records) = &lookup.answer else {
            failed = failed.or_else(|| failure(lookup, host, target));
            continue;
        };
        let Err(against) = judge(records, issuer) else {
            return CaaVerdict::Allowed;
        };
        forbids.get_or_insert_with(|| forbidden(lookup, against, target));
    }
    forbids.or(failed).unwrap_or(CaaVerdict::Inconclusive)
}

/// The verdict on a record set with a record against the CA.
fn forbidden(
    lookup: &CaaLookup,
    (record, reason): (&CaaRecord, CaaReason),
    target: &Hostname,
) -> CaaVerdict {
    CaaVerdict::Forbidden {
        owner: lookup.owner().to_owned(),
        record: record.to_string(),
        reason,
        at_target: is_at_target(lookup, target),
    }
}

/// Whether an alias led to our own target: its records are the platform's.
fn is_at_target(lookup: &CaaLookup, target: &Hostname) -> bool {
    lookup.chain.iter().any(|name| name == target.as_str())
}

/// The failed look-up; `None` if it says nothing about the customer's zone.
fn failure(lookup: &CaaLookup, host: &Hostname, target: &Hostname) -> Option<CaaVerdict> {
    // Neither the customer nor the operator can repair the servers of a top-level domain.
    if lookup.name.len() < host.registered_domain().len() {
        return None;
    }
    let said = match &lookup.answer {
        CaaAnswer::Failed(DnsAnswer::ServFail) => "server failure",
        CaaAnswer::Failed(DnsAnswer::Bogus) => "the DNSSEC signatures are not valid",
        CaaAnswer::Failed(DnsAnswer::Timeout) => "no answer",
        CaaAnswer::Failed(DnsAnswer::Loop) => "the CNAME records form a loop",
        CaaAnswer::Records(_) | CaaAnswer::None | CaaAnswer::Failed(_) => return None,
    };
    Some(CaaVerdict::LookupFailed {
        detail: format!("{}: {said}", lookup.owner()),
        at_target: is_at_target(lookup, target),
    })
}

/// Judges one record set (RFC 8659 §4). The error is the first record that forbids to issue.
fn judge<'a>(
    records: &'a [CaaRecord],
    issuer: &CaaIssuer<'_>,
) -> Result<(), (&'a CaaRecord, CaaReason)> {
    let unknown = |record: &&CaaRecord| record.is_critical() && !record.has_tag(&KNOWN_TAGS);
    if let Some(record) = records.iter().find(unknown) {
        return Err((record, CaaReason::UnknownCriticalTag));
    }
    let mut forbids = None;
    for record in records.iter().filter(|record| record.has_tag(&["issue"])) {
        match record.allows(issuer) {
            Ok(()) => return Ok(()),
            // A record that names the CA says more than one that names another.
            Err(reason) if reason != CaaReason::OtherAuthority => {
                forbids = Some((record, reason));
            }
            Err(reason) => forbids = forbids.or(Some((record, reason))),
        }
    }
    forbids.map_or(Ok(()), Err)
}

#[cfg(test)]
#[path = "caa_tests.rs"]
mod tests;
