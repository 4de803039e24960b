//! The service's ledger of limits held against a CA that counts as Boulder does.
//!
//! The ledger decides when a request is sent; the CA sees it later, some requests later than
//! others. It must never refuse one that the ledger let through, and the ledger must let through
//! nearly all that the CA would have taken.
//!
//! The file is long because its five properties play with one desk of ledger and CA.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_domain::limits::{
    Bucket, BucketKey, CaLimits, Change, Charge, Entry, Exemption, Limit, LimitKind, Position,
    Ruling, published, rule,
};
use dps_domain::{Hostname, Timestamp};
use dps_simulation::models::ca_limits::{CaCounters, Rate, Rates, Refusal};
use proptest::prelude::*;

const START: u64 = 1_800_000_000_000_000;
const CA: &str = published::LETS_ENCRYPT;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_unix_micros(micros.cast_signed())
}

const fn clock(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Requests of one account for orders, one limit alone: when each is offered, and how long it takes
/// to the CA.
#[derive(Debug, Clone)]
struct Stream {
    burst: u32,
    interval: Duration,
    margin: Duration,
    requests: Vec<(Duration, Duration)>,
}

fn one_limit() -> impl Strategy<Value = Stream> {
    let sizes = (1u32..400, 1_000u64..10_000_000_000);
    sizes.prop_flat_map(|(burst, micros)| {
        let interval = Duration::from_micros(micros);
        let margin = (interval * burst / 60).min(interval * (burst - 1));
        let gap = prop_oneof![
            6 => Just(0.0),
            4 => 0.0f64..2.0,
            1 => 0.0..3.0 * f64::from(burst),
        ];
        let request = (gap, 0.0f64..=1.0);
        prop::collection::vec(request, 1..4_000).prop_map(move |requests| Stream {
            burst,
            interval,
            margin,
            requests: requests
                .into_iter()
                .map(|(gap, delay)| (interval.mul_f64(gap), margin.mul_f64(delay)))
                .collect(),
        })
    })
}

fn only_orders(rate: Rate) -> Rates {
    let plenty = Rate::per(1_000_000, Duration::from_secs(1));
    Rates {
        new_accounts: plenty,
        new_orders: rate,
        certificates_per_domain: plenty,
        certificates_per_set: plenty,
        failed_validations: plenty,
        consecutive_failures: plenty,
    }
}

/// How many orders the CA takes of those that arrive, and whether it refused one.
fn arrive(rate: Rate, mut arrivals: Vec<Duration>) -> (usize, usize) {
    arrivals.sort_unstable();
    let mut ca = CaCounters::new(only_orders(rate));
    let taken = arrivals
        .iter()
        .filter(|now| {
            ca.new_order(**now, "account", "www.example.com", false)
                .is_ok()
        })
        .count();
    (taken, arrivals.len() - taken)
}

/// The orders of a stream, at the CA and in the ledger.
struct Compared {
    taken_without: usize,
    taken_with: usize,
    refused_with: usize,
    /// Times between two moments at which the bucket was full, in which it refused something.
    used_up: usize,
}

/// Plays a stream without the ledger and with it.
fn compare(stream: &Stream) -> Compared {
    let rate = Rate {
        burst: stream.burst,
        count: 1,
        period: stream.interval,
    };
    let limit = Limit::bursting(stream.burst, 1, stream.interval).with_margin(stream.margin);
    let (mut now, mut bucket) = (START, Bucket::default());
    let (mut offered, mut sent) = (Vec::new(), Vec::new());
    let (mut used_up, mut has_refused) = (0, false);
    for (gap, delay) in &stream.requests {
        now += u64::try_from(gap.as_micros()).unwrap();
        let arrival = clock(now) + *delay;
        offered.push(arrival);
        has_refused &= bucket.full_at > at(now);
        if let Ok(left) = bucket.spend(&limit, at(now), 1) {
            bucket = left;
            sent.push(arrival);
        } else if !has_refused {
            has_refused = true;
            used_up += 1;
        }
    }
    let (taken_without, _) = arrive(rate, offered);
    let (taken_with, refused_with) = arrive(rate, sent);
    Compared {
        taken_without,
        taken_with,
        refused_with,
        used_up,
    }
}

/// Orders for names of a few customers under all limits at once.
#[derive(Debug, Clone)]
struct Order {
    gap: Duration,
    name: usize,
    to_ca: Duration,
    to_outcome: Duration,
    fails: bool,
}

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let gap = prop_oneof![
        200 => Just(0u64),
        200 => 0u64..6_000_000,
        4 => 0u64..900_000_000,
        1 => 0u64..12_000_000_000,
    ];
    let order = (
        gap,
        0usize..1_200,
        0u64..30_000_000,
        0u64..29_000_000,
        prop::bool::weighted(0.3),
    );
    let order = order.prop_map(|(gap, name, to_ca, to_outcome, fails)| Order {
        gap: Duration::from_micros(gap),
        name,
        to_ca: Duration::from_micros(to_ca),
        to_outcome: Duration::from_micros(to_outcome),
        // One customer's DNS is wrong for good.
        fails: fails || name % 12 == 0,
    });
    prop::collection::vec(order, 1..3_000)
}

/// Twelve customers with a hundred names each, so that every limit is met.
fn name(number: usize) -> Hostname {
    let (customer, host) = (number % 12, number / 12);
    // The later names of a customer are rare, the first come again and again.
    let host = host * host / 100;
    Hostname::parse(&format!("host-{host}.customer-{customer}.co.uk")).unwrap()
}

#[derive(Debug, Clone)]
enum Happening {
    Offered(Order),
    Arrived {
        name: Hostname,
        outcome_at: u64,
        fails: bool,
    },
    Ended {
        name: Hostname,
        fails: bool,
    },
}

/// The shared ledger as a store keeps it, for one domain per name.
struct Ledger {
    limits: CaLimits,
    buckets: BTreeMap<BucketKey, Bucket>,
    slots: BTreeMap<(Hostname, BucketKey), Timestamp>,
    issued: BTreeMap<Hostname, u64>,
    /// Tokens of each bucket that the CA has counted; 0 after a reset.
    counted: BTreeMap<BucketKey, u32>,
    latest: u64,
}

impl Ledger {
    fn new() -> Self {
        Self {
            limits: CaLimits::published(CA),
            buckets: BTreeMap::new(),
            slots: BTreeMap::new(),
            issued: BTreeMap::new(),
            counted: BTreeMap::new(),
            latest: START,
        }
    }

    fn position(&self, name: &Hostname, key: &BucketKey) -> Position {
        Position {
            bucket: self.buckets.get(key).copied().unwrap_or_default(),
            slot: self.slots.get(&(name.clone(), key.clone())).copied(),
        }
    }

    fn put(&mut self, name: &Hostname, key: &BucketKey, position: Position) {
        self.buckets.insert(key.clone(), position.bucket);
        let place = (name.clone(), key.clone());
        match position.slot {
            Some(slot) => self.slots.insert(place, slot),
            None => self.slots.remove(&place),
        };
    }

    /// Whether an order for the name may be placed now, and when else if a slot is kept for it.
    fn order(
        &mut self,
        name: &Hostname,
        now: u64,
        reserves: bool,
    ) -> Result<(), Option<Timestamp>> {
        let memory = 120 * 24 * 3_600 * 1_000_000;
        let exemption = match self.issued.get(name) {
            Some(then) if now - then < memory => Exemption::SameNames,
            _ => Exemption::None,
        };
        let mut charges = Charge::for_order(&self.limits, CA, name, exemption, true);
        if !reserves {
            for charge in &mut charges {
                charge.reserves = false;
            }
        }
        let positions: Vec<_> = charges
            .iter()
            .map(|charge| self.position(name, &charge.key))
            .collect();
        let (positions, verdict) = match rule(&charges, &positions, at(now)) {
            Ruling::Granted(positions) => (positions, Ok(())),
            Ruling::Wait {
                until, positions, ..
            } => (positions, Err(Some(until))),
            Ruling::Queue { .. } => return Err(None),
        };
        for (charge, position) in charges.iter().zip(positions) {
            self.put(name, &charge.key, position);
            if verdict.is_ok() && !charge.held {
                *self.counted.entry(charge.key.clone()).or_default() += 1;
            }
        }
        self.latest = self.latest.max(now);
        verdict
    }

    fn ended(&mut self, name: &Hostname, now: u64, fails: bool) {
        let changes = if fails {
            [
                (LimitKind::FailedValidations, Change::Spend),
                (LimitKind::ConsecutiveFailures, Change::Spend),
                (LimitKind::RegisteredDomain, Change::Release),
                (LimitKind::ExactSet, Change::Release),
            ]
        } else {
            self.issued.insert(name.clone(), now);
            [
                (LimitKind::FailedValidations, Change::Release),
                (LimitKind::ConsecutiveFailures, Change::Reset),
                (LimitKind::RegisteredDomain, Change::Confirm),
                (LimitKind::ExactSet, Change::Spend),
            ]
        };
        for (kind, change) in changes {
            let key = BucketKey::of_order(kind, CA, name);
            let limit = self.limits.get(kind);
            let before = self.position(name, &key);
            let entry = Entry { key, limit, change };
            let after = entry.apply(before, at(now));
            let counted = self.counted.entry(entry.key.clone()).or_default();
            match change {
                Change::Spend => *counted += 1,
                Change::Confirm if before.slot.is_some() => *counted += 1,
                Change::Reset => *counted = 0,
                _ => {}
            }
            self.put(name, &entry.key, after);
        }
        self.latest = self.latest.max(now);
    }

    /// Every domain is removed, whatever it waited for.
    fn all_are_removed(&mut self) {
        let now = at(self.latest);
        for ((name, key), slot) in std::mem::take(&mut self.slots) {
            let entry = Entry {
                limit: self.limits.of_bucket(&key),
                key,
                change: Change::Release,
            };
            let before = Position {
                bucket: self.position(&name, &entry.key).bucket,
                slot: Some(slot),
            };
            self.put(&name, &entry.key, entry.apply(before, now));
        }
    }
}

/// Happenings in the order of their time, those at the same moment in the order in which they were
/// planned.
#[derive(Default)]
struct Agenda(BTreeMap<(u64, usize), Happening>, usize);

impl Agenda {
    fn plan(&mut self, when: u64, happening: Happening) {
        self.1 += 1;
        self.0.insert((when, self.1), happening);
    }
}

/// Plays the orders, with the ledger in front of the CA or without; answers how many the CA took,
/// and what it refused.
fn play(
    orders: &[Order],
    mut ledger: Option<&mut Ledger>,
    reserves: bool,
) -> (usize, Vec<Refusal>) {
    let mut ca = CaCounters::new(Rates::LETS_ENCRYPT);
    let mut agenda = Agenda::default();
    let mut when = START;
    for order in orders {
        when += u64::try_from(order.gap.as_micros()).unwrap();
        agenda.plan(when, Happening::Offered(order.clone()));
    }
    let horizon = when + 3_600_000_000;
    let mut under_way = std::collections::BTreeSet::new();
    let (mut taken, mut refused) = (0, Vec::new());
    while let Some(((now, _), happening)) = agenda.0.pop_first() {
        match happening {
            Happening::Offered(order) => {
                let host = name(order.name);
                // One domain has one order at a time.
                if now > horizon || under_way.contains(&host) {
                    continue;
                }
                match ledger
                    .as_mut()
                    .map_or(Ok(()), |ledger| ledger.order(&host, now, reserves))
                {
                    Ok(()) => {
                        let arrival = now + u64::try_from(order.to_ca.as_micros()).unwrap();
                        let outcome_at =
                            arrival + u64::try_from(order.to_outcome.as_micros()).unwrap();
                        under_way.insert(host.clone());
                        let fails = order.fails;
                        agenda.plan(
                            arrival,
                            Happening::Arrived {
                                name: host,
                                outcome_at,
                                fails,
                            },
                        );
                    }
                    Err(Some(slot)) if reserves => {
                        let later = u64::try_from(slot.unix_micros()).unwrap();
                        agenda.plan(later, Happening::Offered(order));
                    }
                    Err(_) => {}
                }
            }
            Happening::Arrived {
                name,
                outcome_at,
                fails,
            } => match ca.new_order(clock(now), "account", name.as_str(), false) {
                Ok(()) => {
                    taken += 1;
                    agenda.plan(outcome_at, Happening::Ended { name, fails });
                }
                Err(refusal) => {
                    under_way.remove(&name);
                    refused.push(refusal);
                }
            },
            Happening::Ended { name, fails } => {
                under_way.remove(&name);
                if fails {
                    ca.validation_failed(clock(now), "account", name.as_str());
                } else {
                    ca.validated("account", name.as_str());
                    ca.issued(clock(now), name.as_str(), false);
                }
                if let Some(ledger) = &mut ledger {
                    ledger.ended(&name, now, fails);
                }
            }
        }
    }
    (taken, refused)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_bucket_lets_through_nothing_that_the_ca_refuses_and_nearly_all_that_it_takes(stream in one_limit()) {
        let Compared { taken_without, taken_with, refused_with, used_up } = compare(&stream);
        prop_assert_eq!(refused_with, 0);
        let wasted = taken_without.saturating_sub(taken_with);
        // The margin holds back a part of one token, each time that the bucket is used up.
        prop_assert!(wasted <= used_up + taken_without / 50, "{wasted} of {taken_without} wasted");
    }

    #[test]
    fn all_limits_of_lets_encrypt_at_once_let_through_nothing_that_it_refuses(orders in orders()) {
        let (_, refused) = play(&orders, Some(&mut Ledger::new()), false);
        prop_assert_eq!(refused, vec![]);
    }

    /// The CA counts a certificate when it is issued and lets through more meanwhile than its limit
    /// says; so here nothing takes time.
    #[test]
    fn all_limits_at_once_let_through_nearly_all_that_the_ca_takes(mut orders in orders()) {
        for order in &mut orders {
            (order.to_ca, order.to_outcome) = (Duration::ZERO, Duration::ZERO);
        }
        let (with, refused) = play(&orders, Some(&mut Ledger::new()), false);
        prop_assert_eq!(refused, vec![]);
        let (without, _) = play(&orders, None, false);
        let wasted = without.saturating_sub(with);
        prop_assert!(wasted <= 1 + without / 50, "{wasted} of {without} wasted");
    }

    #[test]
    fn domains_that_come_back_at_their_reserved_slots_are_never_refused(orders in orders()) {
        let (_, refused) = play(&orders, Some(&mut Ledger::new()), true);
        prop_assert_eq!(refused, vec![]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn once_all_domains_are_removed_nothing_is_booked_but_what_the_ca_counted(orders in orders()) {
        let mut ledger = Ledger::new();
        play(&orders, Some(&mut ledger), true);
        ledger.all_are_removed();
        for (key, bucket) in &ledger.buckets {
            let limit = ledger.limits.of_bucket(key);
            let counted = ledger.counted.get(key).copied().unwrap_or_default();
            let latest = at(ledger.latest) + limit.interval() * counted + limit.margin;
            prop_assert!(bucket.full_at <= latest, "{key}: {} > {latest} with {counted}", bucket.full_at);
        }
    }
}
