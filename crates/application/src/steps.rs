//! One leased unit of work each: read the facts, decide, act through a port, say what came of it.

mod begin_renewal;
mod check_dns;
mod deploy;
mod edges;
mod evidence;
mod expire;
mod finalize;
mod ledger;
mod place_order;
mod probe_http;
mod recheck;
mod replacement;
mod undeploy;
mod validate;

use std::time::Duration;

use dps_domain::backoff::spread;
use dps_domain::decide::{Action, next_action};
use dps_domain::limits::{Endpoint, LimitKind};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::phase::Issuance;
use dps_domain::sentence::{CAA_IDENTITY, sentence};
use dps_domain::{Event, EventKind, Failure, LeaseToken, Timestamp, Until, with_causes};
use serde_json::json;
use tokio::time::Instant;

pub use self::evidence::Evidence;
pub(crate) use self::ledger::abandoned;
use crate::ca::account::AccountError;
use crate::ca::directory::{self, DirectoryError};
use crate::ports::ca::{CaDisposition, CaError, LostOrder, Refusal};
use crate::ports::metrics::AcmeWait;
use crate::ports::metrics::LocalParty;
use crate::ports::store::{DomainRecord, StoreError, StoredOrder};
use crate::ports::vault::VaultError;
use crate::service::Service;

/// The shortest time until a step is made again that our own machine made impossible, and half of
/// the longest.
const LOCAL_FAULT_PAUSE: Duration = Duration::from_secs(10);
/// The longest wait for our own pacing that a customer is not told of.
const UNTOLD_PAUSE: Duration = Duration::from_secs(60);

/// Makes the one step that the record's phase asks for, under the lease of `token`. `deadline` is
/// when it must be given back, on the clock that never jumps; `evidence` takes what is seen on the
/// way.
pub async fn step(
    service: &Service,
    record: &DomainRecord,
    (token, deadline): (LeaseToken, Instant),
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
        .unwrap_or_else(|fault| fault.settle(&context));
    if let Outcome::Failed { failure, .. } = &outcome {
        service.outages.note(record.id, failure);
    }
    if matches!(
        &outcome,
        Outcome::Failed {
            failure: Failure::AcmeAccount { .. },
            ..
        }
    ) && let Err(error) = crate::ca::account::register_again(service).await
    {
        tracing::error!(error = %with_causes(&error), "account.unusable");
    }
    outcome
}

/// The large steps are boxed, so that the many small ones take little room.
async fn act(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    match next_action(&context.record.phase, context.service.now()) {
        Action::CheckDns => Ok(check_dns::check_dns(context).await),
        Action::ProbeHttp => Ok(Box::pin(probe_http::probe_http(context)).await),
        Action::PlaceOrder => Box::pin(place_order::place_order(context)).await,
        Action::Validate(order) => Box::pin(validate::validate(context, order)).await,
        Action::Finalize(order) => Box::pin(finalize::finalize(context, order)).await,
        Action::Deploy(certificate) => Box::pin(deploy::deploy(context, certificate)).await,
        Action::BeginRenewal => Ok(begin_renewal::begin_renewal()),
        Action::Expire(serving) => Box::pin(expire::expire(context, serving)).await,
        Action::Undeploy => Box::pin(undeploy::undeploy(context)).await,
        Action::Recheck { renew_at } => Ok(recheck::recheck(context, renew_at).await),
        Action::Idle | Action::Forget => {
            let failure = Failure::Internal {
                detail: "a record was leased that has no step".into(),
            };
            Ok(context.failed(failure, Then::Stop))
        }
    }
}

/// The record, the lease and the evidence of one step.
#[derive(Clone, Copy)]
struct StepContext<'a> {
    service: &'a Service,
    record: &'a DomainRecord,
    token: LeaseToken,
    deadline: Instant,
    evidence: &'a Evidence,
}

impl StepContext<'_> {
    /// When the step stops waiting for the CA and gives the record back.
    fn times_out_at(&self) -> Instant {
        self.deadline
            .min(Instant::now() + self.service.policy.ca_timeout)
    }

    /// Whether an order was placed at another directory than this process's. Such an order leads no
    /// further here: the account is unknown there.
    async fn is_of_another_directory(&self, order: &StoredOrder) -> Result<bool, Fault> {
        let service = self.service;
        let directory_url = service.ca.directory_url();
        if order.directory_url == directory_url {
            return Ok(false);
        }
        // It may be this process that has the wrong directory.
        directory::check(service.store.as_ref(), directory_url).await?;
        Ok(true)
    }

    /// Returns the endpoint of the CA that the step calls.
    fn endpoint(&self) -> Endpoint {
        match self.record.phase.issuance() {
            Some(Issuance::Ordering | Issuance::Queued) => Endpoint::NewOrder,
            _ => Endpoint::Other,
        }
    }

    /// The outcome of an error of the CA.
    fn ca_error(&self, error: CaError) -> Outcome {
        let error = match error.disposition() {
            CaDisposition::Local => return self.local_fault(LocalParty::Ca, error.detail()),
            CaDisposition::Paced { until } => return self.paced(until),
            CaDisposition::RateLimited { until: Some(until) } => {
                let until = ledger::refused(self, self.endpoint(), error.detail(), until);
                error.with_until(until)
            }
            CaDisposition::RateLimited { until: None }
            | CaDisposition::Unavailable { .. }
            | CaDisposition::NamePaused
            | CaDisposition::OrderLost(_)
            | CaDisposition::Refused(_) => error,
        };
        let then = self.after_ca_error(&error);
        self.failed(error.into(), then)
    }

    /// Returns what follows an error of the CA. Steps that were told the same time come a little
    /// after it, each at another time.
    fn after_ca_error(&self, error: &CaError) -> Then {
        let service = self.service;
        match error.disposition() {
            CaDisposition::Unavailable { until: Some(until) } => {
                self.at(until.within(service.policy.issuance.max_backoff, service.now()))
            }
            CaDisposition::Paced { until } | CaDisposition::RateLimited { until: Some(until) } => {
                self.at(until)
            }
            CaDisposition::Unavailable { until: None }
            | CaDisposition::RateLimited { until: None }
            | CaDisposition::Local
            | CaDisposition::Refused(Refusal::Account | Refusal::Request) => Then::Retry,
            CaDisposition::NamePaused | CaDisposition::OrderLost(LostOrder::NameRejected) => {
                Then::Stop
            }
            CaDisposition::OrderLost(LostOrder::ValidationFailed) => Then::NewOrder { rest: true },
            CaDisposition::OrderLost(LostOrder::Gone) => Then::NewOrder { rest: false },
        }
    }

    /// A moment a little after the one that others were told as well.
    fn at(&self, until: Until) -> Then {
        let service = self.service;
        Then::At(ledger::soon_after(
            until.at(),
            service.now(),
            service.randomness.unit(),
        ))
    }

    /// The outcome when our own machine could not call a party: the same step soon, as if this one
    /// had not been.
    fn local_fault(&self, party: LocalParty, detail: &str) -> Outcome {
        let service = self.service;
        service.local_fault(party, detail);
        self.evidence.note("machineFailed", detail);
        let pause = spread(LOCAL_FAULT_PAUSE, 1.0..=2.0, service.randomness.unit());
        Outcome::Waiting {
            until: service.now() + pause,
            kind: EventKind::MachineFailed,
        }
    }

    /// The outcome when our own pacing left no request to the CA. Nothing was sent, so it is no
    /// attempt.
    fn paced(&self, until: Until) -> Outcome {
        let service = self.service;
        let kind = LimitKind::Requests(self.endpoint());
        self.waits(AcmeWait::Limit(kind));
        let now = service.now();
        let due = ledger::soon_after(until.at(), now, service.randomness.unit());
        // The transport holds requests back for a moment after the CA was busy, too. Only a limit
        // holds them for longer.
        if until.at() <= now + UNTOLD_PAUSE {
            return Outcome::Waiting {
                until: due,
                kind: EventKind::CaPaced,
            };
        }
        self.failed(ledger::used_up(kind, until.at()), Then::At(due))
    }

    /// Counts that the domain waits, and that nothing is sent.
    fn waits(&self, wait: AcmeWait) {
        self.evidence.nothing_sent();
        self.service.metrics.acme_wait(wait);
    }

    fn failed(&self, failure: Failure, then: Then) -> Outcome {
        let edge_addresses = self.service.policy.edge_hosts();
        self.failed_with(failure, then, &edge_addresses)
    }

    fn failed_with(
        &self,
        failure: Failure,
        then: Then,
        edge_addresses: &[std::net::IpAddr],
    ) -> Outcome {
        let caa_identity = self.service.ca.caa_identity();
        if let (true, Some(identity)) = (failure.is_about_caa(), &caa_identity) {
            self.evidence.note(CAA_IDENTITY, identity.clone());
        }
        let message = sentence(
            &failure,
            self.record,
            edge_addresses,
            caa_identity.as_deref(),
        );
        Outcome::Failed {
            failure,
            then,
            message,
        }
    }
}

fn moved(event: Event, kind: EventKind) -> Outcome {
    Outcome::Moved {
        event,
        kind,
        detail: json!({}),
    }
}

/// Why a step could not go on: none of it is the customer's fault unless the CA says so.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the limit {kind} is used up until {until}")]
    Limited { until: Timestamp, kind: LimitKind },
    /// The account cannot be had for a reason that another step met a moment ago.
    #[error("the CA account cannot be registered before {until}")]
    AccountBlocked { failure: Failure, until: Timestamp },
    /// Somebody else is registering the account.
    #[error("the CA account is being registered")]
    AccountPending { until: Timestamp },
    #[error("{0}")]
    Inconsistent(String),
    #[error("{0}")]
    Rejected(String),
}

impl From<AccountError> for Fault {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Ca(error) => Self::Ca(error),
            AccountError::Limited { until } => Self::Limited {
                until,
                kind: LimitKind::NewAccounts,
            },
            AccountError::Blocked { failure, until } => Self::AccountBlocked {
                failure: *failure,
                until,
            },
            AccountError::Pending { until } => Self::AccountPending { until },
            AccountError::Store(error) => Self::Store(error),
            AccountError::Vault(error) => Self::Vault(error),
        }
    }
}

impl From<DirectoryError> for Fault {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Store(error) => Self::Store(error),
            other => Self::Inconsistent(other.to_string()),
        }
    }
}

impl From<crate::ports::pki::PkiError> for Fault {
    fn from(error: crate::ports::pki::PkiError) -> Self {
        Self::Inconsistent(error.to_string())
    }
}

impl Fault {
    /// The failure of something of ours.
    fn into_failure(self) -> Failure {
        Failure::Internal {
            detail: with_causes(&self),
        }
    }

    /// The outcome that the fault means for the record, unless the step knows better.
    fn settle(self, context: &StepContext<'_>) -> Outcome {
        let then = match &self {
            Self::Ca(error) => return context.ca_error(error.clone()),
            Self::Limited { until, kind } => {
                context.waits(AcmeWait::Limit(*kind));
                Then::At(*until)
            }
            Self::AccountBlocked { until, .. } => {
                context.evidence.nothing_sent();
                let service = context.service;
                Then::At(ledger::soon_after(
                    *until,
                    service.now(),
                    service.randomness.unit(),
                ))
            }
            Self::AccountPending { until } => {
                return Outcome::Waiting {
                    until: *until,
                    kind: EventKind::AccountRegistering,
                };
            }
            Self::Store(_) | Self::Vault(_) | Self::Inconsistent(_) | Self::Rejected(_) => {
                Then::Retry
            }
        };
        let failure = match self {
            Self::Ca(error) => error.into(),
            Self::Limited { until, kind } => ledger::used_up(kind, until),
            Self::AccountBlocked { failure, .. } => failure,
            other => other.into_failure(),
        };
        context.failed(failure, then)
    }
}
