//! Actions of operators, as the store keeps them.

use crate::Timestamp;
use crate::record::operator::{Requester, Via};
use crate::text::shown;

/// Longest reason, in characters.
pub const MAX_REASON: usize = 500;
/// Longest name of an author, in characters.
const MAX_WHO: usize = 200;
/// Longest subject, in characters. A hostname has 253, a filter a few hundred.
const MAX_SUBJECT: usize = 1_000;
/// Longest state before or after, in characters.
const MAX_STATE: usize = 500;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A newer version wrote it.
            Unknown,
        }

        impl $name {
            /// Every one that this version knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "unknown",
                }
            }

            /// The one with this word.
            pub fn named(word: &str) -> Self {
                let mut known = Self::KNOWN.iter().copied();
                known.find(|one| one.as_str() == word).unwrap_or(Self::Unknown)
            }
        }
    };
}

words! {
    /// The kind of an action.
    ActionKind {
        /// The next step of a domain was made due.
        DomainRetry => "domain.retry",
        /// A renewal was begun.
        DomainRenew => "domain.renew",
        /// The check of a live domain was made due.
        DomainRecheck => "domain.recheck",
        /// The revocation of a certificate was requested.
        DomainRevoke => "domain.revoke",
        /// A limit of the CA was lifted.
        LimitLift => "limit.lift",
        /// An edge was approved.
        EdgeApprove => "edge.approve",
        /// The comparison of an edge was made due.
        EdgeCompare => "edge.compare",
        /// Removals that were held back were approved.
        RemovalsApprove => "removals.approve",
        /// The private keys were encrypted again.
        KeysRotate => "keys.rotate",
        /// A job on many domains was begun.
        JobBegin => "job.begin",
        /// A job was cancelled.
        JobCancel => "job.cancel",
        /// Issuance was paused.
        IssuancePause => "issuance.pause",
        /// A pause of issuance was ended.
        IssuanceResume => "issuance.resume",
        /// Events were delivered again to receivers of webhooks.
        WebhooksRedeliver => "webhooks.redeliver",
    }
}

words! {
    /// The kind of an action's subject.
    ActionScope {
        /// One domain, by its hostname.
        Domain => "domain",
        /// The domains of a tenant.
        Tenant => "tenant",
        /// The domains of a filter.
        Filter => "filter",
        /// An edge, by its URL.
        Edge => "edge",
        /// A limit of the CA, with the name that it counts, if it is of one.
        Limit => "limit",
        /// Everything.
        All => "all",
    }
}

/// An operator's action. Its texts are short, whatever their sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAction {
    /// When.
    pub at: Timestamp,
    /// The person or token that acted, as the histories of domains name it.
    pub who: String,
    /// The way by which it came: `cli` or `api`.
    pub source: String,
    /// The role of the token; empty for the command line.
    pub role: String,
    /// The kind.
    pub kind: ActionKind,
    /// The kind of its subject.
    pub scope: ActionScope,
    /// The name of the subject; empty for [`ActionScope::All`].
    pub subject: String,
    /// The reason that was given.
    pub reason: Option<String>,
    /// The state before it; empty if there is none worth a word.
    pub before: String,
    /// The state after it.
    pub after: String,
    /// The number of domains or other things that it is about; `None` if they were not counted.
    pub count: Option<u64>,
}

impl OperatorAction {
    /// An action without states and count.
    pub fn new(
        by: Requester<'_>,
        at: Timestamp,
        kind: ActionKind,
        scope: ActionScope,
        subject: &str,
    ) -> Self {
        let (source, role) = match by.via {
            Via::CommandLine => ("cli", ""),
            Via::AdminApi { role } => ("api", role),
        };
        Self {
            at,
            who: shown(by.who, MAX_WHO),
            source: source.to_owned(),
            role: role.to_owned(),
            kind,
            scope,
            subject: shown(subject, MAX_SUBJECT),
            reason: by.reason.map(|reason| shown(reason, MAX_REASON)),
            before: String::new(),
            after: String::new(),
            count: None,
        }
    }

    /// The same with the states before and after it.
    #[must_use]
    pub fn changing(mut self, before: &str, after: &str) -> Self {
        self.before = shown(before, MAX_STATE);
        self.after = shown(after, MAX_STATE);
        self
    }

    /// The same with a count.
    #[must_use]
    pub const fn of_many(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// A reason that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one line of at most {MAX_REASON} characters")]
pub struct ReasonError;

/// Checks that a reason is one line and not too long.
pub fn check_reason(reason: &str) -> Result<&str, ReasonError> {
    let is_short = reason.chars().count() <= MAX_REASON;
    if is_short && !reason.chars().any(char::is_control) {
        Ok(reason)
    } else {
        Err(ReasonError)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_and_scope_has_a_word_of_its_own_and_is_read_back_from_it() {
        let kinds: BTreeSet<&str> = ActionKind::KNOWN.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(kinds.len(), ActionKind::KNOWN.len());
        for kind in ActionKind::KNOWN {
            assert_eq!(ActionKind::named(kind.as_str()), *kind);
        }
        for scope in ActionScope::KNOWN {
            assert_eq!(ActionScope::named(scope.as_str()), *scope);
        }
        assert_eq!(ActionKind::named("domain.split"), ActionKind::Unknown);
    }

    #[test]
    fn an_action_is_short_and_of_one_line_whatever_it_is_made_of() {
        let long = format!("a\u{1b}[2J\n{}", "b".repeat(5_000));
        let by = Requester {
            reason: Some(&long),
            via: Via::AdminApi { role: "Admin" },
            ..Requester::from(long.as_str())
        };
        let at = Timestamp::from_unix_seconds(1_800_000_000);
        let action = OperatorAction::new(by, at, ActionKind::LimitLift, ActionScope::Limit, &long)
            .changing(&long, &long);
        let texts = [
            (&action.who, MAX_WHO),
            (&action.subject, MAX_SUBJECT),
            (&action.before, MAX_STATE),
            (&action.after, MAX_STATE),
            (action.reason.as_ref().unwrap(), MAX_REASON),
        ];
        for (text, most) in texts {
            assert_eq!(text.chars().count(), most);
            assert!(!text.chars().any(char::is_control));
        }
        assert_eq!(
            (action.source.as_str(), action.role.as_str()),
            ("api", "Admin")
        );
        assert_eq!(check_reason(&long), Err(ReasonError));
        assert_eq!(check_reason("mended"), Ok("mended"));
    }
}
