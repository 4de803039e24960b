//! The table of steps. A step is one leased unit of work: it reads the record, decides, acts
//! through a port, and returns the outcome.

mod begin_renewal;
mod check_caa;
mod check_dns;
mod check_ownership;
mod context;
mod debit;
mod deploy;
mod edges;
mod expire;
mod fault;
mod finalize;
mod place_order;
mod probe_http;
mod recheck;
mod revoke;
mod settle_fault;
mod undeploy;
mod validate;

use dps_domain::decide::{Action, next_action};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::{Failure, LeaseToken, with_causes};
use tokio::time::Instant;

use self::context::StepContext;
use self::fault::Fault;
pub use crate::observe::Evidence;
use crate::ports::store::DomainRecord;
use crate::service::Service;

/// Makes the one step of the record's phase, under the lease of `token`. `deadline` is
/// when the lease must be released, on the monotonic clock. `evidence` takes the observations.
pub async fn step(
    service: &Service,
    record: &DomainRecord,
    token: LeaseToken,
    deadline: Instant,
    evidence: &Evidence,
) -> Outcome {
    let context = StepContext {
        service,
        record,
        token,
        deadline,
        evidence,
    };
    let outcome = act(&context)
        .await
        .unwrap_or_else(|fault| context.settle_fault(fault));
    if let Outcome::Failed { failure, .. } = &outcome {
        service.outages.note(record.id, failure);
    }
    if matches!(
        &outcome,
        Outcome::Failed {
            failure: Failure::AcmeAccount { .. },
            ..
        }
    ) {
        service.metrics.acme_account(false);
        if let Err(error) = crate::ca::account::register_again(service).await {
            tracing::error!(error = %with_causes(&error), "account.unusable");
        }
    }
    outcome
}

/// The large steps are boxed, so that the many small ones take little room.
async fn act(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let record = context.record;
    match next_action(
        &record.phase,
        record.revocation.as_ref(),
        context.service.now(),
    ) {
        Action::CheckDns => check_dns::check_dns(context).await,
        Action::ProbeHttp => Box::pin(probe_http::probe_http(context)).await,
        Action::PlaceOrder => Box::pin(place_order::place_order(context)).await,
        Action::Validate(order) => Box::pin(validate::validate(context, order)).await,
        Action::Finalize(order) => Box::pin(finalize::finalize(context, order)).await,
        Action::Deploy(certificate) => Box::pin(deploy::deploy(context, certificate)).await,
        Action::BeginRenewal => begin_renewal::begin_renewal(context).await,
        Action::Expire(serving) => Box::pin(expire::expire(context, serving)).await,
        Action::Undeploy => Box::pin(undeploy::undeploy(context)).await,
        Action::Revoke => Box::pin(revoke::revoke(context)).await,
        Action::Recheck { renew_at } => recheck::recheck(context, renew_at).await,
        Action::Idle | Action::Forget => {
            let failure = Failure::Internal {
                detail: "a record was leased that has no step".into(),
            };
            Ok(Outcome::failed(failure, Then::Stop))
        }
    }
}
