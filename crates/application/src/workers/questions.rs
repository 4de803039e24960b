//! Asks the CA when the certificates that are served should be renewed (RFC 9773). Whatever comes of it, the renewal by a certificate's
//! own dates stands.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::phase::{Next, Phase};
use dps_domain::renewal::advice::{RenewalAdvice, RenewalAnswer, RenewalPlan};
use dps_domain::with_causes;
use futures_util::{StreamExt as _, stream};
use serde_json::Map;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lane::Wakes;
use crate::ports::advice::RenewalQuestion;
use crate::ports::ca::CaError;
use crate::ports::store::{DomainRecord, StoreError};
use crate::service::Service;
use crate::settle::{Facts, advised};

/// Questions claimed in one transaction.
const PAGE: usize = 256;
/// How long a claim lasts. A page takes half of that when the CA answers nothing, with a concurrency of one in sixteen.
const CLAIM: Duration = Duration::from_secs(10 * 60);
/// Nobody waits for an answer: those due within so much of each other are asked for together.
const GATHERING: Duration = Duration::from_secs(60);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// How often a record is written that somebody else writes at the same time.
const TRIES: usize = 3;

/// Asks what is due until `shutdown`. What is not answered by then is due again when its claim ends.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let work = async {
        loop {
            let pause = match ask(&service).await {
                Ok(PAGE) => continue,
                Ok(_) => pause(&service).await,
                Err(error) => Err(error),
            };
            let pause = pause.unwrap_or_else(|error| {
                tracing::error!(error = %with_causes(&error), "questions.not_asked");
                STORE_PAUSE
            });
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

async fn pause(service: &Service) -> Result<Duration, StoreError> {
    let glance = service.policy.glance;
    let due = service.store.questions_next_due().await?;
    Ok(due.map_or(glance, |due| (due.since(service.now()) + GATHERING).min(glance)))
}

/// Asks the CA a page of what is due now, and records what it says; answers how many questions there were.
pub async fn ask(service: &Service) -> Result<usize, StoreError> {
    let now = service.now();
    let questions = service.store.questions_claim(now, now + CLAIM, PAGE).await?;
    let claimed = questions.len();
    let mut answers = stream::iter(questions)
        .map(|question| answered(service, question))
        .buffer_unordered(service.policy.recheck.concurrency.max(1))
        .ready_chunks(PAGE);
    while let Some(some) = answers.next().await {
        let mut known = Vec::with_capacity(some.len());
        for (question, advice, plan) in some {
            match plan {
                Some(plan) if move_renewal(service, &question, &advice, plan).await? => {}
                Some(_) | None => known.push((question, advice)),
            }
        }
        if !known.is_empty() {
            service.store.questions_answered(&known).await?;
        }
    }
    Ok(claimed)
}

/// The question, what is known after it was asked, and the renewal's new moment if the CA's wish changed.
async fn answered(
    service: &Service,
    question: RenewalQuestion,
) -> (RenewalQuestion, RenewalAdvice, Option<RenewalPlan>) {
    let answer = answer(service, &question).await;
    let (now, random) = (service.now(), service.randomness.unit());
    let advice = question.advice.after(&answer, now, random);
    let plan = question.advice.replan(&advice, question.validity, now, random);
    explain(&question, &advice);
    (question, advice, plan)
}

/// A certificate that has no name at our CA is not asked about, nor one whose time is over.
async fn answer(service: &Service, question: &RenewalQuestion) -> RenewalAnswer {
    let ours = *question.directory_url == *service.ca.directory_url();
    let valid = service.now() < question.validity.1;
    let Some(ari_id) = question.ari_id.as_ref().filter(|_| ours && valid) else {
        return RenewalAnswer::NotOffered;
    };
    let patience = service.policy.ca_patience;
    let asked = tokio::time::timeout(patience, service.ca.renewal_info(ari_id)).await;
    let error = match asked.unwrap_or_else(|_| Err(no_answer())) {
        Ok(None) => return RenewalAnswer::NotOffered,
        Ok(Some(info)) => {
            service.metrics.renewal_info(true);
            return RenewalAnswer::Window {
                window: info.window,
                explanation_url: info.explanation_url,
                ask_again_at: info.ask_again_at,
            };
        }
        Err(error) => error,
    };
    service.metrics.renewal_info(false);
    tracing::info!(
        domain.id = %question.domain_id, domain.hostname = %question.hostname,
        error = %with_causes(&error), "renewal_info.failed"
    );
    match error {
        CaError::Unavailable { retry_after, .. } => RenewalAnswer::Unavailable { until: retry_after },
        CaError::RateLimited { until, .. } => RenewalAnswer::Unavailable { until },
        CaError::Paused { .. }
        | CaError::RejectedIdentifier { .. }
        | CaError::Validation { .. }
        | CaError::OrderGone { .. }
        | CaError::Account { .. }
        | CaError::Malformed { .. } => RenewalAnswer::Refused,
    }
}

fn no_answer() -> CaError {
    CaError::Unavailable {
        detail: "no answer in time".into(),
        retry_after: None,
    }
}

/// Moves the renewal of a domain and records why, in one write. Answers whether it did: not while a renewal is under way already, whose
/// moment has come. When others write the record all the while, the question is due again at the end of its claim, as if nobody had
/// asked it.
async fn move_renewal(
    service: &Service,
    question: &RenewalQuestion,
    advice: &RenewalAdvice,
    plan: RenewalPlan,
) -> Result<bool, StoreError> {
    let began = Instant::now();
    for _ in 0..TRIES {
        let record = service.store.domain(question.domain_id).await?;
        let Some(record) = record.filter(|record| rests(record, question)) else {
            return Ok(false);
        };
        let facts = Facts {
            policy: &service.policy,
            now: service.now(),
            jitter: 0.0,
            took: began.elapsed(),
            replica: &service.replica,
            evidence: &Map::new(),
        };
        let Ok(completion) = advised(record, advice.clone(), plan, &facts) else {
            return Ok(false);
        };
        let wakes = Wakes::of(&completion, facts.now);
        if service.store.domain_update(completion).await? {
            wakes.ring(service);
            tracing::info!(
                domain.id = %question.domain_id, domain.hostname = %question.hostname, renew_at = %plan.renew_at,
                urgent = plan.is_urgent(), "renewal.moved"
            );
            return Ok(true);
        }
    }
    tracing::info!(domain.id = %question.domain_id, domain.hostname = %question.hostname, "renewal.not_moved");
    Ok(true)
}

/// Whether the record serves the certificate in question and no renewal is under way.
fn rests(record: &DomainRecord, question: &RenewalQuestion) -> bool {
    matches!(
        record.phase,
        Phase::Live { serving, next: Next::At(_), .. } if serving == question.certificate_id
    )
}

/// A CA that explains itself wants people to read it.
fn explain(question: &RenewalQuestion, advice: &RenewalAdvice) {
    if let Some(url) = &advice.explanation_url
        && question.advice.explanation_url != advice.explanation_url
    {
        tracing::warn!(
            domain.id = %question.domain_id, domain.hostname = %question.hostname,
            explanation_url = url, "renewal_info.explained"
        );
    }
}
