use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits::published::LETS_ENCRYPT;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn host() -> Hostname {
    Hostname::parse("shop.example.com").unwrap()
}

fn charges(exemption: Exemption, first: bool) -> Vec<Charge> {
    let limits = CaLimits::published(LETS_ENCRYPT);
    Charge::for_order(&limits, LETS_ENCRYPT, &host(), exemption, first)
}

fn kinds(exemption: Exemption) -> Vec<LimitKind> {
    charges(exemption, true)
        .into_iter()
        .map(|charge| charge.kind)
        .collect()
}

fn index(charges: &[Charge], kind: LimitKind) -> usize {
    charges
        .iter()
        .position(|charge| charge.kind == kind)
        .unwrap()
}

fn emptied(charge: &Charge) -> Position {
    let bucket = Bucket::default().count(&charge.limit, NOW, charge.limit.burst);
    Position { bucket, slot: None }
}

#[test]
fn a_renewal_is_charged_only_what_the_ca_counts_for_it() {
    let gate = LimitKind::Requests(Endpoint::NewOrder);
    let named = [
        LimitKind::ConsecutiveFailures,
        LimitKind::ExactSet,
        LimitKind::FailedValidations,
    ];
    let all = [
        &named[..],
        &[LimitKind::NewOrders, gate, LimitKind::RegisteredDomain],
    ]
    .concat();
    let mut first = kinds(Exemption::None);
    first.sort_by_key(|kind| kind.as_str());
    let mut expected = all;
    expected.sort_by_key(|kind| kind.as_str());
    assert_eq!(first, expected);
    assert_eq!(kinds(Exemption::SameNames), [&named[..], &[gate]].concat());
    assert_eq!(kinds(Exemption::Replaces), [gate]);
}

#[test]
fn names_of_one_customer_share_the_bucket_of_their_registered_domain_and_a_private_suffix_is_its_own()
 {
    let key = |name: &str| {
        let host = Hostname::parse(name).unwrap();
        BucketKey::of_order(LimitKind::RegisteredDomain, LETS_ENCRYPT, &host)
    };
    assert_eq!(key("a.example.co.uk"), key("b.c.example.co.uk"));
    assert_ne!(key("one.github.io"), key("two.github.io"));
    assert_ne!(key("github.io"), key("one.github.io"));
    assert!(key("github.io").as_str().ends_with(" github.io"));
}

#[test]
fn every_token_is_taken_or_none() {
    let charges = charges(Exemption::None, true);
    let mut positions = vec![Position::default(); charges.len()];
    let Ruling::Granted(taken) = rule(&charges, &positions, NOW) else {
        panic!("full buckets grant")
    };
    for (charge, position) in charges.iter().zip(&taken) {
        assert_eq!(position.slot.is_some(), charge.held, "{}", charge.key);
    }
    let orders = index(&charges, LimitKind::NewOrders);
    positions[orders] = emptied(&charges[orders]);
    let Ruling::Queue { until, charge } = rule(&charges, &positions, NOW) else {
        panic!("an empty account bucket queues")
    };
    assert_eq!((until, charge), (NOW + 96 * SECOND, orders));
}

#[test]
fn an_empty_bucket_of_a_name_reserves_a_slot_and_takes_nothing_else() {
    let charges = charges(Exemption::None, true);
    let set = index(&charges, LimitKind::ExactSet);
    let mut positions = vec![Position::default(); charges.len()];
    positions[set] = emptied(&charges[set]);
    let Ruling::Wait {
        until,
        charge,
        positions: kept,
    } = rule(&charges, &positions, NOW)
    else {
        panic!("the name waits")
    };
    assert_eq!(charge, set);
    assert_eq!(kept[set].slot, Some(until));
    let others = (0..charges.len()).filter(|index| *index != set);
    assert!(
        others
            .into_iter()
            .all(|index| kept[index] == positions[index])
    );
    let again = rule(&charges, &kept, NOW + SECOND);
    assert!(
        matches!(&again, Ruling::Wait { until: same, positions: same_positions, .. }
            if *same == until && *same_positions == kept),
        "another request reserves no second slot: {again:?}"
    );
    assert!(matches!(rule(&charges, &kept, until), Ruling::Granted(_)));
}

#[test]
fn a_held_token_is_not_paid_for_twice_by_a_step_that_runs_again() {
    let charges = charges(Exemption::SameNames, false);
    let positions = vec![Position::default(); charges.len()];
    let Ruling::Granted(first) = rule(&charges, &positions, NOW) else {
        panic!("granted")
    };
    assert_eq!(
        rule(&charges, &first, NOW + SECOND),
        Ruling::Granted(first.clone())
    );
}

#[test]
fn a_slot_that_is_used_long_after_its_time_is_exchanged_for_a_token_of_now() {
    let charge = Charge {
        key: BucketKey::of_account(LimitKind::ExactSet, LETS_ENCRYPT),
        kind: LimitKind::ExactSet,
        limit: Limit::per(2, 20 * SECOND).with_margin(SECOND),
        held: true,
        reserves: true,
    };
    let held = Position {
        bucket: Bucket::default().count(&charge.limit, NOW, 1),
        slot: Some(NOW),
    };
    // Another domain emptied the bucket meanwhile.
    let later = NOW + 10 * SECOND;
    let bucket = held.bucket.count(&charge.limit, later, 2);
    let position = Position { bucket, ..held };
    let ruling = rule(std::slice::from_ref(&charge), &[position], later);
    let Ruling::Wait {
        until, positions, ..
    } = ruling
    else {
        panic!("the token of then is gone: {ruling:?}")
    };
    assert!(until > later);
    assert_eq!(positions[0].slot, Some(until));
}

#[test]
fn a_block_holds_those_who_have_a_slot_already_and_those_without_a_limit() {
    let until = NOW + 3_600 * SECOND;
    for limit in [Limit::per(5, 50 * SECOND), Limit::NONE] {
        let mut charge = Charge::gate(LimitKind::ExactSet, LETS_ENCRYPT);
        (charge.limit, charge.held, charge.reserves) = (limit, true, true);
        let slot = (!limit.is_none()).then_some(NOW);
        let bucket = Bucket::default().block(&limit, until);
        let ruling = rule(&[charge], &[Position { bucket, slot }], NOW);
        assert!(
            matches!(ruling, Ruling::Wait { until: found, .. } if found == until),
            "{ruling:?}"
        );
    }
}

#[test]
fn what_an_outcome_does_to_a_held_token() {
    let limit = Limit::per(5, 50 * SECOND);
    let entry = |change| Entry {
        key: BucketKey::of_account(LimitKind::ExactSet, LETS_ENCRYPT),
        limit,
        change,
    };
    let held = Position {
        bucket: Bucket::default().count(&limit, NOW, 1),
        slot: Some(NOW),
    };
    let left = |change, position| {
        entry(change)
            .apply(position, NOW)
            .bucket
            .tokens(&limit, NOW)
    };
    assert_eq!(
        left(Change::Spend, held),
        4,
        "the held one is the spent one"
    );
    assert_eq!(left(Change::Confirm, held), 4);
    assert_eq!(left(Change::Release, held), 5);
    assert_eq!(left(Change::Reset, held), 5);
    let free = Position { slot: None, ..held };
    assert_eq!(left(Change::Spend, free), 3);
    assert_eq!(left(Change::Confirm, free), 4);
    assert_eq!(left(Change::Release, free), 4, "nothing is held");
    assert_eq!(left(Change::Refund, free), 5);
    assert_eq!(left(Change::Block(NOW + SECOND), held), 0);
    for change in [Change::Spend, Change::Confirm, Change::Release] {
        assert_eq!(entry(change).apply(held, NOW).slot, None);
    }
}

#[test]
fn nothing_is_booked_more_than_a_week_ahead() {
    let charge = registered_domain();
    let mut bucket = Bucket::default();
    let mut booked = 0;
    for _ in 0..1_000 {
        let position = Position { bucket, slot: None };
        match rule(std::slice::from_ref(&charge), &[position], NOW) {
            Ruling::Granted(after) => bucket = after[0].bucket,
            Ruling::Wait {
                until, positions, ..
            } => {
                assert!(until <= NOW + RESERVED_AHEAD);
                booked += usize::from(positions[0].slot.is_some());
                bucket = positions[0].bucket;
            }
            Ruling::Queue { .. } => panic!("slots are kept of it"),
        }
    }
    assert!((1..=50).contains(&booked), "{booked}");
    assert!(bucket.full_at <= NOW + 2 * RESERVED_AHEAD + charge.limit.margin);
}

fn registered_domain() -> Charge {
    let charges = charges(Exemption::None, true);
    let index = index(&charges, LimitKind::RegisteredDomain);
    charges[index].clone()
}

/// A move of a domain, with the time since the one before.
#[derive(Debug, Clone, Copy)]
enum Move {
    Order,
    Issued,
    Failed,
    Removed,
}

fn moves() -> impl Strategy<Value = Vec<(u64, usize, Move)>> {
    let gap = prop_oneof![6 => Just(0), 4 => 0_u64..40_000, 1 => 0_u64..900_000];
    let what = prop_oneof![
        5 => Just(Move::Order),
        2 => Just(Move::Issued),
        1 => Just(Move::Failed),
        2 => Just(Move::Removed),
    ];
    prop::collection::vec((gap, 0_usize..24, what), 1..600)
}

proptest! {
    #[test]
    fn once_all_domains_are_gone_a_bucket_remembers_what_was_issued_and_no_more(moves in moves(), burst in 2_u32..60) {
        let interval = Duration::from_secs(12_096);
        let limit = Limit::bursting(burst, 1, interval).with_margin(Duration::from_secs(300));
        let charge = Charge { limit, ..registered_domain() };
        let entry = |change| Entry { key: charge.key.clone(), limit, change };
        let mut domains = [(None, false); 24];
        let (mut now, mut bucket, mut issued) = (NOW, Bucket::default(), 0_u32);
        for (gap, domain, what) in moves {
            now = now + Duration::from_secs(gap);
            let (slot, ordered) = &mut domains[domain];
            let position = Position { bucket, slot: *slot };
            let after = match what {
                Move::Order => match rule(std::slice::from_ref(&charge), &[position], now) {
                    Ruling::Granted(after) => {
                        *ordered = true;
                        after[0]
                    }
                    Ruling::Wait { positions, .. } => positions[0],
                    Ruling::Queue { .. } => position,
                },
                Move::Issued if *ordered => {
                    *ordered = false;
                    issued += 1;
                    entry(Change::Confirm).apply(position, now)
                }
                Move::Issued => position,
                Move::Failed | Move::Removed => {
                    *ordered = false;
                    entry(Change::Release).apply(position, now)
                }
            };
            (bucket, *slot) = (after.bucket, after.slot);
        }
        for (slot, _) in domains {
            bucket = entry(Change::Release).apply(Position { bucket, slot }, now).bucket;
        }
        let latest = now + interval * issued + limit.margin;
        prop_assert!(bucket.full_at <= latest, "{} > {latest} with {issued} issued", bucket.full_at);
    }
}
