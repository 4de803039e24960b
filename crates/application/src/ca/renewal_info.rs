//! Asks the CA when the certificates that are served should be renewed (RFC 9773). Whatever comes
//! of it, the renewal by a certificate's own dates stands.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::record::renewal::apply_renewal_info;
use dps_domain::renewal::info::{RenewalInfo, RenewalInfoOutcome, RenewalPlan};
use dps_domain::with_causes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::ca::{CaDisposition, CaError};
use crate::ports::metrics::LocalParty;
use crate::ports::renewal_info::RenewalInfoPoll;
use crate::ports::store::StoreError;
use crate::service::Service;
use crate::wake::Wakes;

/// Polls claimed in one transaction, at most.
const PAGE: usize = 256;
/// How many of a page are polled one after the other where the concurrency is low.
const IN_TURN: usize = 16;
/// How long a claim lasts: twice what a page takes when the CA answers nothing.
const CLAIM: Duration = Duration::from_secs(10 * 60);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// How often a record is written that others write at the same time.
const TRIES: usize = 3;

/// Polls what is due until `shutdown`. Polls without an answer by then are due again when their
/// claim ends.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let work = async {
        loop {
            // In a task of its own, so that a panic costs a page. It ends with the set.
            let mut page = JoinSet::new();
            let polled = Arc::clone(&service);
            page.spawn(async move { poll_renewal_info(&polled).await });
            let pause = match page.join_next().await {
                Some(Ok(Ok(1..))) => continue,
                Some(Ok(Ok(0))) | None => service.policy.poll_interval,
                Some(Ok(Err(error))) => {
                    tracing::error!(error = %with_causes(&error), "renewal_info.poll_failed");
                    STORE_PAUSE
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "renewal_info.poll_failed");
                    STORE_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Asks the CA a page of what is due now, and records what it says; returns how many polls there
/// were.
///
/// The whole page is polled before any answer is written. A poll may hold a connection to the store
/// meanwhile, to count itself against the CA's limits, and must not wait for such writes.
pub async fn poll_renewal_info(service: &Service) -> Result<usize, StoreError> {
    let at_once = service.policy.recheck.concurrency.max(1);
    let now = service.now();
    let limit = PAGE.min(at_once.saturating_mul(IN_TURN));
    let polls = service
        .store
        .renewal_info_claim(now, now + CLAIM, limit)
        .await?;
    let claimed = polls.len();
    let answers: Vec<_> = stream::iter(polls)
        .map(|poll| answered_caught(service, poll))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let mut known = Vec::with_capacity(answers.len());
    for (poll, info, plan) in answers.into_iter().flatten() {
        let moved = match plan {
            Some(plan) => move_renewal(service, &poll, &info, plan).await,
            None => Ok(false),
        };
        match moved {
            Ok(true) => {}
            Ok(false) => known.push((poll, info)),
            // It keeps no other from being recorded, and is polled again when its claim ends.
            Err(error) => tracing::error!(
                domain.id = %poll.domain_id, domain.hostname = %poll.hostname,
                error = %with_causes(&error), "renewal.not_moved"
            ),
        }
    }
    if !known.is_empty() {
        service.store.renewal_info_store(&known).await?;
    }
    Ok(claimed)
}

/// As [`answered`]; a poll that panics takes no other along, and is polled again when its claim
/// ends.
async fn answered_caught(service: &Service, poll: RenewalInfoPoll) -> Option<Answered> {
    let id = poll.domain_id;
    let answer = AssertUnwindSafe(answered(service, poll)).catch_unwind();
    answer
        .await
        .inspect_err(|_| tracing::error!(domain.id = %id, "renewal_info.poll_panicked"))
        .ok()
}

/// A poll, the information after it, and the renewal's new moment if the CA's window changed.
type Answered = (RenewalInfoPoll, RenewalInfo, Option<RenewalPlan>);

async fn answered(service: &Service, poll: RenewalInfoPoll) -> Answered {
    let answer = answer(service, &poll).await;
    let (now, random) = (service.now(), service.randomness.unit());
    let info = poll.renewal_info.after(&answer, now, random);
    let info = info.in_time_for(poll.validity.1, now);
    let plan = poll.renewal_info.replan(&info, poll.validity, now, random);
    explain(&poll, &info);
    (poll, info, plan)
}

/// A certificate that has no name at our CA is not polled for, nor one whose time is over.
async fn answer(service: &Service, poll: &RenewalInfoPoll) -> RenewalInfoOutcome {
    let ours = *poll.directory_url == *service.ca.directory_url();
    let valid = service.now() < poll.validity.1;
    let Some(ari_id) = poll.ari_id.as_ref().filter(|_| ours && valid) else {
        return RenewalInfoOutcome::NotOffered;
    };
    let timeout = service.policy.ca_timeout;
    let answer = tokio::time::timeout(timeout, service.ca.renewal_info(ari_id)).await;
    let error = match answer.unwrap_or_else(|_| Err(no_answer())) {
        Ok(None) => return RenewalInfoOutcome::NotOffered,
        Ok(Some(info)) => {
            service.metrics.renewal_info(true);
            return RenewalInfoOutcome::Window {
                window: info.window,
                explanation_url: info.explanation_url,
                poll_again_at: info.poll_again_at,
            };
        }
        Err(error) => error,
    };
    let answer = match error.disposition() {
        // A poll that was not sent did not fail.
        CaDisposition::Local => {
            service.local_fault(LocalParty::Ca, error.detail());
            return RenewalInfoOutcome::Unasked { until: None };
        }
        CaDisposition::Paced { until } => {
            return RenewalInfoOutcome::Unasked { until: Some(until) };
        }
        CaDisposition::Unavailable { until } | CaDisposition::RateLimited { until } => {
            RenewalInfoOutcome::Unavailable { until }
        }
        CaDisposition::NamePaused | CaDisposition::OrderLost(_) | CaDisposition::Refused(_) => {
            RenewalInfoOutcome::Refused
        }
    };
    service.metrics.renewal_info(false);
    tracing::info!(
        domain.id = %poll.domain_id, domain.hostname = %poll.hostname,
        error = %with_causes(&error), "renewal_info.failed"
    );
    answer
}

fn no_answer() -> CaError {
    CaError::Unreachable {
        detail: "no answer in time".into(),
    }
}

/// Moves the renewal of a domain and records why, in one write. Returns whether the poll is done
/// with: it is not where there is nothing to move. When others write the record all the while, or
/// it was polled meanwhile, it is left as it is.
async fn move_renewal(
    service: &Service,
    poll: &RenewalInfoPoll,
    info: &RenewalInfo,
    plan: RenewalPlan,
) -> Result<bool, StoreError> {
    let began = Instant::now();
    for _ in 0..TRIES {
        let record = service.store.domain(poll.domain_id).await?;
        let Some(record) =
            record.filter(|record| record.phase.serving() == Some(poll.certificate_id))
        else {
            return Ok(false);
        };
        // After the record: who moves the renewal from here on changes its revision.
        let claim = service.store.poll(poll.domain_id).await?;
        if claim.is_none_or(|claim| claim.renewal_info.poll_at != poll.renewal_info.poll_at) {
            return Ok(true);
        }
        let issued = service.store.certificate(poll.certificate_id).await?;
        let now = service.now();
        // A clock that was ahead when the certificate was stored must not put its renewal off.
        let issued_at = issued.map_or(now, |stored| stored.certificate.created_at.min(now));
        let plan = plan.after_issuance(issued_at, poll.validity);
        let context = service.settle_context(began.elapsed(), 0.0);
        let Some(write) = apply_renewal_info(&record, info, plan, &context) else {
            return Ok(false);
        };
        let wakes = Wakes::of(&write, context.now);
        if service.store.domain_update(write).await? {
            wakes.notify(&service.waker);
            tracing::info!(
                domain.id = %poll.domain_id, domain.hostname = %poll.hostname, renew_at = %plan.renew_at,
                urgent = plan.is_urgent(), "renewal.moved"
            );
            return Ok(true);
        }
    }
    tracing::info!(domain.id = %poll.domain_id, domain.hostname = %poll.hostname, "renewal.not_moved");
    Ok(true)
}

/// A CA that explains itself wants people to read it.
fn explain(poll: &RenewalInfoPoll, info: &RenewalInfo) {
    if let Some(url) = &info.explanation_url
        && poll.renewal_info.explanation_url != info.explanation_url
    {
        tracing::warn!(
            domain.id = %poll.domain_id, domain.hostname = %poll.hostname,
            explanation_url = url, "renewal_info.explained"
        );
    }
}
