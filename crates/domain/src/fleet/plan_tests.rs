use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::fleet::EdgeFilter;
use crate::phase::Next;
use crate::{Actor, CertificateId, DnsState, DomainId, Failure, Hostname, Issuance, Phase};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn failure() -> impl Strategy<Value = Option<Failure>> {
    prop_oneof![
        Just(None),
        Just(Some(Failure::DnsNxdomain {})),
        any::<bool>().prop_map(|resolver_outage| Some(Failure::DnsTimeout {
            resolvers: vec![],
            resolver_outage,
            txt_name: String::new(),
        })),
        Just(Some(Failure::AcmeCaUnavailable {
            detail: String::new()
        })),
        Just(Some(Failure::Internal {
            detail: String::new()
        })),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    let certificate = CertificateId::from_uuid(Uuid::from_u128(7));
    let live = (0..4u32, any::<bool>()).prop_map(move |(days, moved)| Phase::Live {
        serving: certificate,
        not_after: NOW + DAY * days,
        dns: if moved {
            DnsState::MovedAway { since: NOW }
        } else {
            DnsState::Here
        },
        next: Next::At(NOW),
    });
    prop_oneof![
        Just(Phase::START),
        Just(Phase::Onboarding(Issuance::Ordering)),
        live,
        Just(Phase::Failed),
        Just(Phase::Leaving),
        Just(Phase::Gone),
    ]
}

fn record() -> impl Strategy<Value = DomainRecord> {
    let names = ["a.example", "b.a.example", "ba.example", "b.example.com"];
    (0..40u128, 0..4usize, 0..3u8, phase(), failure()).prop_map(
        move |(id, name, tenant, phase, last_failure)| DomainRecord {
            phase,
            last_failure,
            ..DomainRecord::new(
                DomainId::from_uuid(Uuid::from_u128(id)),
                tenant.to_string(),
                Hostname::parse(names[name]).unwrap(),
                Hostname::parse("edge.platform.example").unwrap(),
                1,
                NOW,
            )
        },
    )
}

fn filter() -> impl Strategy<Value = DomainFilter> {
    let name = prop_oneof![
        Just(NameFilter::Exact(Hostname::parse("a.example").unwrap())),
        Just(NameFilter::Prefix("b".into())),
        Just(NameFilter::Below("a.example".into())),
        Just(NameFilter::Below("example".into())),
        Just(NameFilter::Contains("a.e".into())),
    ];
    let edge = prop_oneof![
        Just(EdgeFilter::Serving("e".into())),
        Just(EdgeFilter::Pending("e".into()))
    ];
    (
        proptest::option::of(name),
        proptest::option::of(0..3u8),
        proptest::option::of(proptest::sample::select(Status::ALL.to_vec())),
        proptest::option::of(proptest::sample::select(vec![
            FailureCode::DnsNxdomain,
            FailureCode::DnsTimeout,
            FailureCode::Internal,
        ])),
        proptest::option::of(proptest::sample::select(Actor::ALL.to_vec())),
        proptest::option::of(0..3u32),
        proptest::option::of(edge),
    )
        .prop_map(
            |(name, tenant, status, code, actor, days, edge)| DomainFilter {
                name,
                tenant: tenant.map(|tenant| tenant.to_string()),
                status,
                code,
                actor,
                expires_within: days.map(|days| DAY * days),
                edge,
            },
        )
}

proptest! {
    #[test]
    fn a_plans_ranges_hold_every_wanted_record_once_and_in_order(
        filter in filter(),
        record in record(),
        presents in any::<bool>(),
    ) {
        let plan = filter.plan(NOW);
        let place = plan.order.place_of(&record);
        let holds = |range: &&PlaceRange| range.lower < place && place <= range.upper;
        let held = plan.ranges.iter().filter(holds).count();
        if filter.matches(&record, NOW, |_| presents) {
            prop_assert_eq!(held, 1, "{:?} {:?}", plan, place);
        } else if held > 0 && plan.order != ListOrder::Tenant {
            // A tenant's order holds records of that tenant alone, and the others those in service.
            let others = !matches!(plan.order, ListOrder::Expiry | ListOrder::Served);
            prop_assert!(plan.passes_over || !others, "{:?} {:?}", plan, place);
        }
        for pair in plan.ranges.windows(2) {
            prop_assert!(pair[0].upper < pair[1].lower, "{:?}", pair);
        }
    }

    #[test]
    fn a_place_in_any_list_is_read_as_it_was_written(filter in filter(), record in record()) {
        let plan = filter.plan(NOW);
        let place = plan.order.place_of(&record);
        let text = place.to_text(&filter);
        prop_assert_eq!(Place::parse(&text, &filter, &plan), Ok(place));
    }
}
