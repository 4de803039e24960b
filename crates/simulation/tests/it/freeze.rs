//! A freeze of renewals, through the whole service in virtual time.

use std::time::Duration;

use dps_host::HumanDuration;
use dps_simulation::run;
use dps_simulation::scenario::{Outages, Scenario};

use super::random_operations::policy;

const DAY: u64 = 24 * 3_600;
/// When the freeze begins and ends, in days.
const FREEZE: (u64, u64) = (60, 80);

/// Domains whose certificates of 45 days are renewed evenly over time, through a freeze of 20 days.
fn scenario() -> Scenario {
    let mut scenario = Scenario {
        title: "A freeze".to_owned(),
        domains: 300,
        days: 105,
        ..Scenario::default()
    };
    scenario.arrivals.each_lasts = HumanDuration::from_secs(30 * DAY);
    scenario.customers.ready = 1.0;
    scenario.customers.never_ready = 0.0;
    scenario.customers.leave = 0.0;
    scenario.ca.lifetime = HumanDuration::from_secs(45 * DAY);
    scenario.renewal_info.offered = false;
    scenario.workers.renewal_freeze = Outages {
        at: vec![HumanDuration::from_secs(FREEZE.0 * DAY)],
        each_lasts: HumanDuration::from_secs((FREEZE.1 - FREEZE.0) * DAY),
    };
    scenario
}

#[test]
fn a_freeze_of_twenty_days_endangers_no_certificate_of_45_and_is_made_up_for_slowly() {
    let scenario = scenario();
    scenario.check().unwrap();
    let mut policy = policy();
    // Only the one replica makes work due, so polls are rare.
    (policy.poll_interval, policy.fleet.check_interval) =
        (Duration::from_secs(3_600), Duration::from_secs(3_600));
    let outcome = run(&scenario, 1, policy, &mut |_| {}).unwrap();
    assert!(outcome.is_good(), "{}", outcome.to_text());
    let soonest = outcome
        .samples
        .iter()
        .filter_map(|sample| sample.remaining_hours);
    let soonest = soonest.map(|hours| hours[0]).min().unwrap();
    assert!(
        soonest >= 45 * 24 / 10,
        "{soonest} hours: a renewal became urgent"
    );
    let orders = |from: u64, to: u64| {
        let days = from * DAY..to * DAY;
        let samples = outcome.samples.iter();
        let inside = samples.filter(|sample| days.contains(&sample.at.as_secs()));
        inside.map(|sample| sample.orders).sum::<u64>()
    };
    let usual = orders(FREEZE.0 - 30, FREEZE.0) / 30;
    assert!((8..=12).contains(&usual), "{usual} orders a day");
    assert_eq!(
        orders(FREEZE.0 + 1, FREEZE.0 + 10),
        0,
        "nothing is urgent yet"
    );
    // From then on, those begin that would be urgent before the end of the freeze.
    let inside = orders(FREEZE.0 + 11, FREEZE.1);
    assert!(inside <= usual * 10, "{inside} orders in the freeze");
    // The delayed renewals come on top of the usual work, at twice its pace.
    let daily = (FREEZE.1..FREEZE.1 + 20).map(|day| orders(day, day + 1));
    let busiest = daily.max().unwrap();
    assert!(
        (usual * 2..=usual * 4).contains(&busiest),
        "{busiest} orders in a day"
    );
}
