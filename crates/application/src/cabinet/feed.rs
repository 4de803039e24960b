//! Follows the Cabinet's change feed, and polls the pending statuses while there is none.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::{Timestamp, with_causes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::{FeedPace, FeedPage};
use super::polling::{IntakeError, align_page, poll_once};
use super::resync::task::TASK;
use crate::ports::cabinet::{CabinetFault, CabinetPage};
use crate::ports::metrics::LocalParty;
use crate::service::Service;

const FEED_CURSOR: &str = "cabinet.changes";
const FEED_WAIT: Duration = Duration::from_secs(25);
/// The pause before a feed that is not offered is requested again.
const FEED_PAUSE: Duration = Duration::from_secs(600);
/// The pause after the Cabinet or the store failed.
const FAULTS: Backoff = Backoff {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(30),
};

/// Follows the Cabinet's change feed while it offers one. Polls the pending statuses while it does
/// not or the feed fails. The resync finds what either misses.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut intake = Intake::default();
    loop {
        let pause = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            pause = intake.round(&service) => pause,
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes domains in, and remembers whether the Cabinet offers its feed.
#[derive(Debug, Default)]
pub struct Intake {
    /// The feed is not offered; it is not requested before this moment.
    feed_not_before: Option<Timestamp>,
    feed: FeedPace,
    faults: u32,
}

impl Intake {
    /// Reads one page of the feed, or polls once. Returns the wait before the next.
    pub async fn round(&mut self, service: &Service) -> Duration {
        service.cabinet_health.begin(service.now());
        match self.run_pass(service).await {
            Ok(pause) => {
                self.faults = 0;
                service.cabinet_health.up(true);
                pause
            }
            Err(IntakeError::Cabinet(error)) if error.fault == CabinetFault::Local => {
                service.local_fault(LocalParty::Cabinet, &error.detail);
                FAULTS.delay(1, service.randomness.unit())
            }
            Err(error) => {
                if matches!(error, IntakeError::Cabinet(_)) {
                    service.cabinet_health.up(false);
                }
                self.faults = self.faults.saturating_add(1);
                tracing::warn!(error = %with_causes(&error), "intake.failed");
                let pause = FAULTS.delay(self.faults, service.randomness.unit());
                match error {
                    IntakeError::Cabinet(error) => error.retry_after.unwrap_or_default().max(pause),
                    IntakeError::Store(_) => pause,
                }
            }
        }
    }

    async fn run_pass(&mut self, service: &Service) -> Result<Duration, IntakeError> {
        let now = service.now();
        // A clock that was set back must not keep us from the feed.
        let is_paused = |until: Timestamp| now < until && until.since(now) <= FEED_PAUSE;
        if !self.feed_not_before.is_some_and(is_paused) {
            match self.follow_once(service).await {
                Ok(Some(pause)) => return Ok(pause),
                Ok(None) => self.feed_not_before = Some(now + FEED_PAUSE),
                // The feed alone may be out of order.
                Err(IntakeError::Cabinet(error)) if error.fault == CabinetFault::Call => {
                    tracing::warn!(%error, "intake.feed_failed");
                }
                Err(error) => return Err(error),
            }
        }
        let polled = poll_once(service).await;
        if polled.is_err() {
            // Both may have met the same wrong route: that the feed is not offered is not known.
            self.feed_not_before = None;
        }
        let rounds: Vec<&str> = polled?.iter().map(|status| status.as_str()).collect();
        let problem = (!rounds.is_empty()).then(|| {
            let rounds = rounds.join(" and ");
            format!("the Cabinet's list of {rounds} comes back to pages that were read already")
        });
        note_progress(service, problem.as_deref());
        Ok(service.policy.intake_interval)
    }

    /// One page of the feed. Returns how long to wait before the next; `None` when it is not
    /// offered.
    async fn follow_once(&mut self, service: &Service) -> Result<Option<Duration>, IntakeError> {
        let cursor = service.store.cursor(FEED_CURSOR).await?;
        let after = cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let began = Instant::now();
        let (page, next) = match service.cabinet.changes(after, FEED_WAIT).await {
            Ok(None) => return Ok(None),
            Ok(Some(mut page)) => {
                let next = page.next.take();
                (page, next)
            }
            // Such as after a Cabinet was restored from a backup. Reading the feed from its start
            // again is harmless; what went backwards there is found by a resync.
            Err(error) if error.fault == CabinetFault::CursorUnknown && after.is_some() => {
                tracing::warn!(%error, "intake.feed_restarted");
                service.store.periodic_make_due(TASK, service.now()).await?;
                self.feed = FeedPace::default();
                (CabinetPage::default(), Some(String::new()))
            }
            Err(error) => return Err(error.into()),
        };
        let took = began.elapsed();
        let is_news = align_page(service, &page).await?;
        let verdict = self.feed.after(FeedPage {
            next: next.as_deref().unwrap_or_default(),
            has_items: !page.domains.is_empty() || !page.refused.is_empty(),
            is_news,
            took,
        });
        if let Some(next) = next.filter(|next| Some(next) != cursor.as_ref()) {
            // Another replica that was faster has moved it: ours would be older.
            service
                .store
                .cursor_advance(FEED_CURSOR, cursor.as_deref(), &next)
                .await?;
        }
        let problem = "the Cabinet's change feed comes back to pages that were read already";
        note_progress(service, verdict.goes_round.then_some(problem));
        Ok(Some(verdict.pause))
    }
}

/// Notes that a pass ended, and says once when something is wrong with it and when it is right
/// again.
fn note_progress(service: &Service, problem: Option<&str>) {
    let is_new = service.cabinet_health.problem(problem);
    match problem {
        Some(problem) if is_new => tracing::error!(problem, "intake.feed_looped"),
        Some(_) => {}
        None => {
            if is_new {
                tracing::info!("intake.recovered");
            }
            service.cabinet_health.good_pass(service.now());
        }
    }
}
