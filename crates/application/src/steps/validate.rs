//! Publishes the challenge, acknowledges it at the CA, and polls the order until it is ready (RFC
//! 8555 §7.5.1).

use std::time::Duration;

use dps_domain::backoff::spread;
use dps_domain::limits::OrderEffect;
use dps_domain::{Event, EventKind, Failure, FailureCode, OrderId};
use serde_json::json;

use super::context::{StepContext, moved};
use super::edges;
use super::fault::Fault;
use super::probe_http::{self, Reached, Unready};
use crate::ca::account::account;
use crate::crash_point::{self, Effect};
use crate::ports::ca::{
    Account, AuthorizationView, CaDisposition, CaError, Http01, LostOrder, OrderStatus,
};
use crate::ports::store::{StoredChallenge, StoredOrder};
use crate::steps::finalize::{ended, pause};
use dps_domain::outcome::{Outcome, Then};

/// The first pause between polls of the order; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Shortest pause between two orders for a name that the CA validates by chance; up to half of it
/// is added. It allows four an hour, and a CA allows five failed validations.
const BY_CHANCE: Duration = Duration::from_secs(15 * 60);
/// The longest pause between polls.
const LAST_PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn validate(context: &StepContext<'_>, id: OrderId) -> Result<Outcome, Fault> {
    let service = context.service;
    let Some(order) = service.store.order(id).await? else {
        return Err(Fault::Inconsistent(format!(
            "the order {id} of the record is not stored"
        )));
    };
    context.evidence.note("orderUrl", order.url.as_str());
    if context.is_of_another_directory(&order).await? {
        service.store.order_close(id, service.now()).await?;
        context.evidence.order(OrderEffect::Lost);
        edges::withdraw_of(service, id).await?;
        return Err(Fault::Ca(CaError::OrderGone {
            detail: format!("it was placed at {}", order.directory_url),
        }));
    }
    let account = account(service).await?;
    let outcome = match prove(context, &account, &order).await {
        Ok(outcome) => outcome,
        Err(Fault::Ca(error)) => {
            if let CaDisposition::OrderLost(reason) = error.disposition() {
                match reason {
                    LostOrder::ValidationFailed => {
                        context.evidence.order(OrderEffect::ValidationFailed);
                    }
                    LostOrder::Gone | LostOrder::NameRejected => {
                        context.evidence.order(OrderEffect::Lost);
                    }
                }
                service.store.order_close(id, service.now()).await?;
                edges::withdraw_of(service, id).await?;
            }
            return Err(Fault::Ca(error));
        }
        Err(fault) => return Err(fault),
    };
    let still_needed = matches!(outcome, Outcome::Waiting { .. })
        || matches!(
            outcome,
            Outcome::Failed {
                then: Then::Retry | Then::RetryBy(_),
                ..
            }
        );
    if !still_needed {
        edges::withdraw_of(service, id).await?;
    }
    Ok(outcome)
}

async fn prove(
    context: &StepContext<'_>,
    account: &Account,
    order: &StoredOrder,
) -> Result<Outcome, Fault> {
    let service = context.service;
    let authorization = service.ca.authorization(account, &order.url).await?;
    let proven = !matches!(authorization, AuthorizationView::Valid);
    match authorization {
        AuthorizationView::Valid => {}
        AuthorizationView::Invalid(failure) => return invalid(context, order, failure).await,
        AuthorizationView::Processing(challenge) => {
            if let Some(outcome) = publish(context, order, &challenge).await? {
                return Ok(outcome);
            }
        }
        AuthorizationView::Pending(challenge) => {
            if let Some(outcome) = publish(context, order, &challenge).await? {
                return Ok(outcome);
            }
            crash_point::before(Effect::ChallengeAcknowledge);
            service
                .ca
                .acknowledge(account, &order.url, &challenge)
                .await?;
            crash_point::after(Effect::ChallengeAcknowledge);
        }
    }
    let outcome = watch(context, account, order).await?;
    let is_ready = matches!(
        outcome,
        Outcome::Moved {
            event: Event::OrderReady,
            ..
        }
    );
    if is_ready {
        context.evidence.order(OrderEffect::Validated { proven });
    }
    Ok(outcome)
}

/// Publishes the challenge at every live edge. An outcome means that one could not, which is ours
/// to wait out.
async fn publish(
    context: &StepContext<'_>,
    order: &StoredOrder,
    challenge: &Http01,
) -> Result<Option<Outcome>, Fault> {
    let service = context.service;
    let stored = StoredChallenge {
        order_id: order.id,
        url: challenge.url.clone(),
        token: challenge.token.clone(),
        key_authorization: challenge.key_authorization.clone(),
    };
    crash_point::before(Effect::ChallengeSave);
    context
        .evidence
        .note("challengeUrl", challenge.url.as_str());
    service.store.challenge_put(&stored).await?;
    crash_point::after(Effect::ChallengeSave);
    crash_point::before(Effect::ChallengePublish);
    let published = edges::publish(service, &challenge.token, &challenge.key_authorization).await?;
    crash_point::after(Effect::ChallengePublish);
    Ok(published
        .err()
        .map(|unreached| unreached.into_outcome(context)))
}

/// Polls the order until it is decided or the timeout ends.
async fn watch(
    context: &StepContext<'_>,
    account: &Account,
    order: &StoredOrder,
) -> Result<Outcome, Fault> {
    let service = context.service;
    let ends = context.times_out_at();
    let mut wait = FIRST_PAUSE;
    loop {
        let view = service.ca.order(account, &order.url).await?;
        match view.status {
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                return Ok(moved(Event::OrderReady, EventKind::OrderReady));
            }
            OrderStatus::Invalid => {
                let failure = match service.ca.authorization(account, &order.url).await? {
                    AuthorizationView::Invalid(failure) => failure,
                    AuthorizationView::Valid
                    | AuthorizationView::Pending(_)
                    | AuthorizationView::Processing(_) => {
                        view.failure.unwrap_or(Failure::Internal {
                            detail: "the order became invalid without a reason".into(),
                        })
                    }
                };
                return invalid(context, order, failure).await;
            }
            OrderStatus::Pending => {}
        }
        if let Some(ended) = ended(context, order, &view).await? {
            return Ok(ended);
        }
        if let Some(waiting) = pause(context, order, &view, &mut wait, LAST_PAUSE, ends).await {
            return Ok(waiting);
        }
    }
}

/// The order is dead: a failed challenge cannot be tried again (RFC 8555 §7.1.6).
async fn invalid(
    context: &StepContext<'_>,
    order: &StoredOrder,
    failure: Failure,
) -> Result<Outcome, Fault> {
    context
        .service
        .store
        .order_close(order.id, context.service.now())
        .await?;
    match failure.code() {
        FailureCode::AcmeValidationFailed => context.evidence.order(OrderEffect::ValidationFailed),
        _ => context.evidence.order(OrderEffect::Refused),
    }
    let pause = failure.counts_against_domain();
    match &failure {
        Failure::AcmeValidationFailed {
            sub_cause, detail, ..
        } if is_about_our_answer(sub_cause) => {
            Ok(after_unmet_challenge(context, &failure, sub_cause, detail).await)
        }
        _ => Ok(Outcome::failed(failure, Then::NewOrder { pause })),
    }
}

/// Whether the CA found the name's addresses, and did not get the challenge's answer there (RFC
/// 8555 §6.7).
fn is_about_our_answer(sub_cause: &str) -> bool {
    matches!(
        sub_cause,
        "connection" | "unauthorized" | "incorrectResponse"
    )
}

/// The outcome when the CA did not get our answer. To the CA, an edge or agent that was restarted
/// after the acknowledgement is a wrong server. So the whole path is probed again first.
async fn after_unmet_challenge(
    context: &StepContext<'_>,
    failure: &Failure,
    sub_cause: &str,
    detail: &str,
) -> Outcome {
    let service = context.service;
    let is_first = context.record.failed_validations == 0;
    match probe_http::probe(context).await {
        // Chance decides which address the CA takes, so the pause does not grow. Where we cannot
        // see our edges, the CA's word alone is no reason to blame the customer.
        Ok(Reached::AllBut { unreachable: 1.. } | Reached::NotFromHere) => {
            let ours = Failure::EdgeUnreachable {
                edge: "port 80".into(),
                detail: format!("the CA says: {detail}"),
            };
            let pause = spread(BY_CHANCE, 1.0..=1.5, service.randomness.unit());
            Outcome::failed(ours, Then::NewOrderAt(service.now() + pause))
        }
        // The path is right now. Once, that is taken for a moment's outage of ours, and not
        // reported.
        Ok(_) if is_first => unconfirmed(sub_cause, detail),
        Ok(Reached::NotTried) => Outcome::failed(failure.clone(), Then::NewOrder { pause: true }),
        // Twice, the CA sees other records than we do, or is kept out.
        Ok(_) => {
            let split = Failure::AcmeValidationFailed {
                sub_cause: sub_cause.to_owned(),
                detail: detail.to_owned(),
                reached_by_us: true,
            };
            Outcome::failed(split, Then::NewOrder { pause: true })
        }
        Err(Unready::Failed { failure: found, .. } | Unready::Answered(found))
            if found.code() == FailureCode::EdgeUnreachable =>
        {
            Outcome::failed(found, Then::NewOrder { pause: false })
        }
        Err(Unready::Failed { .. } | Unready::Answered(_)) => {
            Outcome::failed(failure.clone(), Then::NewOrder { pause: true })
        }
        Err(Unready::Local {
            party,
            detail: fault,
        }) => {
            service.local_fault(party, &fault);
            context.evidence.note("machineFailed", fault.as_str());
            if is_first {
                return unconfirmed(sub_cause, detail);
            }
            let unknown = Failure::Internal {
                detail: format!(
                    "our own machine cannot determine why the validation failed: {fault}"
                ),
            };
            Outcome::failed(unknown, Then::NewOrder { pause: true })
        }
    }
}

fn unconfirmed(sub_cause: &str, detail: &str) -> Outcome {
    Outcome::Moved {
        event: Event::ValidationUnconfirmed,
        kind: EventKind::ValidationUnconfirmed,
        detail: json!({ "subCause": sub_cause, "detail": detail }),
    }
}
