//! Circuit breaker for calls to the Cabinet: an outage is detected once, not once per report.

use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::backoff::Backoff;

/// Pause between two probes of an unreachable Cabinet.
const PROBES: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(30),
};
/// Longest `Retry-After` that is honoured.
const LONGEST: Duration = Duration::from_secs(300);
/// Consecutive failures after which the fault is not that of a single domain.
const IN_A_ROW: u32 = 16;

/// State of the breaker after the last calls.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    /// `Some` while the Cabinet is unreachable.
    open: Option<Open>,
    /// Consecutive failed calls.
    failed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Timestamp,
    probes: u32,
    next_probe: Timestamp,
}

/// The calls that are allowed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Any number of calls.
    All,
    /// One call, which shows whether the Cabinet is reachable again.
    Probe,
    /// No call for this time.
    Wait(Duration),
}

/// Change of the breaker's state by a batch of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// No change.
    None,
    /// The Cabinet has become unreachable.
    Opened,
    /// The Cabinet is reachable again, after this time.
    Closed(Duration),
}

impl Circuit {
    pub(crate) fn permit(&self, now: Timestamp) -> Permit {
        match self.open {
            None => Permit::All,
            Some(open) => {
                let wait = open.next_probe.since(now);
                // A clock that was set back must not stop the reports.
                if wait.is_zero() || wait > LONGEST {
                    Permit::Probe
                } else {
                    Permit::Wait(wait)
                }
            }
        }
    }

    /// Closes the breaker: the Cabinet answered at least one call of the batch.
    pub(crate) fn answered(&mut self, now: Timestamp) -> Change {
        self.failed = 0;
        match self.open.take() {
            Some(open) => Change::Closed(now.since(open.since)),
            None => Change::None,
        }
    }

    /// Counts `calls` that failed. `is_unreachable` opens the breaker at once; `requested` is the
    /// Cabinet's `Retry-After`.
    pub(crate) fn failed(
        &mut self,
        calls: u32,
        is_unreachable: bool,
        now: Timestamp,
        requested: Option<Duration>,
        jitter: f64,
    ) -> Change {
        self.failed = self.failed.saturating_add(calls);
        let before = self.open;
        if !is_unreachable && before.is_none() && self.failed < IN_A_ROW {
            return Change::None;
        }
        let probes = before.map_or(1, |open| open.probes.saturating_add(1));
        let pause = PROBES.delay(probes, jitter);
        let pause = requested.map_or(pause, |requested| requested.clamp(pause, LONGEST));
        self.open = Some(Open {
            since: before.map_or(now, |open| open.since),
            probes,
            next_probe: now + pause,
        });
        match before {
            Some(_) => Change::None,
            None => Change::Opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn one_unreachable_call_opens_the_breaker_and_probes_grow_rare() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.permit(NOW), Permit::All);
        assert_eq!(circuit.failed(16, true, NOW, None, 1.0), Change::Opened);
        assert_eq!(circuit.permit(NOW), Permit::Wait(Duration::from_secs(1)));
        let (mut now, mut probes) = (NOW, 0);
        while now < NOW + Duration::from_secs(3 * 24 * 3600) {
            match circuit.permit(now) {
                Permit::Wait(wait) => now = now + wait,
                Permit::Probe => {
                    probes += 1;
                    assert_eq!(circuit.failed(1, true, now, None, 1.0), Change::None);
                }
                Permit::All => panic!("the Cabinet stayed unreachable"),
            }
        }
        assert!(
            (8_600..8_700).contains(&probes),
            "about two a minute: {probes}"
        );
        assert_eq!(circuit.answered(now), Change::Closed(now.since(NOW)));
        assert_eq!(circuit.permit(now), Permit::All);
    }

    #[test]
    fn only_many_consecutive_refusals_open_the_breaker() {
        let mut circuit = Circuit::default();
        for _ in 0..3 {
            assert_eq!(circuit.failed(10, false, NOW, None, 1.0), Change::None);
            assert_eq!(circuit.permit(NOW), Permit::All);
            circuit.answered(NOW);
        }
        circuit.failed(10, false, NOW, None, 1.0);
        assert_eq!(circuit.failed(6, false, NOW, None, 1.0), Change::Opened);
    }

    #[test]
    fn retry_after_is_honoured_within_bounds_and_a_clock_set_back_only_probes() {
        let mut circuit = Circuit::default();
        circuit.failed(1, true, NOW, Some(Duration::from_secs(17)), 1.0);
        assert_eq!(circuit.permit(NOW), Permit::Wait(Duration::from_secs(17)));
        circuit.failed(1, true, NOW, Some(Duration::from_secs(9_999)), 1.0);
        assert_eq!(circuit.permit(NOW), Permit::Wait(LONGEST));
        assert_eq!(
            circuit.permit(NOW - Duration::from_secs(3600)),
            Permit::Probe
        );
    }
}
