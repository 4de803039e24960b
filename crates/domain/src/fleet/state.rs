//! The state of a record in three words: status, who must act, and the code of its last failure.

use std::cmp::Ordering;

use crate::record::DomainRecord;
use crate::{Actor, FailureCode, Status, Timestamp};

/// The state by which records are found and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainState {
    /// The status that the Cabinet gets.
    pub status: Status,
    /// Who must act; `None` without a failure.
    pub actor: Option<Actor>,
    /// The code of the last failure; `None` without one. A served domain has one while its renewal
    /// fails.
    pub code: Option<FailureCode>,
}

/// A stored text is not a state that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind} that this version knows")]
pub struct UnknownState {
    text: String,
    kind: &'static str,
}

impl DomainState {
    /// The state of a record.
    pub fn of(record: &DomainRecord) -> Self {
        let failure = record.last_failure.as_ref();
        Self {
            status: record.phase.status(),
            actor: failure.map(crate::Failure::actor),
            code: failure.map(crate::Failure::code),
        }
    }

    /// Who must act, as it is stored; empty for none.
    pub fn actor_text(&self) -> &'static str {
        self.actor.map_or("", Actor::as_str)
    }

    /// The code, as it is stored; empty for none.
    pub fn code_text(&self) -> &'static str {
        self.code.map_or("", FailureCode::as_str)
    }

    /// Parses the stored texts.
    pub fn parse(status: &str, actor: &str, code: &str) -> Result<Self, UnknownState> {
        let unknown = |text: &str, kind| UnknownState {
            text: text.to_owned(),
            kind,
        };
        let actor_of = |text: &str| {
            let mut all = Actor::ALL.into_iter();
            all.find(|known| known.as_str() == text)
                .ok_or_else(|| unknown(text, "actor"))
        };
        let code_of = |text: &str| {
            let mut all = FailureCode::ALL.iter();
            all.find(|known| known.as_str() == text)
                .copied()
                .ok_or_else(|| unknown(text, "failure code"))
        };
        Ok(Self {
            status: status.parse().map_err(|_| unknown(status, "status"))?,
            actor: (!actor.is_empty()).then(|| actor_of(actor)).transpose()?,
            code: (!code.is_empty()).then(|| code_of(code)).transpose()?,
        })
    }

    /// The time since which a record has its status. `before` is the status until now, with its
    /// time.
    pub fn status_since(self, before: Option<(Status, Timestamp)>, now: Timestamp) -> Timestamp {
        match before {
            Some((status, since)) if status == self.status => since,
            Some(_) | None => now,
        }
    }
}

/// By the stored texts, as a database orders them.
impl Ord for DomainState {
    fn cmp(&self, other: &Self) -> Ordering {
        let texts = |state: &Self| (state.status.as_str(), state.actor_text(), state.code_text());
        texts(self).cmp(&texts(other))
    }
}

impl PartialOrd for DomainState {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number of records in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateCount {
    /// The state.
    pub state: DomainState,
    /// Records.
    pub domains: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_was_stored_and_others_are_named() {
        for status in Status::ALL {
            for code in FailureCode::ALL {
                for actor in code.actors() {
                    let state = DomainState {
                        status,
                        actor: Some(*actor),
                        code: Some(*code),
                    };
                    let parsed =
                        DomainState::parse(status.as_str(), state.actor_text(), state.code_text());
                    assert_eq!(parsed, Ok(state));
                }
            }
            assert!(
                DomainState::parse(status.as_str(), "", "")
                    .unwrap()
                    .code
                    .is_none()
            );
        }
        let unknown = DomainState::parse("Active", "", "NEW_CODE").unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "\"NEW_CODE\" is no failure code that this version knows"
        );
    }

    #[test]
    fn a_status_begins_when_it_changes() {
        let [early, now] = [1, 2].map(Timestamp::from_unix_seconds);
        let state = DomainState {
            status: Status::Active,
            actor: None,
            code: None,
        };
        assert_eq!(state.status_since(None, now), now);
        assert_eq!(
            state.status_since(Some((Status::Active, early)), now),
            early
        );
        assert_eq!(state.status_since(Some((Status::Issuing, early)), now), now);
    }
}
