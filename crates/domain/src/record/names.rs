//! The names of a domain as its record keeps them, whatever the Cabinet sent.

use super::DomainRecord;
use crate::hostname::HostnameError;
use crate::{DomainId, Failure, Hostname, NameRules, Phase, Status, text};

/// Characters kept of a text that is no hostname.
const SHOWN_CHARS: usize = 253;

/// A name as the Cabinet sent it: a hostname, or the reason why it is none. A bad name concerns its
/// own domain alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentName {
    shown: String,
    hostname: Result<Hostname, HostnameError>,
}

impl SentName {
    /// The hostname, or the reason why the text is none.
    pub const fn hostname(&self) -> Result<&Hostname, HostnameError> {
        match &self.hostname {
            Ok(hostname) => Ok(hostname),
            Err(error) => Err(*error),
        }
    }

    /// The beginning of the text, without control characters.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl From<&str> for SentName {
    fn from(text: &str) -> Self {
        Self {
            shown: text::shown(text, SHOWN_CHARS),
            hostname: Hostname::parse(text),
        }
    }
}

/// A custom domain as the Cabinet sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CabinetDomain {
    /// The domain.
    pub id: DomainId,
    /// Whose it is.
    pub tenant_id: String,
    /// The name we check, probe and certify.
    pub canonical_host: SentName,
    /// Where the customer must point.
    pub cname_target: SentName,
    /// The status; `None` when the Cabinet used one that we do not know.
    pub status: Option<Status>,
    /// For `If-Match` in the next report.
    pub version: u64,
}

/// The hostname and target of a record, or their refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The name to certify; a stand-in when the Cabinet's is no hostname.
    pub hostname: Hostname,
    /// Where it must point; `None` when the Cabinet's is no hostname or not allowed.
    pub target: Option<Hostname>,
    /// Why no certificate is to be had for it, if so.
    pub refusal: Option<Failure>,
}

impl Names {
    /// Applies the platform's rules to the Cabinet's names.
    pub fn of(domain: &CabinetDomain, rules: &NameRules) -> Self {
        let (hostname, target) = (
            domain.canonical_host.hostname(),
            domain.cname_target.hostname(),
        );
        let refusal = match (hostname, target) {
            (Ok(hostname), Ok(target)) => rules.refusal(hostname, target),
            (Err(reason), _) => Some(Failure::NameInvalid {
                reason: reason.to_string(),
            }),
            (Ok(_), Err(reason)) => Some(Failure::TargetNotAllowed {
                target: domain.cname_target.shown().to_owned(),
                reason: reason.to_string(),
            }),
        };
        let stand_in = || Hostname::stand_in(domain.id);
        Self {
            hostname: hostname.cloned().unwrap_or_else(|_| stand_in()),
            target: target
                .ok()
                .filter(|target| rules.allows_target(target))
                .cloned(),
            refusal,
        }
    }
}

impl Names {
    /// The names whose target is refused as another tenant's.
    #[must_use]
    pub fn without_target(self, refusal: Failure) -> Self {
        Self {
            target: None,
            refusal: Some(refusal),
            ..self
        }
    }

    /// Why the name or the target cannot take the place of what the record has. `None` also where
    /// both are the record's own, and where the record has nothing that a refusal could spare.
    pub fn refusal_beside(&self, record: &DomainRecord) -> Option<&Failure> {
        let differ =
            self.hostname != record.hostname || self.target.as_ref() != Some(&record.cname_target);
        self.refusal
            .as_ref()
            .filter(|_| differ && keeps_what_it_has(&record.phase))
    }
}

/// Whether a domain is served or on its way, so that what the Cabinet says wrong must not stop it.
pub const fn keeps_what_it_has(phase: &Phase) -> bool {
    match phase {
        Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } => true,
        Phase::Failed | Phase::Leaving | Phase::Gone => false,
    }
}

/// Whether the record says that something was refused which the Cabinet does not want any more.
pub fn is_refusal_over(record: &DomainRecord, names: &Names) -> bool {
    keeps_what_it_has(&record.phase)
        && names.refusal_beside(record).is_none()
        && record
            .last_failure
            .as_ref()
            .is_some_and(Failure::refuses_name_or_target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn names(canonical_host: &str, cname_target: &str) -> Names {
        let domain = CabinetDomain {
            id: DomainId::new(Timestamp::EPOCH, [7; 10]),
            tenant_id: "t".into(),
            canonical_host: canonical_host.into(),
            cname_target: cname_target.into(),
            status: None,
            version: 1,
        };
        Names::of(&domain, &NameRules::default())
    }

    #[test]
    fn whatever_the_cabinet_sends_there_is_a_name_for_the_record_and_a_code_for_the_customer() {
        for (host, target, code) in [
            ("shop.example.com", "edge.platform.example", None),
            (
                "*.example.com",
                "edge.platform.example",
                Some("NAME_INVALID"),
            ),
            ("", "", Some("NAME_INVALID")),
            (
                "a\u{fffd}.example.com",
                "edge.platform.example",
                Some("NAME_INVALID"),
            ),
            ("shop.example.com", "", Some("TARGET_NOT_ALLOWED")),
            ("shop.example.com", "a\u{0}b", Some("TARGET_NOT_ALLOWED")),
            (
                "www.platform.example",
                "edge.platform.example",
                Some("NAME_BLOCKED"),
            ),
        ] {
            let names = names(host, target);
            let found = names
                .refusal
                .as_ref()
                .map(|failure| failure.code().as_str());
            assert_eq!(found, code, "{host:?} {target:?}");
        }
        assert!(names("", "").hostname.as_str().ends_with(".invalid"));
        let Some(Failure::TargetNotAllowed { target, .. }) =
            names("a.example.com", "é\u{0}".repeat(9_000).as_str()).refusal
        else {
            panic!("it is no target")
        };
        assert_eq!(target.chars().count(), SHOWN_CHARS);
    }
}
