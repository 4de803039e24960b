//! Checks of a scenario's moments, spans and concurrency.

use std::time::Duration;

use dps_host::HumanDuration;

use super::{Outages, Scenario, ScenarioError};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// As long as the longest run.
const EVER: Duration = Duration::from_secs(3_660 * 24 * 3_600);

/// Refuses values that would make a run endless or have another effect than they say. The error
/// names the key and the values that are allowed.
pub(super) fn check(scenario: &Scenario) -> Result<(), ScenarioError> {
    let Scenario {
        arrivals,
        customers,
        ca,
        renewal_info,
        revocation,
        edges,
        cabinet,
        resolvers,
        replicas,
        workers,
        ..
    } = scenario;
    let zero = Duration::ZERO;
    within("Arrivals:FirstAt", arrivals.first_at, zero..=EVER)?;
    within("Arrivals:Every", arrivals.every, zero..=EVER)?;
    within("Arrivals:EachLasts", arrivals.each_lasts, zero..=366 * DAY)?;
    within("Customers:DnsWithin", customers.dns_within, zero..=EVER)?;
    within("Customers:LeaveFrom", customers.leave_from, zero..=EVER)?;
    within("Customers:LeaveOver", customers.leave_over, zero..=EVER)?;
    within("Customers:ReturnAfter", customers.return_after, zero..=EVER)?;
    within(
        "Customers:ContestedFrom",
        customers.contested_from,
        zero..=EVER,
    )?;
    within(
        "Customers:ContestedOver",
        customers.contested_over,
        zero..=EVER,
    )?;
    within("Ca:AnswersAfter", ca.answers_after, zero..=MINUTE)?;
    within("Ca:ValidatesAfter", ca.validates_after, zero..=HOUR)?;
    within("Ca:IssuesAfter", ca.issues_after, zero..=HOUR)?;
    within(
        "RenewalInfo:AskAgainAfter",
        renewal_info.ask_again_after,
        zero..=EVER,
    )?;
    within("Revocation:VoidAfter", revocation.void_after, HOUR..=EVER)?;
    within("Edges:AnswersAfter", edges.answers_after, zero..=MINUTE)?;
    within("Cabinet:AnswersAfter", cabinet.answers_after, zero..=MINUTE)?;
    within(
        "Resolvers:AnswersAfter",
        resolvers.answers_after,
        zero..=MINUTE,
    )?;
    if customers.contested > 0.0 && customers.contested_from.get() < arrivals.end() {
        let end = HumanDuration::from(arrivals.end());
        let what = format!(
            "is {}, but domains arrive until {end}",
            customers.contested_from
        );
        return Err(wrong("Customers:ContestedFrom", what));
    }
    for at in revocation.at.iter().chain(&replicas.crashes_at) {
        within("Revocation:At or Replicas:CrashesAt", *at, zero..=EVER)?;
    }
    for (key, interval) in [
        ("Workers:RecheckInterval", workers.recheck_interval),
        ("Workers:ResyncInterval", workers.resync_interval),
    ] {
        interval.map_or(Ok(()), |interval| within(key, interval, MINUTE..=EVER))?;
    }
    for (key, number) in [
        (
            "Workers:AcmeIssuanceConcurrency",
            workers.acme_issuance_concurrency,
        ),
        ("Workers:RenewalConcurrency", workers.renewal_concurrency),
        ("Workers:RecheckConcurrency", workers.recheck_concurrency),
    ] {
        if number.is_some_and(|number| !(1..=4_096).contains(&number)) {
            return Err(wrong(key, "must be from 1 to 4096".to_owned()));
        }
    }
    apart("Workers:RenewalFreeze:At", &workers.renewal_freeze, 1)?;
    let freeze = workers.freeze();
    freeze.map_err(|fault| wrong("Workers:RenewalFreeze", fault.to_string()))?;
    apart("Ca:Outages:At", &ca.outages, 1)?;
    apart("RenewalInfo:Throttled:At", &renewal_info.throttled, 1)?;
    apart("Edges:Outages:At", &edges.outages, 1)?;
    apart("Edges:FleetOutages:At", &edges.fleet_outages, 1)?;
    apart("Edges:Restarts:At", &edges.restarts, edges.count)?;
    apart("Cabinet:Outages:At", &cabinet.outages, 1)?;
    apart("Resolvers:Outages:At", &resolvers.outages, 1)
}

fn wrong(key: &'static str, what: String) -> ScenarioError {
    ScenarioError::Value { key, what }
}

fn within(
    key: &'static str,
    span: HumanDuration,
    range: std::ops::RangeInclusive<Duration>,
) -> Result<(), ScenarioError> {
    if range.contains(&span.get()) {
        return Ok(());
    }
    let human = |duration: &Duration| HumanDuration::from(*duration);
    let (from, to) = (human(range.start()), human(range.end()));
    Err(wrong(
        key,
        format!("is {span}, but must be from {from} to {to}"),
    ))
}

/// Refuses outages that overlap, because the end of one would cut the next short. Each lasts
/// `parts` times its `EachLasts`.
fn apart(key: &'static str, outages: &Outages, parts: u32) -> Result<(), ScenarioError> {
    let mut begins: Vec<Duration> = outages.at.iter().map(|at| at.get()).collect();
    begins.sort_unstable();
    let lasts = outages.each_lasts.get().saturating_mul(parts);
    let overlap = begins
        .windows(2)
        .find(|pair| pair[1] < pair[0].saturating_add(lasts));
    let late = begins.last().filter(|last| **last > EVER || lasts > EVER);
    match (overlap, late) {
        (Some(pair), _) => {
            let [one, other] = [pair[0], pair[1]].map(HumanDuration::from);
            let lasts = HumanDuration::from(lasts);
            Err(wrong(
                key,
                format!(
                    "has {one} and {other}, but each lasts {lasts}: leave as much between them"
                ),
            ))
        }
        (None, Some(_)) => Err(wrong(
            key,
            "or its EachLasts is longer than the longest run, 3660d".to_owned(),
        )),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Scenario)) -> String {
        let mut scenario = Scenario::default();
        change(&mut scenario);
        scenario.check().unwrap_err().to_string()
    }

    #[test]
    fn what_would_make_a_run_endless_is_named_with_what_may_stand_there() {
        let hot = refusal(|scenario| {
            scenario.workers.recheck_interval = Some(HumanDuration::from_secs(0));
        });
        assert_eq!(
            hot,
            "Workers:RecheckInterval is 0s, but must be from 1m to 3660d"
        );
        let idle = refusal(|scenario| scenario.workers.renewal_concurrency = Some(0));
        assert_eq!(idle, "Workers:RenewalConcurrency must be from 1 to 4096");
        let many = refusal(|scenario| scenario.arrivals.each_lasts = HumanDuration::from(EVER));
        assert!(many.starts_with("Arrivals:EachLasts is"), "{many}");
    }

    #[test]
    fn a_second_claim_before_the_end_of_the_arrivals_is_refused() {
        let early = refusal(|scenario| {
            scenario.customers.contested = 0.5;
            scenario.customers.contested_from = HumanDuration::from_secs(3_600);
        });
        assert_eq!(
            early,
            "Customers:ContestedFrom is 1h, but domains arrive until 1d"
        );
    }

    #[test]
    fn an_outage_that_begins_within_another_is_refused() {
        let both = refusal(|scenario| {
            scenario.ca.outages.at = vec![HumanDuration::from(2 * HOUR), HumanDuration::from(HOUR)];
            scenario.ca.outages.each_lasts = HumanDuration::from(2 * HOUR);
        });
        assert_eq!(
            both,
            "Ca:Outages:At has 1h and 2h, but each lasts 2h: leave as much between them"
        );
    }

    #[test]
    fn the_scenarios_that_come_along_can_be_used() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenarios");
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            Scenario::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
