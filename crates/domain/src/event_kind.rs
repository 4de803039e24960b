//! The closed list of what a line in a domain's history can say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::FailureCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// The kind of a line in a domain's history: a stable word in the store, the API and the
        /// command line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $variant,)*
            /// A step failed with this code. It is written in lower case: `dns_nxdomain`.
            Failed(FailureCode),
            /// The line was written by a version that knows more kinds than this one.
            Unknown,
        }

        impl EventKind {
            /// Every kind that is no failure, in the order of a domain's life.
            pub const PLAIN: &'static [Self] = &[$(Self::$variant,)*];

            const fn word(self) -> Result<&'static str, FailureCode> {
                match self {
                    $(Self::$variant => Ok($text),)*
                    Self::Failed(code) => Err(code),
                    Self::Unknown => Ok("unknown"),
                }
            }
        }
    };
}

kinds! {
    /// The Cabinet's record was read for the first time.
    DomainTakenIn => "domain.taken_in",
    /// A removed domain is wanted again.
    DomainReturned => "domain.returned",
    /// The Cabinet gave the domain another name; it begins from the start.
    NameChanged => "name.changed",
    /// The name that the Cabinet gives is refused.
    NameRefused => "name.refused",
    /// The name that the Cabinet gives is claimed by another tenant, or was until recently.
    ClaimContested => "claim.contested",
    /// The name is still being taken down for the domain that had it before.
    ClaimWaiting => "claim.waiting",
    /// Another tenant proved that the name is its own.
    ClaimSuperseded => "claim.superseded",
    /// The domain gives up its name, which another record takes.
    NameLeft => "name.left",
    /// The Cabinet gave the domain another target.
    TargetChanged => "target.changed",
    /// The target that the Cabinet gives is refused.
    TargetRefused => "target.refused",
    /// The Cabinet no longer has the name or target that was refused.
    RefusalWithdrawn => "refusal.withdrawn",
    /// The status was reported again, because the Cabinet had another.
    StatusRepeated => "status.repeated",
    /// The customer requested a retry.
    RetryRequested => "retry.requested",
    /// The customer requested a retry too soon after the last one.
    RetryTooSoon => "retry.too_soon",
    /// An operator requested a retry.
    RetryByOperator => "retry.by_operator",
    /// An operator requested a renewal.
    RenewalRequested => "renewal.requested",
    /// An operator requested the revocation of a certificate.
    RevocationRequested => "revocation.requested",
    /// An operator requested a check of a live domain.
    RecheckRequested => "recheck.requested",
    /// An operator lifted a wait for one of the CA's limits.
    LimitLifted => "limit.lifted",
    /// An operator ended a pause of issuance.
    IssuanceResumed => "issuance.resumed",
    /// The DNS check passed.
    DnsReady => "dns.ready",
    /// A live domain still points at the edges.
    DnsConfirmed => "dns.confirmed",
    /// The HTTP probe passed.
    HttpReady => "http.ready",
    /// The HTTP probe proved nothing, or need not pass: the CA decides.
    HttpInconclusive => "http.inconclusive",
    /// The service is registering its account at the CA.
    AccountRegistering => "account.registering",
    /// An order was placed at the CA.
    OrderPlaced => "order.placed",
    /// The CA has validated the order.
    OrderReady => "order.ready",
    /// A failed validation may have met an outage of the platform; a new order follows.
    ValidationUnconfirmed => "validation.doubted",
    /// The CA is still issuing.
    CaWaiting => "ca.waiting",
    /// A request to the CA waits for our own pacing.
    CaPaced => "ca.paced",
    /// The certificate was stored.
    CertificateStored => "certificate.stored",
    /// Every edge serves the certificate.
    Deployed => "deployed",
    /// A renewal is due.
    RenewalDue => "renewal.due",
    /// The CA suggests another time for the renewal (RFC 9773).
    RenewalMoved => "renewal.moved",
    /// A freeze delays a renewal that is due and can wait.
    RenewalFrozen => "renewal.frozen",
    /// The daily check could not say whether the domain still points at the edges.
    RecheckInconclusive => "recheck.inconclusive",
    /// The certificate expired and the domain has no other.
    CertificateEnded => "certificate.ended",
    /// The CA revoked a certificate: its domain ended, or an operator requested it.
    CertificateRevoked => "certificate.revoked",
    /// The CA did not revoke a certificate; it is tried again.
    RevocationFailed => "revocation.failed",
    /// A certificate that was to be revoked stays valid until its end.
    RevocationGivenUp => "revocation.given_up",
    /// The compromised key of a revoked certificate was erased.
    KeyErased => "key.erased",
    /// Our own machine failed a step; it is tried again.
    MachineFailed => "machine.failed",
    /// The Cabinet does not know the domain.
    CabinetMissing => "cabinet.missing",
    /// The Cabinet has an older version of the domain than before, as after a restore.
    CabinetRestored => "cabinet.restored",
    /// The Cabinet requested the removal.
    RemovalRequested => "removal.requested",
    /// The removal was reported again.
    RemovalRepeated => "removal.repeated",
    /// The domain is removed, because the Cabinet has not known it for long.
    RemovalMissing => "removal.missing",
    /// No edge serves the domain any more.
    Undeployed => "undeployed",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Ok(word) => f.pad(word),
            Err(code) => f.pad(&code.as_str().to_ascii_lowercase()),
        }
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    /// Reads a kind of a later version as unknown.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::Unknown))
    }
}

/// The text is no kind that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of event that this version knows")]
pub struct UnknownEventKind;

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(text: &str) -> Result<Self, UnknownEventKind> {
        let plain = Self::PLAIN.iter().copied();
        let failed = FailureCode::ALL.iter().copied().map(Self::Failed);
        plain
            .chain(failed)
            .find(|kind| match kind.word() {
                Ok(word) => word == text,
                Err(code) => text == code.as_str().to_ascii_lowercase(),
            })
            .ok_or(UnknownEventKind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn all() -> impl Iterator<Item = EventKind> {
        let failed = FailureCode::ALL.iter().copied().map(EventKind::Failed);
        EventKind::PLAIN.iter().copied().chain(failed)
    }

    #[test]
    fn every_kind_is_read_back_from_its_own_text() {
        let texts: HashSet<String> = all().map(|kind| kind.to_string()).collect();
        assert_eq!(texts.len(), all().count());
        for kind in all() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(
            EventKind::Failed(FailureCode::DnsNxdomain).to_string(),
            "dns_nxdomain"
        );
    }

    #[test]
    fn a_text_of_another_version_is_no_kind() {
        for text in ["", "unknown", "DNS_NXDOMAIN", "dns.ready ", "order.split"] {
            assert_eq!(text.parse::<EventKind>(), Err(UnknownEventKind), "{text}");
        }
    }
}
