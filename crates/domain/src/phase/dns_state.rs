//! Where the DNS of a domain that was served points, and the events that change it.

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::Timestamp;
use crate::policy::MovePolicy;

/// Where the DNS of a domain that was served points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "StoredDnsState", into = "StoredDnsState")]
pub enum DnsState {
    /// At us, as far as is known.
    #[default]
    Here,
    /// Elsewhere, in too few checks or for too short a time to call it a move. A DNS check that
    /// finds it here forgets them.
    SeenElsewhere {
        /// When it was first seen elsewhere.
        since: Timestamp,
        /// Checks that found it elsewhere; at least 1.
        observations: u32,
    },
    /// Elsewhere. Only a DNS check that finds it here again ends the move.
    MovedAway {
        /// When it was first seen elsewhere.
        since: Timestamp,
    },
}

/// The stored form. A version that does not count reads an unconfirmed move as a move.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum StoredDnsState {
    Here,
    MovedAway {
        since: Timestamp,
        /// Absent once the move is certain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observations: Option<u32>,
    },
}

impl From<StoredDnsState> for DnsState {
    fn from(stored: StoredDnsState) -> Self {
        match stored {
            StoredDnsState::Here => Self::Here,
            StoredDnsState::MovedAway {
                since,
                observations: Some(observations),
            } => Self::SeenElsewhere {
                since,
                observations,
            },
            StoredDnsState::MovedAway {
                since,
                observations: None,
            } => Self::MovedAway { since },
        }
    }
}

impl From<DnsState> for StoredDnsState {
    fn from(state: DnsState) -> Self {
        match state {
            DnsState::Here => Self::Here,
            DnsState::SeenElsewhere {
                since,
                observations,
            } => Self::MovedAway {
                since,
                observations: Some(observations),
            },
            DnsState::MovedAway { since } => Self::MovedAway {
                since,
                observations: None,
            },
        }
    }
}

impl DnsState {
    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Here)
    }

    /// The event that one more DNS check means which finds the name elsewhere at `at`.
    pub fn seen_elsewhere(self, rule: &MovePolicy, at: Timestamp) -> Event {
        let (since, before) = match self {
            Self::Here => (at, 0),
            Self::SeenElsewhere {
                since,
                observations,
            } => (since, observations),
            Self::MovedAway { .. } => return Event::DnsMovedAway { at },
        };
        let is_certain =
            before.saturating_add(1) >= rule.observations && at.since(since) >= rule.after;
        if is_certain {
            Event::DnsMovedAway { at }
        } else {
            Event::DnsSeenElsewhere { at }
        }
    }

    /// The state after an event.
    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::DnsReady | Event::HttpReady | Event::DnsConfirmed) => Self::Here,
            (Self::Here, Event::DnsSeenElsewhere { at }) => Self::SeenElsewhere {
                since: *at,
                observations: 1,
            },
            (
                Self::SeenElsewhere {
                    since,
                    observations,
                },
                Event::DnsSeenElsewhere { .. },
            ) => Self::SeenElsewhere {
                since,
                observations: observations.saturating_add(1),
            },
            (Self::Here, Event::DnsMovedAway { at }) => Self::MovedAway { since: *at },
            (Self::SeenElsewhere { since, .. }, Event::DnsMovedAway { .. }) => {
                Self::MovedAway { since }
            }
            // Neither a due renewal nor the certificate's end brings the name back.
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const RULE: MovePolicy = MovePolicy {
        observations: 3,
        after: Duration::from_secs(3600),
    };

    /// The state after checks that found the name elsewhere, at these seconds.
    fn after_checks(seconds: &[u64]) -> DnsState {
        seconds.iter().fold(DnsState::Here, |state, second| {
            let at = START + Duration::from_secs(*second);
            state.after(&state.seen_elsewhere(&RULE, at))
        })
    }

    #[test]
    fn a_move_takes_both_the_observations_and_the_time() {
        for too_little in [&[0, 3600][..], &[0, 10, 20, 30, 3599], &[0]] {
            let state = after_checks(too_little);
            assert!(
                matches!(state, DnsState::SeenElsewhere { since, .. } if since == START),
                "{too_little:?}: {state:?}"
            );
        }
        for enough in [&[0, 10, 3600][..], &[0, 1, 2, 3, 4, 7200]] {
            assert_eq!(
                after_checks(enough),
                DnsState::MovedAway { since: START },
                "{enough:?}"
            );
        }
        let at_once = MovePolicy {
            observations: 1,
            after: Duration::ZERO,
        };
        let event = DnsState::Here.seen_elsewhere(&at_once, START);
        assert_eq!(event, Event::DnsMovedAway { at: START });
    }

    #[test]
    fn only_a_check_that_finds_the_name_here_forgets_the_checks_before() {
        let unconfirmed = after_checks(&[0, 1_800]);
        for event in [Event::DnsReady, Event::HttpReady, Event::DnsConfirmed] {
            assert_eq!(unconfirmed.after(&event), DnsState::Here, "{event:?}");
        }
        for event in [Event::RenewalDue, Event::CertificateEnded, Event::DnsLost] {
            assert_eq!(unconfirmed.after(&event), unconfirmed, "{event:?}");
        }
    }

    #[test]
    fn a_version_that_does_not_count_reads_a_move_and_a_move_that_it_wrote_is_one() {
        let unconfirmed = serde_json::to_string(&after_checks(&[0])).unwrap();
        assert_eq!(
            unconfirmed,
            r#"{"movedAway":{"since":"2027-01-15T08:00:00Z","observations":1}}"#
        );
        let moved = r#"{"movedAway":{"since":"2027-01-15T08:00:00Z"}}"#;
        let read: DnsState = serde_json::from_str(moved).unwrap();
        assert_eq!(read, DnsState::MovedAway { since: START });
        assert_eq!(serde_json::to_string(&read).unwrap(), moved);
    }

    proptest! {
        /// Whatever the times of the checks, the stored state is the same after it was read, and a
        /// move began with the first of them.
        #[test]
        fn every_state_survives_the_store_and_keeps_its_first_moment(
            mut seconds in prop::collection::vec(0_u64..20_000, 1..12)
        ) {
            seconds.sort_unstable();
            let state = after_checks(&seconds);
            let stored = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<DnsState>(&stored).unwrap(), state);
            let first = START + Duration::from_secs(seconds[0]);
            let (DnsState::SeenElsewhere { since, .. } | DnsState::MovedAway { since }) = state
            else {
                return Err(TestCaseError::fail("it was seen elsewhere"));
            };
            prop_assert_eq!(since, first);
            let is_enough = seconds.iter().enumerate().any(|(before, second)| {
                before + 1 >= 3 && second - seconds[0] >= 3_600
            });
            prop_assert_eq!(matches!(state, DnsState::MovedAway { .. }), is_enough);
        }
    }
}
