//! The reachability of an edge, so that an unreachable one delays no step for longer than its
//! grace.

use std::time::Duration;

use crate::Timestamp;

/// Time for which an edge's health is not trusted after it failed on probation.
const DISTRUST: Duration = Duration::from_secs(60);

/// The reachability of an edge, as all replicas share it.
///
/// Work waits for an edge that fails until its grace ends. Then the edge is unreachable, and work
/// continues without it. When it answers again, it is on probation for as long as the grace. Work
/// includes it, and the first failure makes it unreachable at once. After such a failure, its
/// answers do not count for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reachability {
    /// Time of the first failure; `None` while it answers.
    pub unreachable_since: Option<Timestamp>,
    /// Time of the first answer after that.
    pub answered_again_at: Option<Timestamp>,
    /// Time before which its health is not trusted.
    pub unreachable_until: Option<Timestamp>,
}

impl Reachability {
    /// Notes a failure at `now`.
    #[must_use]
    pub fn failed(self, now: Timestamp, grace: Duration) -> Self {
        let (since, unreachable_until) = match self.answered_again_at {
            Some(at) if now.since(at) > grace => (None, None),
            Some(_) => (self.unreachable_since, Some(now + DISTRUST)),
            None => (self.unreachable_since, self.unreachable_until),
        };
        Self {
            // A clock that is set back must not prolong the failure.
            unreachable_since: Some(since.map_or(now, |since| since.min(now))),
            answered_again_at: None,
            unreachable_until,
        }
    }

    /// Notes a good health check.
    #[must_use]
    pub fn answered(self, now: Timestamp, grace: Duration) -> Self {
        // A time further ahead than `DISTRUST` comes from a clock that was set back.
        let distrusted = |until: Timestamp| now < until && until.since(now) <= DISTRUST;
        match self {
            Self {
                unreachable_since: None,
                ..
            } => self,
            Self {
                answered_again_at: Some(at),
                ..
            } if now.since(at) > grace => Self::default(),
            Self {
                answered_again_at: None,
                unreachable_until,
                ..
            } if !unreachable_until.is_some_and(distrusted) => Self {
                answered_again_at: Some(now),
                unreachable_until: None,
                ..self
            },
            _ => self,
        }
    }

    /// Whether steps call it and wait for it.
    pub fn is_live(self, now: Timestamp, grace: Duration) -> bool {
        self.unreachable_from(grace).is_none_or(|from| now < from)
    }

    /// Whether it failed and has not answered since. It is unreachable only after its grace.
    pub const fn is_failing(self) -> bool {
        self.unreachable_since.is_some() && self.answered_again_at.is_none()
    }

    /// Time from which work continues without it; `None` while it answers.
    pub fn unreachable_from(self, grace: Duration) -> Option<Timestamp> {
        match self.answered_again_at {
            Some(_) => None,
            None => self.unreachable_since.map(|since| since + grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    #[test]
    fn an_edge_that_fails_is_waited_for_until_its_grace_is_over() {
        let away = Reachability::default().failed(at(0), GRACE);
        assert!(away.is_live(at(119), GRACE));
        assert_eq!(away.unreachable_from(GRACE), Some(at(120)));
        assert!(!away.is_live(at(120), GRACE));
        assert_eq!(
            away.failed(at(60), GRACE),
            away,
            "failing again does not extend the grace"
        );
    }

    #[test]
    fn an_edge_that_fails_on_probation_is_unreachable_at_once_and_not_trusted_for_a_while() {
        let away = Reachability::default().failed(at(0), GRACE);
        let back = away.answered(at(500), GRACE);
        assert!(back.is_live(at(500), GRACE));
        assert_eq!(
            back.answered(at(510), GRACE),
            back,
            "probation begins with the first answer"
        );
        let again = back.failed(at(560), GRACE);
        assert!(!again.is_live(at(560), GRACE));
        assert_eq!(again.answered(at(619), GRACE), again);
        assert_eq!(
            again
                .failed(at(600), GRACE)
                .answered(at(619), GRACE)
                .answered_again_at,
            None
        );
        let believed = again.answered(at(620), GRACE);
        assert!(believed.is_live(at(620), GRACE));
        let set_back = again.answered(at(100), GRACE);
        assert!(
            set_back.is_live(at(100), GRACE),
            "distrust does not last as long as a clock is set back"
        );
    }

    #[test]
    fn an_edge_that_was_well_for_longer_than_the_grace_has_a_new_one() {
        let back = Reachability::default()
            .failed(at(0), GRACE)
            .answered(at(500), GRACE);
        let again = back.failed(at(621), GRACE);
        assert!(again.is_live(at(621), GRACE));
        assert_eq!(again.unreachable_since, Some(at(621)));
        assert_eq!(back.answered(at(620), GRACE), back);
        assert_eq!(back.answered(at(621), GRACE), Reachability::default());
    }

    #[test]
    fn an_answer_of_an_edge_that_never_failed_changes_nothing() {
        let well = Reachability::default();
        assert_eq!(well.answered(at(1), GRACE), well);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_an_edge_unreachable_until_the_old_time() {
        let away = Reachability::default().failed(at(10_000), GRACE);
        assert_eq!(away.failed(at(0), GRACE).unreachable_since, Some(at(0)));
    }
}
