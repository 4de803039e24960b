//! The real service against random sequences of crashes, lost messages, clock jumps and customers'
//! whims, in virtual time.
//!
//! A run prints its seed; `DPS_DRILL_SEED` repeats it, `DPS_DRILL_CASES` sets how many sequences
//! are tried. A shrunk failure is kept below as a named test.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use dps_application::{FleetPolicy, LanePolicy, Policy};
use dps_simulation::drill::{Operation, Size, drill};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use Operation::{
    Add, Advance, Clock, Crash, Down, DropRequest, DropResponse, Leave, Point, Remove, Repeat,
    RestartEdge, Retry, Revoke, Start, Up,
};

const SIZE: Size = Size {
    domains: (3, 6),
    replicas: 2,
};

/// As a small installation sets it; replicas wake each other, so they poll rarely.
pub(crate) fn policy() -> Policy {
    let small = |lane: LanePolicy, concurrency| LanePolicy {
        max_backoff: Duration::from_secs(3600),
        concurrency,
        ..lane
    };
    let defaults = Policy::default();
    Policy {
        verification: small(defaults.verification, 8),
        http_probe: small(defaults.http_probe, 8),
        issuance: small(defaults.issuance, 4),
        renewal: small(defaults.renewal, 4),
        recheck: small(defaults.recheck, 8),
        removal: small(defaults.removal, 4),
        poll_interval: Duration::from_secs(300),
        fleet: FleetPolicy {
            check_interval: Duration::from_secs(300),
            ..defaults.fleet
        },
        ..defaults
    }
}

fn played(operations: &[Operation]) -> Result<(), String> {
    drill(1, &policy(), SIZE, operations)
}

fn operation() -> impl Strategy<Value = Operation> {
    let seconds = prop_oneof![
        6 => 0u32..5,
        4 => 5u32..300,
        2 => 300u32..7_200,
        1 => 7_200u32..200_000,
    ];
    let jump = prop_oneof![-3_600..3_600, Just(24 * 3_600), Just(-3_600)];
    prop_oneof![
        12 => seconds.prop_map(Advance),
        1 => Just(Add),
        3 => any::<u8>().prop_map(Crash),
        3 => any::<u8>().prop_map(Start),
        2 => any::<u8>().prop_map(DropRequest),
        4 => any::<u8>().prop_map(DropResponse),
        1 => any::<u8>().prop_map(Down),
        2 => any::<u8>().prop_map(Up),
        1 => any::<u8>().prop_map(RestartEdge),
        1 => (any::<u8>(), jump).prop_map(|(replica, seconds)| Clock(replica, seconds)),
        1 => any::<u8>().prop_map(Repeat),
        1 => any::<u8>().prop_map(Point),
        1 => any::<u8>().prop_map(Leave),
        1 => any::<u8>().prop_map(Remove),
        1 => any::<u8>().prop_map(Retry),
        1 => Just(Revoke),
    ]
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_every_domain_that_points_at_us_is_served_in_the_end_and_nothing_is_ordered_twice()
 {
    let seed: u64 = from_environment("DPS_DRILL_SEED")
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let cases = from_environment("DPS_DRILL_CASES").unwrap_or(12);
    println!("DPS_DRILL_SEED={seed} DPS_DRILL_CASES={cases}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let sequences = proptest::collection::vec(operation(), 1..60);
    let result = runner.run(&sequences, |operations| {
        played(&operations).map_err(TestCaseError::fail)
    });
    if let Err(failure) = result {
        panic!("DPS_DRILL_SEED={seed}: {failure}");
    }
}

#[test]
fn nothing_happens_and_everybody_is_served() {
    played(&[]).unwrap();
}

/// The Cabinet refused to hear why a removal takes time, each time anew.
#[test]
fn a_removal_that_an_edge_delays_is_reported_to_the_cabinet() {
    played(&[Remove(0), RestartEdge(0)]).unwrap();
}

/// Reports that had waited before a removal were sent after it, under the version of the removal.
#[test]
fn what_waits_for_the_cabinet_is_dropped_when_the_domain_is_removed() {
    let operations = [
        Down(4),
        Advance(1),
        Down(1),
        Down(2),
        Remove(0),
        Advance(62),
    ];
    played(&operations).unwrap();
}

/// An edge that is down is skipped by the HTTP probe. The CA met it every few minutes, more
/// often than it lets validations fail.
#[test]
fn an_edge_that_is_down_costs_no_more_failed_validations_than_the_ca_allows() {
    let operations = [
        Crash(71),
        Advance(0),
        DropRequest(0),
        Advance(0),
        Down(18),
        Clock(74, -61),
        Advance(1207),
    ];
    played(&operations).unwrap();
}

#[test]
fn a_sequence_plays_the_same_twice() {
    let operations = [
        Advance(2),
        Crash(0),
        DropResponse(0),
        Advance(300),
        Start(0),
        Remove(1),
        Advance(60),
    ];
    assert_eq!(played(&operations), played(&operations));
}
