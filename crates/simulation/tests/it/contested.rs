//! Names that two tenants claim, through the whole service in virtual time.

use std::time::Duration;

use dps_application::Policy;
use dps_domain::ownership::RequireProof;
use dps_host::HumanDuration;
use dps_simulation::outcome::Verdict;
use dps_simulation::scenario::Scenario;
use dps_simulation::{Outcome, run};

const DAY: u64 = 24 * 3_600;

const AUTHORIZED: &str =
    "no name is ordered or served for a tenant that its DNS does not authorize";
const ROWS: &str = "rows per domain stay within a bound in every table";
const SERVED: &str = "every owner of a contested name is served in the end";

/// Every name is claimed by two tenants.
fn contested(domains: u32) -> Scenario {
    let mut scenario = Scenario {
        domains,
        days: 90,
        tenants: 7,
        ..Scenario::default()
    };
    scenario.customers.ready = 0.8;
    // Some are claimed a second time before the first claim is served.
    scenario.customers.dns_within = HumanDuration::from_secs(6 * DAY);
    scenario.customers.contested = 1.0;
    scenario.customers.contested_from = HumanDuration::from_secs(2 * DAY);
    scenario.customers.contested_over = HumanDuration::from_secs(40 * DAY);
    scenario.ca.lifetime = HumanDuration::from_secs(45 * DAY);
    scenario.renewal_info.ask_again_after = HumanDuration::from_secs(DAY);
    scenario
}

fn play(scenario: &Scenario, require: RequireProof) -> Outcome {
    let mut policy = Policy::default();
    policy.ownership.require = require;
    // Only the one replica makes work due, so polls are rare.
    policy.poll_interval = Duration::from_secs(600);
    policy.fleet.check_interval = Duration::from_secs(3_600);
    policy.fleet.find_interval = Duration::from_secs(3_600);
    run(scenario, 1, policy, &mut |_| {}).unwrap()
}

fn verdict<'a>(outcome: &'a Outcome, rule: &str) -> &'a Verdict {
    let mut verdicts = outcome.verdicts.iter();
    verdicts.find(|verdict| verdict.rule == rule).unwrap()
}

#[test]
fn a_contested_name_is_served_for_the_tenant_that_its_dns_names_and_for_no_other() {
    for require in [RequireProof::WhenContested, RequireProof::Always] {
        let outcome = play(&contested(60), require);
        for rule in [AUTHORIZED, SERVED] {
            assert!(verdict(&outcome, rule).holds, "{}", outcome.to_text());
        }
        // Claims that wait for a proof have longer histories than a fleet at rest.
        let mut others = outcome.verdicts.iter().filter(|one| one.rule != ROWS);
        assert!(others.all(|one| one.holds), "{}", outcome.to_text());
    }
}

/// A service that asks for no proof serves squatters, and the verdicts say so.
#[test]
fn a_service_that_requires_no_proof_is_found_out() {
    let outcome = play(&contested(60), RequireProof::Never);
    for rule in [AUTHORIZED, SERVED] {
        assert!(!verdict(&outcome, rule).holds, "{}", outcome.to_text());
    }
}
