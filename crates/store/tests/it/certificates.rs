//! Certificates.

use std::collections::BTreeSet;
use std::time::Duration;

use dps_application::ports::store::Deployed;
use dps_application::ports::store::{DomainRecord, NewCertificate, StoreError};
use dps_application::ports::vault::SecretPurpose;
use dps_domain::phase::Next;
use dps_domain::retention::Prunable;
use dps_domain::{DnsState, DomainId, Event, Failure, Phase};

use crate::world::{TTL, World, at, certificate, quiet, sealed};

/// A certificate of a new order of the domain.
pub(crate) async fn stored(
    world: &World,
    domain: DomainId,
    name: &str,
    seconds: i64,
) -> (NewCertificate, u64) {
    let order = world.with_order(domain).await;
    let new = certificate(&order, name, at(seconds));
    let stored = world.store.certificate_insert(&new).await.unwrap();
    (new, stored.generation)
}

pub(crate) async fn a_certificate_is_stored_once_per_order_and_closes_it(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let order = world.with_order(domain).await;
    let first = certificate(&order, "shop.example", at(1));
    let second = certificate(&order, "shop.example", at(2));
    assert!(
        world
            .store
            .certificate_of_order(order.id)
            .await
            .unwrap()
            .is_none()
    );
    let answers = [
        world.store.certificate_insert(&first).await.unwrap(),
        world.store.certificate_insert(&second).await.unwrap(),
        world
            .store
            .certificate_of_order(order.id)
            .await
            .unwrap()
            .unwrap(),
        world.store.certificate(first.id).await.unwrap().unwrap(),
    ];
    for answer in &answers {
        assert_eq!(answer.generation, answers[0].generation);
        let read = &answer.certificate;
        assert_eq!(
            (read.id, read.domain_id, read.order_id),
            (first.id, domain, order.id)
        );
        assert_eq!(
            (&read.hostname, &read.details, &read.key),
            (&first.hostname, &first.details, &first.key)
        );
        assert_eq!(read.created_at, first.created_at);
    }
    assert!(world.store.certificate(second.id).await.unwrap().is_none());
    assert_eq!(world.store.order_open(domain).await.unwrap(), None);
}

/// A worker that lost its lease and its successor may both have finalized; the edges must get one
/// of the two, not both.
pub(crate) async fn two_workers_that_store_one_orders_certificate_agree(world: World) {
    let other = world.open_again().await;
    for round in 0..20 {
        let domain = world.with_due("shop.example", at(0)).await.id;
        let order = world.with_order(domain).await;
        let mine = certificate(&order, "shop.example", at(round));
        let theirs = certificate(&order, "shop.example", at(round));
        let (first, second) = tokio::join!(
            world.store.certificate_insert(&mine),
            other.certificate_insert(&theirs)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.certificate.id, second.certificate.id);
        assert_eq!(first.generation, second.generation);
    }
}

pub(crate) async fn the_valid_certificates_of_a_domain_are_read_the_newest_first(world: World) {
    let ours = world.with_due("shop.example", at(0)).await.id;
    let theirs = world.with_due("shop.example", at(0)).await.id;
    let (first, _) = stored(&world, ours, "shop.example", 100).await;
    let (second, _) = stored(&world, ours, "shop.example", 200).await;
    stored(&world, theirs, "shop.example", 300).await;
    let valid = async |now, limit| {
        let valid = world.store.certificates_valid(ours, now, limit).await;
        let valid = valid.unwrap().into_iter();
        valid
            .map(|stored| stored.certificate.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(valid(at(0), 10).await, [second.id, first.id]);
    assert_eq!(valid(at(0), 1).await, [second.id]);
    assert_eq!(valid(first.details.not_after, 10).await, [second.id]);
}

pub(crate) async fn the_newest_generation_of_a_domain_is_read_under_its_lease(world: World) {
    let (ours, theirs) = (
        world.with_due("shop.example", at(0)).await.id,
        world.with_due("shop.example", at(0)).await.id,
    );
    let (_, older) = stored(&world, ours, "shop.example", 100).await;
    let (_, newest) = stored(&world, ours, "shop.example", 200).await;
    let (_, of_another) = stored(&world, theirs, "shop.example", 300).await;
    assert!(older < newest && newest < of_another);
    let lane = dps_domain::lane::Lane::Verification;
    let leases = world.store.acquire_due(lane, at(0), TTL, 2).await.unwrap();
    let token = |id| {
        leases
            .iter()
            .find(|lease| lease.record.id == id)
            .unwrap()
            .token
    };
    let mine = token(ours);
    let held = |token| world.store.generation_held(ours, token);
    assert_eq!(held(mine).await.unwrap(), Some(newest));
    world.store.release(ours, mine).await.unwrap();
    assert!(matches!(held(mine).await, Err(StoreError::LeaseLost)));
    let bare = world.with_due("bare.example", at(0)).await.id;
    let lease = world.store.acquire_due(lane, at(0), TTL, 2).await.unwrap();
    let token = lease
        .iter()
        .find(|lease| lease.record.id == bare)
        .unwrap()
        .token;
    assert_eq!(
        world.store.generation_held(bare, token).await.unwrap(),
        None
    );
}

pub(crate) async fn the_generation_grows_when_the_clock_goes_back(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let micros = |seconds| at(seconds).unix_micros().unsigned_abs();
    let (_, first) = stored(&world, domain, "shop.example", 1_000).await;
    let (_, back) = stored(&world, domain, "shop.example", 10).await;
    let (_, same) = stored(&world, domain, "shop.example", 10).await;
    let (_, later) = stored(&world, domain, "shop.example", 2_000).await;
    assert_eq!(
        [first, back, same],
        [micros(1_000), micros(1_000) + 1, micros(1_000) + 2]
    );
    assert_eq!(later, micros(2_000));
    let (_, other_name) = stored(&world, domain, "other.example", 10).await;
    assert_eq!(other_name, micros(10), "each hostname counts for itself");
    let successor = world.with_due("shop.example", at(0)).await.id;
    let (_, inherited) = stored(&world, successor, "shop.example", 10).await;
    assert_eq!(
        inherited,
        later + 1,
        "a name that comes back under a new id continues"
    );
}

pub(crate) async fn the_soonest_expiry_is_that_of_a_certificate_in_service(world: World) {
    assert_eq!(world.store.soonest_expiry().await.unwrap(), None);
    let mut expected = Vec::new();
    for (name, second) in [("a.example", 300), ("b.example", 200)] {
        let mut record = world.with_due(name, at(0)).await;
        stored(&world, record.id, name, 100).await;
        let (serving, _) = stored(&world, record.id, name, second).await;
        record.phase = Phase::Live {
            serving: serving.id,
            not_after: serving.details.not_after,
            dns: DnsState::Here,
            next: Next::At(at(9_000)),
        };
        assert!(world.store.domain_update(quiet(record)).await.unwrap());
        expected.push(at(second) + Duration::from_secs(90 * 86_400));
    }
    assert_eq!(
        world.store.soonest_expiry().await.unwrap(),
        Some(expected[1])
    );
    // An unconfirmed move is none.
    let unconfirmed = Event::DnsSeenElsewhere { at: at(6) };
    let moved = Event::DnsMovedAway { at: at(7) };
    for (event, soonest) in [
        (unconfirmed, expected[1]),
        (moved, expected[0]),
        (Event::DnsConfirmed, expected[1]),
    ] {
        let host = "b.example".parse().unwrap();
        let mut record = world
            .store
            .domain_by_hostname(&host)
            .await
            .unwrap()
            .unwrap();
        record.phase = record.phase.apply(event).unwrap();
        assert!(
            world
                .store
                .domain_update(quiet(record.clone()))
                .await
                .unwrap()
        );
        let found = world.store.soonest_expiry().await.unwrap();
        assert_eq!(found, Some(soonest), "{:?}", record.phase);
        let read = world.store.domain(record.id).await.unwrap().unwrap();
        assert_eq!(read.phase, record.phase);
        let here = read.phase.moved_away_since().is_none();
        let served = world.store.served(None, 10).await.unwrap();
        assert_eq!(served.len(), 1 + usize::from(here), "{:?}", record.phase);
        let first = world.store.served(None, 1).await.unwrap();
        assert_eq!(first, served[..1]);
        let others = world.store.served(Some(first[0].domain_id), 10).await;
        assert_eq!(others.unwrap(), served[1..]);
    }
    let mut leaving = world
        .store
        .domain_by_hostname(&"b.example".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    leaving.phase = Phase::Leaving;
    assert!(world.store.domain_update(quiet(leaving)).await.unwrap());
    assert_eq!(world.store.served(None, 10).await.unwrap().len(), 1);
    assert_eq!(
        world.store.soonest_expiry().await.unwrap(),
        Some(expected[0])
    );
}

pub(crate) async fn a_domain_whose_failure_the_customer_must_mend_is_marked_in_the_survey(
    world: World,
) {
    let mut record = world.with_due("shop.example", at(0)).await;
    let (serving, _) = stored(&world, record.id, "shop.example", 100).await;
    record.phase = Phase::Live {
        serving: serving.id,
        not_after: serving.details.not_after,
        dns: DnsState::Here,
        next: Next::At(at(9_000)),
    };
    let unavailable = Failure::AcmeCaUnavailable {
        detail: "502".to_owned(),
    };
    let refused = Failure::HttpRefused {
        address: "192.0.2.1".parse().unwrap(),
    };
    for (failure, waits) in [
        (None, false),
        (Some(unavailable), false),
        (Some(refused), true),
        (None, false),
    ] {
        record.last_failure = failure;
        let written = world.store.domain_update(quiet(record)).await;
        assert!(written.unwrap());
        let host = "shop.example".parse().unwrap();
        record = world
            .store
            .domain_by_hostname(&host)
            .await
            .unwrap()
            .unwrap();
        let served = world.store.served(None, 10).await.unwrap();
        let found: Vec<bool> = served.iter().map(|one| one.waits_for_customer).collect();
        assert_eq!(found, [waits], "{:?}", record.last_failure);
    }
}

pub(crate) async fn a_forgotten_domain_takes_all_that_is_its_own_along_and_needs_its_lease(
    world: World,
) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let (certificate, generation) = stored(&world, domain, "shop.example", 1).await;
    let deployed = Deployed {
        domain_id: domain,
        certificate_id: certificate.id,
        generation,
    };
    world
        .store
        .edge_store_deployed("http://edge", &[deployed], at(1))
        .await
        .unwrap();
    let stale = world.acquire_one(at(0)).await;
    let lease = world.acquire_one(at(0) + TTL).await;
    let refused = world.store.domain_forget(domain, stale.token).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)));
    world
        .store
        .domain_forget(domain, lease.token)
        .await
        .unwrap();
    assert!(world.store.domain(domain).await.unwrap().is_none());
    assert!(
        world
            .store
            .certificate(certificate.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        world
            .store
            .order(certificate.order_id)
            .await
            .unwrap()
            .is_none()
    );
    let again = world.with_due("shop.example", at(5)).await.id;
    let (_, later) = stored(&world, again, "shop.example", 6).await;
    assert!(
        later > generation,
        "an edge that still knows the old one takes the new one"
    );
}

pub(crate) async fn a_stored_certificate_erases_its_orders_key(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let order = world.with_order(domain).await;
    world
        .store
        .order_put_key(order.id, &sealed("key"))
        .await
        .unwrap();
    let new = certificate(&order, "shop.example", at(1));
    world.store.certificate_insert(&new).await.unwrap();
    let done = world.store.order(order.id).await.unwrap().unwrap();
    assert_eq!((done.open, done.key), (false, None));
    // A worker that slept meanwhile makes no other key for it.
    let late = world.store.order_put_key(order.id, &sealed("late")).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(
        world.store.order(order.id).await.unwrap().unwrap().key,
        None
    );
    let secrets = world
        .store
        .secrets(SecretPurpose::OrderKey, None, 10)
        .await
        .unwrap();
    assert!(secrets.is_empty());
    assert_eq!(
        world
            .store
            .certificate(new.id)
            .await
            .unwrap()
            .unwrap()
            .certificate
            .key,
        new.key
    );
    // An order that another one replaces before it gave a certificate leaves no key either.
    let replaced = world.with_order(domain).await;
    world
        .store
        .order_put_key(replaced.id, &sealed("key"))
        .await
        .unwrap();
    world.with_order(domain).await;
    assert_eq!(
        world.store.order(replaced.id).await.unwrap().unwrap().key,
        None
    );
}

pub(crate) async fn live_directories_are_those_that_served_certificates_come_from(world: World) {
    assert!(world.store.live_directories().await.unwrap().is_empty());
    for (name, directory_url) in [
        ("a.example", "https://one.example/dir"),
        ("b.example", "https://two.example/dir"),
        ("c.example", "https://one.example/dir"),
        ("d.example", "https://not-served.example/dir"),
    ] {
        let mut record = world.with_due(name, at(0)).await;
        let mut order = crate::world::order(record.id);
        order.directory_url = directory_url.to_owned();
        world.place(&order).await;
        let new = certificate(&order, name, at(1));
        world.store.certificate_insert(&new).await.unwrap();
        if name != "d.example" {
            record.phase = Phase::Live {
                serving: new.id,
                not_after: new.details.not_after,
                dns: DnsState::Here,
                next: Next::At(at(9_000)),
            };
            assert!(world.store.domain_update(quiet(record)).await.unwrap());
        }
    }
    assert_eq!(
        world.store.live_directories().await.unwrap(),
        ["https://one.example/dir", "https://two.example/dir"]
    );
}

pub(crate) async fn the_key_of_a_superseded_certificate_is_erased_after_the_rollback_unless_it_is_served(
    world: World,
) {
    const WEEK: i64 = 7 * 24 * 60 * 60;
    let mut record = world.with_due("shop.example", at(0)).await;
    let domain = record.id;
    let (served, _) = stored(&world, domain, "shop.example", 100).await;
    let serve = |mut record: DomainRecord, new: &NewCertificate| {
        record.phase = Phase::Live {
            serving: new.id,
            not_after: new.details.not_after,
            dns: DnsState::Here,
            next: Next::At(at(9_000)),
        };
        record
    };
    record = serve(record, &served);
    assert!(
        world
            .store
            .domain_update(quiet(record.clone()))
            .await
            .unwrap()
    );
    let (skipped, _) = stored(&world, domain, "shop.example", 200).await;
    let (newest, _) = stored(&world, domain, "shop.example", 300).await;
    let (alone, _) = {
        let other = world.with_due("other.example", at(0)).await.id;
        stored(&world, other, "other.example", 100).await
    };
    let prune = |seconds| world.prune(Prunable::SupersededKey, at(seconds), 10);
    assert_eq!(prune(300 + WEEK - 1).await, 0, "within the rollback");
    assert_eq!(prune(300 + WEEK).await, 1);
    assert_eq!(prune(300 + WEEK).await, 0);
    let key = async |new: &NewCertificate| {
        let found = world.store.certificate(new.id).await.unwrap().unwrap();
        assert_eq!(
            found.certificate.details, new.details,
            "it is known for ever"
        );
        found.certificate.key
    };
    assert_eq!(key(&served).await, served.key);
    assert_eq!(key(&skipped).await.0, Vec::<u8>::new());
    assert_eq!(key(&newest).await, newest.key);
    let of_order = world
        .store
        .certificate_of_order(skipped.order_id)
        .await
        .unwrap();
    assert_eq!(of_order.unwrap().certificate.id, skipped.id);
    // Nothing is left of it to seal under another key-encryption key.
    let secrets = async || {
        let rows = world
            .store
            .secrets(SecretPurpose::CertificateKey, None, 10)
            .await;
        let rows = rows.unwrap().into_iter().map(|row| row.row);
        rows.collect::<BTreeSet<_>>()
    };
    let ids = |kept: &[&NewCertificate]| {
        kept.iter()
            .map(|new| new.id.to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(secrets().await, ids(&[&served, &newest, &alone]));
    record = serve(world.read(domain).await, &newest);
    assert!(world.store.domain_update(quiet(record)).await.unwrap());
    let desired = world.store.desired(None, at(400), 10).await.unwrap();
    assert_eq!(desired[0].certificate_id, newest.id);
    assert_eq!(prune(300 + WEEK).await, 1);
    assert_eq!(secrets().await, ids(&[&newest, &alone]));
    // The next one supersedes only what has its key.
    stored(&world, domain, "shop.example", 500).await;
    assert_eq!(prune(500 + WEEK).await, 0, "served");
}
