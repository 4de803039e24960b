//! Renewal information of the served certificates (RFC 9773), and the polls for it.

use std::sync::Arc;

use std::collections::HashSet;

use dps_application::ports::renewal_info::RenewalInfoPoll;
use dps_application::ports::store::DomainRecord;
use dps_application::survey::{self, Surveyor};
use dps_domain::phase::{Lane, Next};
use dps_domain::renewal::info::{RenewalInfo, SuggestedWindow};
use dps_domain::{DnsState, DomainId, Issuance, Phase};

use crate::certificates::stored;
use crate::world::{World, at, quiet};

/// Renewal information before the first answer, with the poll due at this second.
fn nothing_known(poll_at: i64) -> RenewalInfo {
    RenewalInfo {
        window: None,
        explanation_url: None,
        answered_at: None,
        poll_at: at(poll_at),
        failures: 0,
    }
}

/// The CA named a window and explained it, and is polled again at this second.
fn explained(poll_at: i64) -> RenewalInfo {
    RenewalInfo {
        window: SuggestedWindow::new(at(700), at(800)).ok(),
        explanation_url: Some("https://ca.example/why".to_owned()),
        answered_at: Some(at(1)),
        failures: 2,
        ..nothing_known(poll_at)
    }
}

/// The record serves a new certificate, of which the CA is polled at this second.
async fn deploy(world: &World, record: DomainRecord, poll_at: i64) -> RenewalInfoPoll {
    let name = record.hostname.to_string();
    let (new, _) = stored(world, record.id, &name, 1).await;
    let (id, details) = (record.id, new.details);
    let phase = Phase::Live {
        serving: new.id,
        not_after: details.not_after,
        dns: DnsState::Here,
        next: Next::At(at(900)),
    };
    let write = quiet(DomainRecord { phase, ..record }).with_renewal_info(nothing_known(poll_at));
    assert!(world.store.domain_update(write).await.unwrap());
    RenewalInfoPoll {
        domain_id: id,
        hostname: new.hostname,
        certificate_id: new.id,
        ari_id: details.ari_id.map(Arc::from),
        directory_url: "https://ca.example/dir".into(),
        validity: (details.not_before, details.not_after),
        renewal_info: nothing_known(poll_at),
    }
}

async fn live(world: &World, name: &str, poll_at: i64) -> RenewalInfoPoll {
    let record = world.with_due(name, at(0)).await;
    deploy(world, record, poll_at).await
}

impl World {
    async fn claim(&self, second: i64, until: i64) -> Vec<RenewalInfoPoll> {
        let claimed = self
            .store
            .renewal_info_claim(at(second), at(until), 10)
            .await;
        claimed.unwrap()
    }

    async fn known(&self, domain: DomainId) -> Option<RenewalInfo> {
        let poll = self.store.poll(domain).await.unwrap();
        poll.map(|poll| poll.renewal_info)
    }
}

pub(crate) async fn a_poll_is_about_the_certificate_that_is_served_and_is_claimed_once(
    world: World,
) {
    let polled = live(&world, "shop.example", 50).await;
    world.with_due("waiting.example", at(0)).await;
    assert_eq!(
        world.store.poll(polled.domain_id).await.unwrap().as_ref(),
        Some(&polled)
    );
    assert_eq!(
        world.store.renewal_info_next_due().await.unwrap(),
        Some(at(50))
    );
    assert_eq!(world.claim(49, 100).await, []);
    let claimed = world.claim(50, 100).await;
    let expected = RenewalInfoPoll {
        renewal_info: nothing_known(100),
        ..polled.clone()
    };
    assert_eq!(claimed, [expected]);
    assert_eq!(world.claim(99, 200).await, []);
    assert_eq!(
        world.store.renewal_info_next_due().await.unwrap(),
        Some(at(100))
    );

    let answers = [(claimed[0].clone(), explained(300))];
    world.store.renewal_info_store(&answers).await.unwrap();
    assert_eq!(world.known(polled.domain_id).await, Some(explained(300)));
    assert_eq!(
        world.store.renewal_info_next_due().await.unwrap(),
        Some(at(300))
    );
    world.store.renewal_info_store(&[]).await.unwrap();
}

pub(crate) async fn an_result_of_a_claim_that_ended_changes_nothing(world: World) {
    let polled = live(&world, "shop.example", 50).await;
    let slow = world.claim(50, 100).await.remove(0);
    let next = world.claim(100, 200).await.remove(0);
    let answer = async |poll: &RenewalInfoPoll, info: RenewalInfo| {
        let answers = [(poll.clone(), info)];
        world.store.renewal_info_store(&answers).await.unwrap();
    };
    answer(&slow, explained(1_000)).await;
    assert_eq!(
        world.known(polled.domain_id).await,
        Some(nothing_known(200))
    );
    answer(&next, explained(300)).await;
    assert_eq!(world.known(polled.domain_id).await, Some(explained(300)));

    // Another certificate was deployed while the CA was polled about its predecessor.
    let of_the_old = world.claim(300, 400).await.remove(0);
    let record = world.read(polled.domain_id).await;
    let renewed = deploy(&world, record, 400).await;
    answer(&of_the_old, explained(1_000)).await;
    assert_eq!(
        world.store.poll(polled.domain_id).await.unwrap(),
        Some(renewed)
    );
}

pub(crate) async fn a_poll_stays_while_a_record_is_written_and_goes_with_what_was_served(
    world: World,
) {
    let polled = live(&world, "shop.example", 50).await;
    let write = async |phase: Phase| {
        let record = world.read(polled.domain_id).await;
        let written = quiet(DomainRecord { phase, ..record });
        assert!(world.store.domain_update(written).await.unwrap());
    };
    write(Phase::Live {
        serving: polled.certificate_id,
        not_after: polled.validity.1,
        dns: DnsState::Here,
        next: Next::Now(Issuance::AwaitingDns),
    })
    .await;
    assert_eq!(world.known(polled.domain_id).await, Some(nothing_known(50)));
    let moved = quiet(world.read(polled.domain_id).await).with_renewal_info(explained(60));
    assert!(world.store.domain_update(moved).await.unwrap());
    assert_eq!(world.known(polled.domain_id).await, Some(explained(60)));
    write(Phase::Leaving).await;
    assert_eq!(world.known(polled.domain_id).await, None);
    assert_eq!(world.claim(1_000, 2_000).await, []);
    assert_eq!(world.store.renewal_info_next_due().await.unwrap(), None);

    let forgotten = live(&world, "other.example", 50).await.domain_id;
    let record = world.read(forgotten).await;
    let gone = quiet(DomainRecord {
        phase: Phase::Gone,
        ..record
    });
    assert!(world.store.domain_update(gone).await.unwrap());
    let leases = world.acquire_in(Lane::Removal, at(10), 2).await;
    let lease = leases
        .iter()
        .find(|lease| lease.record.id == forgotten)
        .unwrap();
    world
        .store
        .domain_forget(forgotten, lease.token)
        .await
        .unwrap();
    assert_eq!(world.known(forgotten).await, None);
    assert_eq!(world.claim(1_000, 2_000).await, []);
}

pub(crate) async fn the_polls_that_are_due_longest_are_claimed_first_and_each_once(world: World) {
    const POLLS: i64 = 60;
    for second in 0..POLLS {
        live(&world, &format!("host-{second}.example"), POLLS - second).await;
    }
    let first = world.claim(1_000, 2_000).await;
    let mut names: Vec<String> = first
        .iter()
        .map(|claimed| claimed.hostname.to_string())
        .collect();
    names.sort_unstable();
    let longest: Vec<String> = (POLLS - 10..POLLS)
        .map(|second| format!("host-{second}.example"))
        .collect();
    assert_eq!(names, longest);

    let processes = [world.store.clone(), world.open_again().await];
    let workers = (0..4).map(|worker| {
        let store = processes[worker % 2].clone();
        tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let page = store
                    .renewal_info_claim(at(1_000), at(2_000), 3)
                    .await
                    .unwrap();
                if page.is_empty() {
                    return claimed;
                }
                claimed.extend(page);
                tokio::task::yield_now().await;
            }
        })
    });
    let mut claimed = first;
    for worker in workers.collect::<Vec<_>>() {
        claimed.extend(worker.await.unwrap());
    }
    // Where rows that others are claiming are stepped over, a worker may have found nothing while
    // some were left.
    loop {
        let left = world.claim(1_000, 2_000).await;
        if left.is_empty() {
            break;
        }
        claimed.extend(left);
    }
    let domains: HashSet<DomainId> = claimed.iter().map(|poll| poll.domain_id).collect();
    assert_eq!((claimed.len(), domains.len()), (60, 60));
}

pub(crate) async fn a_certificate_that_cannot_be_read_keeps_no_other_from_the_survey(world: World) {
    let bad = live(&world, "bad.example", 50).await;
    let good = live(&world, "good.example", 50).await;
    world
        .sql(&format!(
            "UPDATE renewal_questions SET failures = -1 WHERE domain_id = '{}'",
            bad.domain_id
        ))
        .await;
    let served = world.store.served(None, 10).await.unwrap();
    let ids: Vec<_> = served.iter().map(|served| served.domain_id).collect();
    assert_eq!(ids, [good.domain_id]);
    assert_eq!(served[0].poll_at, Some(at(50)));
    let record = world.read(good.domain_id).await;
    assert_eq!(served[0].renew_at, record.phase.renew_at());
    assert!(served[0].renew_at.is_some() && served[0].is_first);
    assert_eq!(served[0].taken_in_at, record.created_at);
    let survey = Surveyor::default().advance(&*world.store, at(60)).await;
    let survey = survey.unwrap().unwrap();
    assert_eq!(survey.by_share.iter().sum::<u64>(), 1);
    let store = &*world.store;
    assert_eq!(survey::kept(store).await.unwrap(), None);
    for _ in 0..2 {
        survey::keep(store, &survey).await.unwrap();
        let kept = survey::kept(store).await.unwrap();
        let sum_of_shares = survey.sum_of_shares;
        let kept = kept.map(|kept| survey::Survey {
            sum_of_shares,
            ..kept
        });
        assert_eq!(kept.as_ref(), Some(&survey));
    }
}

pub(crate) async fn a_poll_that_cannot_be_read_keeps_no_other_from_being_asked(world: World) {
    let bad = live(&world, "bad.example", 50).await;
    let good = live(&world, "good.example", 50).await;
    world
        .sql(&format!(
            "UPDATE renewal_questions SET failures = -1 WHERE domain_id = '{}'",
            bad.domain_id
        ))
        .await;
    let claimed = world.claim(60, 100).await;
    assert_eq!(
        claimed
            .iter()
            .map(|poll| poll.domain_id)
            .collect::<Vec<_>>(),
        [good.domain_id]
    );
    assert_eq!(
        world.claim(60, 100).await,
        [],
        "it is not read all the time"
    );
    world.store.poll(bad.domain_id).await.unwrap_err();
    // A renewal writes it anew.
    let record = world.read(bad.domain_id).await;
    let renewed = deploy(&world, record, 70).await;
    assert_eq!(
        world.store.poll(bad.domain_id).await.unwrap(),
        Some(renewed)
    );
}
