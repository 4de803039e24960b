//! The service in virtual time while one party is away for a share of what is left of a
//! certificate.
//!
//! Each outage begins at the worst moment, when the renewal is about to begin.

use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::renewal::renewal_deadline;
use dps_host::HumanDuration;
use dps_simulation::scenario::{Outages, Scenario};
use dps_simulation::{Outcome, run};

use super::random_operations::policy;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

const LIFETIMES: [Duration; 7] = [
    Duration::from_secs(10 * 60),
    HOUR,
    Duration::from_secs(12 * 3_600),
    DAY,
    Duration::from_secs(160 * 3_600),
    Duration::from_secs(45 * 24 * 3_600),
    Duration::from_secs(90 * 24 * 3_600),
];

/// The behaviour of a party during its outage.
type Away = fn(&mut Scenario, Outages);

/// Plays an outage that takes `share` of the life that is left when renewals begin.
fn play(lifetime: Duration, share: f64, away: Away) -> Outcome {
    let start = Timestamp::EPOCH;
    let begins = renewal_deadline(start, start + lifetime)
        .since(start)
        .saturating_sub(lifetime / 50);
    // A little longer than the first certificates last, and nothing before them.
    let days = (lifetime + lifetime / 50).as_secs().div_ceil(DAY.as_secs());
    let first_at = (DAY * u32::try_from(days).unwrap()).saturating_sub(lifetime * 2);
    let outages = Outages {
        at: vec![HumanDuration::from(first_at + begins)],
        each_lasts: HumanDuration::from(lifetime.saturating_sub(begins).mul_f64(share)),
    };
    let mut scenario = Scenario {
        title: format!("{} for {share}", HumanDuration::from(lifetime)),
        domains: 3,
        days: u32::try_from(days).unwrap(),
        ..Scenario::default()
    };
    scenario.arrivals.first_at = HumanDuration::from(first_at);
    scenario.arrivals.each_lasts = HumanDuration::from(MINUTE);
    scenario.ca.lifetime = HumanDuration::from(lifetime);
    // A CA with such certificates has other limits, and no more to say about them than their dates.
    scenario.ca.limits_lifted = true;
    scenario.renewal_info.offered = false;
    away(&mut scenario, outages);
    scenario.check().unwrap();
    let mut policy = policy();
    policy.issuance.max_backoff = 6 * HOUR;
    // Only the one replica makes work due, so polls are rare in a long life.
    let rare = (lifetime / 2_000).clamp(5 * SECOND, HOUR);
    (policy.poll_interval, policy.fleet.check_interval) = (rare, rare);
    policy.fleet.find_interval = rare;
    run(&scenario, 1, policy, &mut |_| {}).unwrap()
}

fn none_expires(away: Away) {
    for lifetime in LIFETIMES {
        for share in [0.1, 1.0 / 3.0, 0.5] {
            let outcome = play(lifetime, share, away);
            assert!(outcome.is_good(), "{}", outcome.to_text());
        }
    }
}

#[test]
fn no_certificate_expires_while_it_is_served_when_the_ca_was_down() {
    none_expires(|scenario, outages| scenario.ca.outages = outages);
}

#[test]
fn no_certificate_expires_while_it_is_served_when_the_resolvers_were_down() {
    none_expires(|scenario, outages| scenario.resolvers.outages = outages);
}

#[test]
fn no_certificate_expires_while_it_is_served_when_all_edges_were_unreachable() {
    none_expires(|scenario, outages| scenario.edges.fleet_outages = outages);
}

#[test]
fn no_certificate_expires_while_it_is_served_when_one_edge_was_unreachable() {
    none_expires(|scenario, outages| scenario.edges.outages = outages);
}

#[test]
fn no_certificate_expires_while_it_is_served_when_the_cabinet_was_down() {
    none_expires(|scenario, outages| scenario.cabinet.outages = outages);
}

/// The sweep would be worth nothing if it could not see an expiry.
#[test]
fn an_outage_that_outlasts_the_certificate_is_seen() {
    let outcome = play(12 * HOUR, 1.1, |scenario, outages| {
        scenario.ca.outages = outages;
    });
    let expired = &outcome.verdicts[0];
    assert!(!expired.holds, "{}", outcome.to_text());
}
