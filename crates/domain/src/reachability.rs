//! How an edge has been answering: one that is away holds up nobody for longer than its grace.

use std::time::Duration;

use crate::Timestamp;

/// What all replicas know together of whether an edge does what it is asked.
///
/// An edge that fails is waited for until its grace is over; then it is absent, and work goes on without it. Once it answers again it
/// is on probation: it is asked like any other, and the first failure makes it absent at once, since its health was said to be good before and
/// it failed all the same. Only a certificate that it presented, or a probation as long as the grace, clears it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reachability {
    /// When it first failed; `None` while all is well.
    pub unreachable_since: Option<Timestamp>,
    /// When it answered again after that.
    pub answered_again_at: Option<Timestamp>,
}

impl Reachability {
    /// It did not do what it was asked at `now`.
    #[must_use]
    pub fn failed(self, now: Timestamp, grace: Duration) -> Self {
        let over = |at: Timestamp| now.since(at) > grace;
        let since = match self.answered_again_at {
            Some(at) if over(at) => None,
            _ => self.unreachable_since,
        };
        Self {
            // A clock that is set back must not make it absent for longer than it was.
            unreachable_since: Some(since.map_or(now, |since| since.min(now))),
            answered_again_at: None,
        }
    }

    /// It says that it is well.
    #[must_use]
    pub fn answered(self, now: Timestamp) -> Self {
        Self {
            answered_again_at: self
                .unreachable_since
                .map(|_| self.answered_again_at.unwrap_or(now)),
            ..self
        }
    }

    /// Whether it is asked, and waited for.
    pub fn is_live(self, now: Timestamp, grace: Duration) -> bool {
        self.absent_from(grace).is_none_or(|from| now < from)
    }

    /// Whether it failed and has not answered since.
    pub const fn is_silent(self) -> bool {
        self.unreachable_since.is_some() && self.answered_again_at.is_none()
    }

    /// From when on work goes on without it; `None` while it answers.
    pub fn absent_from(self, grace: Duration) -> Option<Timestamp> {
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
        assert_eq!(away.absent_from(GRACE), Some(at(120)));
        assert!(!away.is_live(at(120), GRACE));
        assert_eq!(
            away.failed(at(60), GRACE),
            away,
            "failing again does not extend the grace"
        );
    }

    #[test]
    fn an_edge_that_says_it_is_well_and_fails_again_is_absent_at_once() {
        let away = Reachability::default().failed(at(0), GRACE);
        let back = away.answered(at(500));
        assert!(back.is_live(at(500), GRACE));
        assert_eq!(
            back.answered(at(510)),
            back,
            "probation begins with the first answer"
        );
        assert!(!back.failed(at(560), GRACE).is_live(at(560), GRACE));
    }

    #[test]
    fn an_edge_that_was_well_for_longer_than_the_grace_has_a_new_one() {
        let back = Reachability::default().failed(at(0), GRACE).answered(at(500));
        let again = back.failed(at(621), GRACE);
        assert!(again.is_live(at(621), GRACE));
        assert_eq!(again.unreachable_since, Some(at(621)));
    }

    #[test]
    fn an_answer_of_an_edge_that_never_failed_changes_nothing() {
        assert_eq!(Reachability::default().answered(at(1)), Reachability::default());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_an_edge_absent_until_the_old_time() {
        let away = Reachability::default().failed(at(10_000), GRACE);
        assert_eq!(away.failed(at(0), GRACE).unreachable_since, Some(at(0)));
    }
}
