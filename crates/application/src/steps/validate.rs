//! Answer the challenge everywhere, tell the CA, and see the order become ready (RFC 8555 §7.5.1).

use std::time::Duration;

use dps_domain::{Event, Failure, FailureCode, OrderId};

use super::{Fault, Outcome, StepContext, Then, edges, ledger, moved, probe_http};
use crate::account::account;
use crate::crash_point::{self, Effect};
use crate::ports::ca::{Account, AuthorizationView, CaError, Http01, OrderStatus};
use crate::ports::store::{StoredChallenge, StoredOrder};
use crate::steps::finalize::{ended, pause};

/// The first pause between looks at the order; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Between two orders for a name that the CA validates by chance, and half as long at most on top: no more than four an hour, where a CA
/// lets five validations fail.
const BY_CHANCE: Duration = Duration::from_secs(15 * 60);
/// The longest pause between looks.
const LAST_PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn validate(context: &StepContext<'_>, id: OrderId) -> Result<Outcome, Fault> {
    let service = context.service;
    let Some(order) = service.store.order(id).await? else {
        return Err(Fault::Inconsistent(format!(
            "the order {id} of the record is not stored"
        )));
    };
    context.evidence.note("orderUrl", order.url.as_str());
    let account = account(service).await?;
    let outcome = match prove(context, &account, &order).await {
        Ok(outcome) => outcome,
        Err(Fault::Ca(error)) => {
            match &error {
                CaError::Validation { .. } => ledger::validation_failed(context),
                CaError::OrderGone { .. } | CaError::RejectedIdentifier { .. } => ledger::order_lost(context),
                _ => {}
            }
            if matches!(
                error,
                CaError::OrderGone { .. } | CaError::Validation { .. } | CaError::RejectedIdentifier { .. }
            ) {
                service.store.order_close(id).await?;
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
    if !still_needed && let Some(challenge) = service.store.challenge(id).await? {
        crash_point::before(Effect::ChallengeWithdraw);
        edges::withdraw_stored(service, &challenge).await;
        crash_point::after(Effect::ChallengeWithdraw);
    }
    Ok(outcome)
}

async fn prove(context: &StepContext<'_>, account: &Account, order: &StoredOrder) -> Result<Outcome, Fault> {
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
            service.ca.acknowledge(account, &order.url, &challenge).await?;
            crash_point::after(Effect::ChallengeAcknowledge);
        }
    }
    let outcome = watch(context, account, order).await?;
    if matches!(outcome, Outcome::Moved { .. }) {
        ledger::validated(context, proven);
    }
    Ok(outcome)
}

/// Publishes the challenge at every live edge. An outcome means that one could not, which is ours to wait out.
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
    context.evidence.note("challengeUrl", challenge.url.as_str());
    service.store.challenge_put(&stored).await?;
    crash_point::after(Effect::ChallengeSave);
    crash_point::before(Effect::ChallengePublish);
    let published = edges::publish(service, &challenge.token, &challenge.key_authorization).await?;
    crash_point::after(Effect::ChallengePublish);
    Ok(published.err().map(|unreached| unreached.settle(context)))
}

/// Looks at the order until it is decided or patience ends.
async fn watch(context: &StepContext<'_>, account: &Account, order: &StoredOrder) -> Result<Outcome, Fault> {
    let service = context.service;
    let ends = context.patience_ends();
    let mut wait = FIRST_PAUSE;
    loop {
        let view = service.ca.order(account, &order.url).await?;
        match view.status {
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                return Ok(moved(Event::OrderReady, "order.ready"));
            }
            OrderStatus::Invalid => {
                let failure = match service.ca.authorization(account, &order.url).await? {
                    AuthorizationView::Invalid(failure) => failure,
                    AuthorizationView::Valid
                    | AuthorizationView::Pending(_)
                    | AuthorizationView::Processing(_) => view.failure.unwrap_or(Failure::Internal {
                        detail: "the order became invalid without a reason".into(),
                    }),
                };
                return invalid(context, order, failure).await;
            }
            OrderStatus::Pending => {}
        }
        if let Some(ended) = ended(context, order, &view).await? {
            return Ok(ended);
        }
        if let Some(waiting) = pause(context, &view, &mut wait, LAST_PAUSE, ends).await {
            return Ok(waiting);
        }
    }
}

/// The order is dead: a failed challenge cannot be tried again (RFC 8555 §7.1.6).
async fn invalid(context: &StepContext<'_>, order: &StoredOrder, failure: Failure) -> Result<Outcome, Fault> {
    context.service.store.order_close(order.id).await?;
    match failure.code() {
        FailureCode::AcmeValidationFailed => ledger::validation_failed(context),
        _ => ledger::order_lost(context),
    }
    let rest = failure.counts_against_domain();
    match &failure {
        Failure::AcmeValidationFailed { sub_cause, detail } if sub_cause == "connection" => {
            Ok(not_connected(context, &failure, detail).await)
        }
        _ => Ok(context.failed(failure, Then::NewOrder { rest })),
    }
}

/// The CA could not connect. While the name points at us and nowhere else, it is our edge that it did not reach: an outage of
/// ours, even if it is over by now. The name rests nevertheless when we see nothing wrong, because the CA counts the failure. While an edge
/// is absent, chance decides which address the CA takes, and the rest does not grow.
async fn not_connected(context: &StepContext<'_>, failure: &Failure, detail: &str) -> Outcome {
    let ours = || Failure::EdgeUnreachable {
        edge: "port 80".into(),
        detail: format!("the CA says: {detail}"),
    };
    match probe_http::probe(context).await {
        Ok(probed) if probed.absent > 0 => {
            let service = context.service;
            let rest = BY_CHANCE.mul_f64(1.0 + service.randomness.unit() / 2.0);
            context.failed(ours(), Then::NewOrderAt(service.now() + rest))
        }
        Ok(_) => context.failed(ours(), Then::NewOrder { rest: true }),
        Err(found) if found.failure.code() == FailureCode::EdgeUnreachable => {
            context.failed(found.failure, Then::NewOrder { rest: false })
        }
        Err(_) => context.failed(failure.clone(), Then::NewOrder { rest: true }),
    }
}
