use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::limits::published::LETS_ENCRYPT;
use crate::limits::{Position, Refused, Ruling, rule};
use crate::phase::Next;
use crate::record::test_record::{NOW, record};
use crate::{CertificateId, DnsState, OrderId};

fn first() -> DomainRecord {
    record(Phase::Onboarding(Issuance::Ordering))
}

fn renewal() -> DomainRecord {
    record(Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(3)),
        not_after: NOW,
        dns: DnsState::Here,
        next: Next::Now(Issuance::Ordering),
    })
}

fn with_limits<T>(test: impl FnOnce(&OrderLimits<'_>) -> T) -> T {
    test(&OrderLimits {
        limits: &CaLimits::published(LETS_ENCRYPT).with_tenants_part(),
        directory_url: LETS_ENCRYPT,
    })
}

/// The buckets after an order's charges and the entries of its effects.
fn buckets_after(record: &DomainRecord, effects: &[OrderEffect]) -> BTreeMap<BucketKey, Position> {
    with_limits(|limits| {
        let charges = limits.charges(record, Exemption::None);
        let empty = vec![Position::default(); charges.len()];
        let Ruling::Granted(positions) = rule(&charges, &empty, NOW) else {
            panic!("a token is missing");
        };
        let keys = charges.into_iter().map(|charge| charge.key);
        let mut buckets: BTreeMap<_, _> = keys.zip(positions).collect();
        for entry in limits.entries(record, effects) {
            let bucket = buckets.entry(entry.key.clone()).or_default();
            *bucket = entry.apply(*bucket, NOW);
        }
        buckets
    })
}

fn spent(buckets: &BTreeMap<BucketKey, Position>, kind: LimitKind) -> u32 {
    let of_kind = |key: &&BucketKey| key.as_str().starts_with(&format!("{kind} "));
    let key = buckets.keys().find(of_kind).unwrap();
    buckets[key].bucket.spent
}

#[test]
fn however_an_order_ends_it_holds_no_token_afterwards() {
    use OrderEffect::{Issued, Lost, NotPlaced, Refused, Validated, ValidationFailed};
    let not_placed = |may_be_counted| NotPlaced {
        exemption: Exemption::None,
        may_be_counted,
    };
    for record in [first(), renewal()] {
        let held = buckets_after(&record, &[]);
        assert!(held.values().any(|position| position.slot.is_some()));
        for ends in [
            vec![not_placed(true)],
            vec![not_placed(false)],
            vec![Lost],
            vec![Refused],
            vec![ValidationFailed],
            vec![Validated { proven: true }, Issued],
            vec![Validated { proven: false }, Issued],
            vec![Validated { proven: true }, Lost],
        ] {
            let after = buckets_after(&record, &ends);
            let still_held = after.iter().find(|(_, position)| position.slot.is_some());
            assert_eq!(still_held, None, "{ends:?}");
        }
    }
}

#[test]
fn each_effect_counts_for_what_the_ca_counts() {
    use LimitKind::{
        ConsecutiveFailures, ExactSet, FailedValidations, NewOrders, RegisteredDomain,
        UnprovenOrders,
    };
    use OrderEffect::{Issued, Lost, NotPlaced, Refused, Validated, ValidationFailed};
    let refused_order = NotPlaced {
        exemption: Exemption::None,
        may_be_counted: false,
    };
    let unanswered_order = NotPlaced {
        exemption: Exemption::None,
        may_be_counted: true,
    };
    let validated = Validated { proven: true };
    let kinds = [
        NewOrders,
        RegisteredDomain,
        ExactSet,
        FailedValidations,
        ConsecutiveFailures,
        UnprovenOrders,
    ];
    for (effects, counted) in [
        (vec![refused_order], [0, 0, 0, 0, 0, 0]),
        (vec![unanswered_order], [1, 0, 0, 0, 0, 0]),
        (vec![Lost], [1, 0, 0, 0, 0, 0]),
        (vec![Refused], [1, 0, 0, 0, 0, 1]),
        (vec![ValidationFailed], [1, 0, 0, 1, 1, 1]),
        (vec![validated, Issued], [1, 1, 1, 0, 0, 0]),
    ] {
        let buckets = buckets_after(&first(), &effects);
        assert_eq!(
            kinds.map(|kind| spent(&buckets, kind)),
            counted,
            "{effects:?}"
        );
    }
}

#[test]
fn a_refusal_blocks_the_bucket_of_the_name_that_the_ca_names() {
    let until = NOW + std::time::Duration::from_secs(60);
    let effect = |subject: Option<&str>| OrderEffect::RateLimited {
        refused: Refused {
            kind: LimitKind::RegisteredDomain,
            subject: subject.map(str::to_owned),
        },
        until,
    };
    for (subject, name) in [
        (Some("other.example"), "other.example"),
        (None, "example.com"),
    ] {
        let key = BucketKey::of_name(LimitKind::RegisteredDomain, LETS_ENCRYPT, name);
        let buckets = buckets_after(&first(), &[effect(subject)]);
        assert_eq!(buckets[&key].bucket.blocked_until, until);
    }
}

#[test]
fn only_a_token_that_came_with_the_lease_is_refunded_when_nothing_is_sent() {
    let queued = record(Phase::Onboarding(Issuance::Queued));
    with_limits(|limits| {
        let charged = limits.charges(&queued, Exemption::None);
        assert!(
            charged
                .iter()
                .all(|charge| charge.kind != LimitKind::NewOrders)
        );
        let entries = limits.entries(&queued, &[OrderEffect::NotSent]);
        let refund = BucketKey::of_account(LimitKind::NewOrders, LETS_ENCRYPT);
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (&entries[0].key, entries[0].change),
            (&refund, Change::Refund)
        );
        assert_eq!(limits.entries(&first(), &[OrderEffect::NotSent]), []);
    });
}

#[test]
fn leaving_an_undecided_first_order_costs_its_tenant_a_failure() {
    let order = OrderId::from_uuid(Uuid::from_u128(2));
    let validating = record(Phase::Onboarding(Issuance::Validating { order }));
    let left = record(Phase::Leaving);
    with_limits(|limits| {
        let entry = limits.abandoned(&validating, &left).unwrap();
        assert_eq!(entry.key, BucketKey::of_tenant(LETS_ENCRYPT, "acme"));
        assert_eq!(entry.change, Change::Spend);
        assert_eq!(limits.abandoned(&validating, &validating), None);
        assert_eq!(limits.abandoned(&first(), &left), None);
    });
}
