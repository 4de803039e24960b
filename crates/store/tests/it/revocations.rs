//! Revocations of single certificates that operators requested.

use std::time::Duration;

use dps_application::ports::store::{NewCertificate, RecordWrite};
use dps_domain::phase::Next;
use dps_domain::record::operator::revocation_noted;
use dps_domain::retention::Prunable;
use dps_domain::revocation::{AtCa, RequestedRevocation, RevocationReason, RevocationWrite};
use dps_domain::{DnsState, DomainId, EventKind, Phase, Timestamp};
use serde_json::json;

use crate::certificates::stored;
use crate::world::{World, at, quiet};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: i64 = 24 * 60 * 60;

async fn write(world: &World, domain: DomainId, write: RevocationWrite) -> RecordWrite {
    let record = world.read(domain).await;
    let line = (EventKind::RevocationRequested, json!({}));
    revocation_noted(&record, write, Some(line), at(5), "ada")
}

fn requested(of: &NewCertificate, due: Option<Timestamp>) -> RevocationWrite {
    RevocationWrite {
        certificate: of.id,
        revocation: RequestedRevocation::new(RevocationReason::KeyCompromise, at(5)),
        due_at: due,
        claim: None,
        erases_key: false,
    }
}

pub(crate) async fn a_requested_revocation_is_worked_at_by_one_process_under_its_claim(
    world: World,
) {
    let store = &world.store;
    let domain = world.with_due("shop.example", at(0)).await.id;
    let (first, _) = stored(&world, domain, "shop.example", 1).await;
    let (second, _) = stored(&world, domain, "shop.example", 2).await;
    assert_eq!(store.revocation(first.id).await.unwrap(), None);
    assert!(
        store
            .revocation_claim(at(9), at(99))
            .await
            .unwrap()
            .is_none()
    );
    for (certificate, due) in [(&first, at(20)), (&second, at(10))] {
        let write = write(&world, domain, requested(certificate, Some(due))).await;
        assert!(store.domain_update(write).await.unwrap());
    }
    assert!(
        store
            .revocation_claim(at(9), at(99))
            .await
            .unwrap()
            .is_none()
    );
    let claimed = store
        .revocation_claim(at(30), at(90))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(claimed.stored.certificate.id, second.id, "due longest");
    assert_eq!(claimed.revocation, requested(&second, None).revocation);
    let other = store
        .revocation_claim(at(30), at(90))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(other.stored.certificate.id, first.id);
    assert!(
        store
            .revocation_claim(at(89), at(99))
            .await
            .unwrap()
            .is_none()
    );

    // A write under a claim that ended changes nothing, neither record nor history.
    let late = RevocationWrite {
        claim: Some(at(91)),
        ..requested(&second, None)
    };
    let before = store.events(domain, 9).await.unwrap().len();
    let lost = write(&world, domain, late).await;
    assert!(!store.domain_update(lost).await.unwrap());
    assert_eq!(store.events(domain, 9).await.unwrap().len(), before);
    let done = RevocationWrite {
        revocation: RequestedRevocation {
            at_ca: AtCa::Revoked,
            ..claimed.revocation
        },
        claim: Some(claimed.claim),
        ..requested(&second, None)
    };
    let done = write(&world, domain, done).await;
    assert!(store.domain_update(done).await.unwrap());
    let read = store.revocation(second.id).await.unwrap().unwrap();
    assert_eq!(read.at_ca, AtCa::Revoked);
    store.revocation_put_off(&other, at(200)).await.unwrap();
    store.revocation_put_off(&other, at(300)).await.unwrap();
    assert!(
        store
            .revocation_claim(at(199), at(999))
            .await
            .unwrap()
            .is_none()
    );
    let again = store
        .revocation_claim(at(200), at(999))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.stored.certificate.id, first.id);
}

pub(crate) async fn a_compromised_key_is_erased_unless_its_record_names_the_certificate(
    world: World,
) {
    let store = &world.store;
    let domain = world.with_due("shop.example", at(0)).await.id;
    let mut issued = vec![];
    for number in 0..4 {
        issued.push(stored(&world, domain, "shop.example", number).await.0);
    }
    let mut record = world.read(domain).await;
    record.phase = Phase::Live {
        serving: issued[0].id,
        not_after: issued[0].details.not_after,
        dns: DnsState::Here,
        next: Next::At(at(9_000)),
    };
    assert!(store.domain_update(quiet(record)).await.unwrap());
    for (number, is_erased) in [(0, false), (1, true), (1, true)] {
        let erasing = RevocationWrite {
            erases_key: true,
            ..requested(&issued[number], Some(at(9)))
        };
        let erasing = write(&world, domain, erasing).await;
        assert_eq!(store.domain_update(erasing).await.unwrap(), is_erased);
    }
    assert_eq!(store.revocation(issued[0].id).await.unwrap(), None);
    for (number, certificate) in issued.iter().enumerate() {
        let stored = store.certificate(certificate.id).await.unwrap().unwrap();
        assert_eq!(stored.certificate.key.0.is_empty(), number == 1);
    }

    // Its certificate stays until the revocation has ended.
    let mut record = world.read(domain).await;
    record.phase = Phase::Failed;
    assert!(store.domain_update(quiet(record)).await.unwrap());
    for number in 4..7 {
        stored(&world, domain, "shop.example", number).await;
    }
    let now = at(30 * DAY);
    world.prune(Prunable::SupersededKey, now, 10).await;
    world.prune(Prunable::Certificate, now, 10).await;
    assert!(store.certificate(issued[0].id).await.unwrap().is_none());
    assert!(store.certificate(issued[1].id).await.unwrap().is_some());
    let claimed = store
        .revocation_claim(now, now + MINUTE)
        .await
        .unwrap()
        .unwrap();
    let ended = RevocationWrite {
        claim: Some(claimed.claim),
        ..requested(&issued[1], None)
    };
    let record = world.read(domain).await;
    let ended = revocation_noted(&record, ended, None, now, "ada");
    assert!(store.domain_update(ended).await.unwrap());
    world.prune(Prunable::Certificate, now, 10).await;
    assert!(store.certificate(issued[1].id).await.unwrap().is_none());
}
