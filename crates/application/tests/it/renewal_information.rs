//! The CA says when to renew (RFC 9773), or does not.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::ca::CaError;
use dps_application::workers;
use dps_domain::outcome::Outcome;
use dps_domain::phase::{Lane, Next, Phase};
use dps_domain::renewal::info::{RenewalInfo, SuggestedWindow};
use dps_domain::renewal::renewal_deadline;
use dps_domain::{Event, EventKind, FailureCode, Purpose, Timestamp, Until};

use super::world::{HOST, World};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The lifetimes in use today and soon.
const LIFETIMES: [Duration; 4] = [
    Duration::from_secs(160 * 3_600),
    Duration::from_secs(45 * 86_400),
    Duration::from_secs(64 * 86_400),
    Duration::from_secs(90 * 86_400),
];

impl World {
    /// A live domain whose certificate lasts so long.
    pub(super) async fn with_certificate_for(lifetime: Duration) -> Self {
        let world = Self::with_due_domain().await;
        world.ca.model.issue_for(lifetime);
        world.settle().await;
        world
    }

    /// The CA suggests a window from now on, and wants to be asked every so often.
    pub(super) fn suggest(&self, start: Timestamp, end: Timestamp, ask_again_after: Duration) {
        let window = SuggestedWindow::new(start, end).unwrap();
        self.ca.model.suggest(window, ask_again_after);
    }

    pub(super) async fn renew_at(&self) -> Timestamp {
        match self.record().await.phase {
            Phase::Live {
                next: Next::At(at), ..
            } => at,
            other => panic!("not between renewals: {other:?}"),
        }
    }

    /// Does what is due, at its own moment, until `end`.
    pub(super) async fn live_until(&self, end: Timestamp) {
        loop {
            self.settle().await;
            let now = self.service.now();
            let due = self.record().await.next_attempt_at.unwrap_or(end).min(end);
            let due = due.min(self.renewal_info().await.poll_at);
            self.advance(due.since(now));
            if due >= end {
                return;
            }
        }
    }

    /// The stored renewal information.
    async fn renewal_info(&self) -> RenewalInfo {
        let id = self.record().await.id;
        let poll = self.service.store.poll(id).await.unwrap();
        poll.expect("something is served").renewal_info
    }

    /// Makes the next poll to the CA due, and waits for it.
    pub(super) async fn poll_now(&self) {
        let poll_at = self.renewal_info().await.poll_at;
        self.live_until(poll_at).await;
        self.settle().await;
    }

    pub(super) fn certificates(&self) -> usize {
        self.ca.orders_for(HOST)
    }

    fn counted(&self, name: &'static str, success: bool) -> u32 {
        let counters = self.counters.0.lock().unwrap();
        counters.get(&(name, success)).copied().unwrap_or_default()
    }

    pub(super) async fn history(&self, kind: EventKind) -> Vec<serde_json::Value> {
        let id = self.record().await.id;
        let events = self.service.store.events(id, 1_000).await.unwrap();
        let of_kind = events.into_iter().filter(|event| event.kind == kind);
        of_kind.map(|event| event.detail).collect()
    }
}

#[tokio::test]
async fn a_window_that_moves_moves_the_renewal_into_it_and_the_order_names_its_predecessor() {
    for lifetime in LIFETIMES {
        let world = World::with_certificate_for(lifetime).await;
        let began = world.service.now();
        let by_the_dates = world.renew_at().await;
        let (start, end) = (began + lifetime / 4, began + lifetime / 4 + lifetime / 50);
        world.suggest(start, end, 6 * HOUR);
        world.poll_now().await;
        let moved = world.renew_at().await;
        assert!(
            start <= moved && moved < end && moved < by_the_dates,
            "{moved}"
        );
        world.suggest(start, end, 12 * HOUR);
        world.poll_now().await;
        assert_eq!(
            world.renew_at().await,
            moved,
            "the same window keeps its moment"
        );
        let lines = world.history(EventKind::RenewalMoved).await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["explanationUrl"], "https://ca.test/why");
        assert_eq!(lines[0]["renewAt"], moved.to_string());

        world.live_until(moved).await;
        assert_eq!(world.certificates(), 1, "not before its moment");
        world.settle().await;
        assert_eq!(world.certificates(), 2);
        assert_eq!(world.ca.replaced(), [None, Some(format!("{HOST}.1"))]);
        world.poll_now().await;
        assert_eq!(
            world.ca.asked().last().unwrap(),
            &format!("{HOST}.2"),
            "the new one is asked about"
        );
        let orders = world.history(EventKind::OrderPlaced).await;
        assert_eq!(orders[0]["exemptFromLimits"], true);
        assert_eq!(orders[0]["replaces"], format!("{HOST}.1"));
        assert!(
            orders[1].get("replaces").is_none(),
            "the first one replaces nothing"
        );
    }
}

#[tokio::test]
async fn a_window_that_is_over_renews_at_once() {
    for lifetime in LIFETIMES {
        let world = World::with_certificate_for(lifetime).await;
        world.live_until(world.service.now() + lifetime / 5).await;
        let now = world.service.now();
        world.suggest(now - HOUR, now - HOUR / 2, 6 * HOUR);
        world.poll_now().await;
        assert_eq!(world.certificates(), 2, "{lifetime:?}");
        let lines = world.history(EventKind::RenewalMoved).await;
        assert_eq!(lines.last().unwrap()["urgent"], true);
        let orders = world.history(EventKind::OrderPlaced).await;
        assert_eq!(orders[0]["exemptFromLimits"], false, "the window is over");
    }
}

#[tokio::test]
async fn a_ca_that_wants_every_new_certificate_replaced_gets_an_order_a_day_and_no_more() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    world.suggest(began - HOUR, began - HOUR / 2, HOUR);
    world.live_until(began + 10 * DAY).await;
    let orders = world.certificates();
    assert!((8..=11).contains(&orders), "{orders}");
}

#[tokio::test]
async fn a_week_without_an_answer_renews_by_the_dates_and_delays_no_dns_check() {
    let world = World::with_certificate_for(160 * HOUR).await;
    let began = world.service.now();
    let deadline = renewal_deadline(began, began + 160 * HOUR);
    let down = CaError::Unavailable {
        detail: "503".into(),
        retry_after: None,
    };
    world.ca.fail_at_renewals(down);
    // The CA said nothing before the week began.
    let planned = world.renew_at().await;
    assert!(planned <= deadline);
    world.live_until(planned).await;
    assert_eq!(world.certificates(), 1);
    world.settle().await;
    assert_eq!(world.certificates(), 2);
    let failed = world.counted("renewal_info", false);
    assert!(
        (10..=40).contains(&failed),
        "every few hours, not more: {failed}"
    );
    assert_eq!(
        world.history(EventKind::DnsConfirmed).await.len(),
        1,
        "one line for all polls"
    );
    assert_eq!(world.counted("renewal", false), 0);
    assert_eq!(world.record().await.last_failure, None);
}

#[tokio::test]
async fn a_window_once_known_is_kept_to_while_the_ca_does_not_answer() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    world.suggest(began + 20 * DAY, began + 21 * DAY, 6 * HOUR);
    world.poll_now().await;
    let planned = world.renew_at().await;
    let limited = CaError::RateLimited {
        until: Some(Until::named(began + 2 * DAY, began, Purpose::Limit)),
        detail: "slow down".into(),
    };
    for error in [
        limited,
        CaError::Malformed {
            kind: "malformed".into(),
            detail: "no such certificate".into(),
        },
    ] {
        world.ca.fail_at_renewals(error);
        world.poll_now().await;
        world.poll_now().await;
    }
    assert_eq!(world.renew_at().await, planned);
    assert_eq!(world.renewal_info().await.failures, 4);
    world.live_until(planned).await;
    world.settle().await;
    assert_eq!(world.certificates(), 2);
}

#[tokio::test]
async fn a_poll_that_was_not_sent_did_not_fail() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    world.suggest(began + 20 * DAY, began + 21 * DAY, 6 * HOUR);
    world.poll_now().await;
    let failed = world.counted("renewal_info", false);
    let held = CaError::Paced {
        until: Until::named(began + 7 * HOUR, began, Purpose::RenewalInfo),
    };
    let starved = CaError::Local {
        detail: "Too many open files".into(),
    };
    for error in [held, starved] {
        world.ca.fail_at_renewals(error);
        world.poll_now().await;
        let info = world.renewal_info().await;
        assert_eq!(info.failures, 0);
        assert!(info.poll_at > world.service.now());
    }
    assert_eq!(world.counted("renewal_info", false), failed);
    assert_eq!(world.counted("ca", false), 1);
}

#[tokio::test]
async fn no_window_however_late_lets_a_certificate_expire() {
    for lifetime in LIFETIMES {
        let world = World::with_certificate_for(lifetime).await;
        let expires = world.service.now() + lifetime;
        world.suggest(expires + DAY, expires + 2 * DAY, 6 * HOUR);
        world.poll_now().await;
        assert!(
            world.renew_at().await <= expires - lifetime / 8,
            "{lifetime:?}"
        );
    }
}

#[tokio::test]
async fn a_ca_without_renewal_information_is_met_by_the_dates_alone() {
    for lifetime in LIFETIMES {
        let world = World::with_certificate_for(lifetime).await;
        let planned = world.renew_at().await;
        world.live_until(planned).await;
        world.settle().await;
        assert_eq!(world.certificates(), 2);
        assert_eq!(
            world.counted("renewal_info", true) + world.counted("renewal_info", false),
            0
        );
        assert!(world.history(EventKind::RenewalMoved).await.is_empty());
    }
}

#[tokio::test]
async fn a_moved_away_domain_stays_reported_while_the_ca_is_polled() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    world.suggest(began + 60 * DAY, began + 61 * DAY, HOUR);
    world.dns.clear(HOST);
    world.live_until(began + 3 * DAY).await;
    let record = world.record().await;
    assert_eq!(record.last_failure.unwrap().code(), FailureCode::DnsMoved);
    assert!(world.counted("renewal_info", true) > 10);
    // Each failed check waits longer, up to its own bound: the polls in between count for nothing.
    assert!(
        (10..=25).contains(
            &world
                .history(EventKind::Failed(FailureCode::DnsMoved))
                .await
                .len()
        )
    );
    world.dns.point(HOST);
    world.live_until(began + 4 * DAY).await;
    assert_eq!(world.record().await.last_failure, None);
}

#[tokio::test]
async fn another_ca_is_neither_polled_about_a_certificate_nor_sent_its_name() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    let asked = world.ca.asked().len();
    world.suggest(began + 20 * DAY, began + 21 * DAY, HOUR);
    world.ca.become_another();
    world.poll_now().await;
    assert_eq!(world.ca.asked().len(), asked);
    world.live_until(world.renew_at().await).await;
    world.settle().await;
    assert_eq!(world.ca.replaced(), [None, None]);
}

#[tokio::test]
async fn a_ca_is_asked_while_a_renewal_is_under_way_and_moves_nothing_then() {
    let world = World::with_certificate_for(90 * DAY).await;
    world.dns.clear(HOST);
    world
        .change(|record| record.phase = record.phase.clone().apply(Event::RenewalDue).unwrap())
        .await;
    world.settle().await;
    let now = world.service.now();
    world.suggest(now + DAY, now + 2 * DAY, 6 * HOUR);
    let before = world.record().await.phase;
    world.poll_now().await;
    assert_eq!(world.record().await.phase, before);
    assert!(world.history(EventKind::RenewalMoved).await.is_empty());
    // The order is free of the CA's limits inside the window, which is known all the same.
    world.live_until(now + DAY + HOUR).await;
    world.dns.point(HOST);
    world.live_until(now + 2 * DAY - HOUR).await;
    let orders = world.history(EventKind::OrderPlaced).await;
    assert_eq!(orders[0]["exemptFromLimits"], true, "{orders:?}");
}

#[tokio::test]
async fn a_renewal_moves_although_a_dns_check_is_under_way() {
    let world = World::with_certificate_for(90 * DAY).await;
    let began = world.service.now();
    world.suggest(began + 20 * DAY, began + 21 * DAY, 6 * HOUR);
    // A DNS check is under way.
    world.change(|_| ()).await;
    let lease = world.lease().await;
    let poll_at = world.renewal_info().await.poll_at;
    world.advance(poll_at.since(world.service.now()));
    assert_eq!(workers::poll_renewal_info(&world.service).await.unwrap(), 1);
    let moved = world.renew_at().await;
    assert!(moved >= began + 20 * DAY && moved < began + 21 * DAY);
    let until = began + 30 * DAY;
    let late = Outcome::Confirmed { until };
    assert!(
        !world.try_to_record_outcome(lease, late).await,
        "the check is made again"
    );
    world.settle().await;
    assert_eq!(world.renew_at().await, moved);
}

#[tokio::test]
async fn an_expired_certificate_is_not_polled() {
    let world = World::with_certificate_for(160 * HOUR).await;
    let began = world.service.now();
    world.dns.clear(HOST);
    world.live_until(began + 8 * DAY).await;
    let asked = world.ca.asked().len();
    world.live_until(began + 11 * DAY).await;
    assert_eq!(world.ca.asked().len(), asked);
}

#[tokio::test]
async fn polls_that_count_themselves_in_the_store_do_not_keep_answers_from_it() {
    let world = World::with_due_domain().await;
    for number in 2..40 {
        world
            .add(number, &format!("host-{number}.example.com"), "acme")
            .await;
    }
    world.settle().await;
    let now = world.service.now();
    world.suggest(now + 30 * DAY, now + 31 * DAY, 6 * HOUR);
    world.ca.count_polls_at(Arc::clone(&world.service.store));
    world.advance(HOUR);
    let asked = workers::poll_renewal_info(&world.service).await.unwrap();
    assert_eq!((asked, world.ca.asked().len()), (39, 39));
    for record in world.records().await {
        let poll = world.service.store.poll(record.id).await.unwrap().unwrap();
        assert!(poll.renewal_info.window.is_some(), "{}", record.hostname);
    }
}

#[tokio::test]
async fn a_certificate_that_must_go_makes_the_renewal_that_is_under_way_urgent() {
    let world = World::with_certificate_for(90 * DAY).await;
    world.dns.clear(HOST);
    world
        .change(|record| record.phase = record.phase.clone().apply(Event::RenewalDue).unwrap())
        .await;
    world.settle().await;
    assert_eq!(world.record().await.lane(), Some(Lane::Renewal));
    let now = world.service.now();
    world.suggest(now - HOUR, now - HOUR / 2, 6 * HOUR);
    let before = world.record().await.phase;
    world.poll_now().await;
    let record = world.record().await;
    assert_eq!((record.lane(), record.phase), (Some(Lane::Urgent), before));
    assert_eq!(world.history(EventKind::RenewalMoved).await.len(), 1);
    world.poll_now().await;
    assert_eq!(
        world.history(EventKind::RenewalMoved).await.len(),
        1,
        "it is logged once"
    );
}
