//! Whether the Cabinet is worth a call: its outage is found out once, not once per waiting
//! report.

use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::backoff::Backoff;

/// Between two probes of a Cabinet that is away.
const PROBES: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(30),
};
/// The longest that a Cabinet may ask to be left alone.
const LONGEST: Duration = Duration::from_secs(300);
/// So many calls failed one after the other: it is not about a single domain.
const IN_A_ROW: u32 = 16;

/// The state of the Cabinet by the last calls.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    away: Option<Away>,
    /// Calls that failed since the last that did not.
    failed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Timestamp,
    probes: u32,
    next_probe: Timestamp,
}

/// The calls that are allowed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// As much as there is.
    All,
    /// One call, to see.
    Probe,
    /// Nothing for so long.
    Wait(Duration),
}

/// The result of a batch of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing new.
    None,
    /// The Cabinet has gone away.
    WentAway,
    /// It is back after so long.
    CameBack(Duration),
}

impl Circuit {
    pub(crate) fn permit(&self, now: Timestamp) -> Permit {
        match self.away {
            None => Permit::All,
            Some(away) => {
                let wait = away.next_probe.since(now);
                // A clock that was set back must not stop our calls.
                if wait.is_zero() || wait > LONGEST {
                    Permit::Probe
                } else {
                    Permit::Wait(wait)
                }
            }
        }
    }

    /// The Cabinet answered at least one call of the batch.
    pub(crate) fn answered(&mut self, now: Timestamp) -> Change {
        self.failed = 0;
        match self.away.take() {
            Some(away) => Change::CameBack(now.since(away.since)),
            None => Change::None,
        }
    }

    /// No call of the batch was answered. `away` if one of them reached no server; `asked` is the
    /// pause that the Cabinet requested.
    pub(crate) fn failed(
        &mut self,
        (calls, away): (u32, bool),
        now: Timestamp,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Change {
        self.failed = self.failed.saturating_add(calls);
        let before = self.away;
        if !away && before.is_none() && self.failed < IN_A_ROW {
            return Change::None;
        }
        let probes = before.map_or(1, |away| away.probes.saturating_add(1));
        let pause = PROBES.delay(probes, jitter);
        let pause = asked.map_or(pause, |asked| asked.clamp(pause, LONGEST));
        self.away = Some(Away {
            since: before.map_or(now, |away| away.since),
            probes,
            next_probe: now + pause,
        });
        match before {
            Some(_) => Change::None,
            None => Change::WentAway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn one_call_that_finds_nobody_stops_the_others_and_probes_grow_rare() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.permit(NOW), Permit::All);
        assert_eq!(circuit.failed((16, true), NOW, None, 1.0), Change::WentAway);
        assert_eq!(circuit.permit(NOW), Permit::Wait(Duration::from_secs(1)));
        let (mut now, mut probes) = (NOW, 0);
        while now < NOW + Duration::from_secs(3 * 24 * 3600) {
            match circuit.permit(now) {
                Permit::Wait(wait) => now = now + wait,
                Permit::Probe => {
                    probes += 1;
                    assert_eq!(circuit.failed((1, true), now, None, 1.0), Change::None);
                }
                Permit::All => panic!("no call came back"),
            }
        }
        assert!(
            (8_600..8_700).contains(&probes),
            "about two a minute: {probes}"
        );
        assert_eq!(circuit.answered(now), Change::CameBack(now.since(NOW)));
        assert_eq!(circuit.permit(now), Permit::All);
    }

    #[test]
    fn a_report_that_fails_alone_stops_no_other_but_many_in_a_row_do() {
        let mut circuit = Circuit::default();
        for _ in 0..3 {
            assert_eq!(circuit.failed((10, false), NOW, None, 1.0), Change::None);
            assert_eq!(circuit.permit(NOW), Permit::All);
            circuit.answered(NOW);
        }
        circuit.failed((10, false), NOW, None, 1.0);
        assert_eq!(circuit.failed((6, false), NOW, None, 1.0), Change::WentAway);
    }

    #[test]
    fn a_cabinet_that_asks_for_time_gets_it_within_bounds_and_a_clock_set_back_stops_no_call() {
        let mut circuit = Circuit::default();
        circuit.failed((1, true), NOW, Some(Duration::from_secs(17)), 1.0);
        assert_eq!(circuit.permit(NOW), Permit::Wait(Duration::from_secs(17)));
        circuit.failed((1, true), NOW, Some(Duration::from_secs(9_999)), 1.0);
        assert_eq!(circuit.permit(NOW), Permit::Wait(LONGEST));
        assert_eq!(
            circuit.permit(NOW - Duration::from_secs(3600)),
            Permit::Probe
        );
    }
}
