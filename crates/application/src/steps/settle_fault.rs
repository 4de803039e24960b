//! The outcome of a fault of the CA, of the store or of our own.

use std::time::Duration;

use dps_domain::backoff::soon_after;
use dps_domain::limits::{LimitKind, OrderEffect, Refused};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::{EventKind, Until};

use super::context::StepContext;
use super::fault::Fault;
use crate::ca::exemption::used_up;
use crate::ports::ca::{CaDisposition, CaError, LostOrder, Refusal};
use crate::ports::metrics::{AcmeWait, LocalParty};

/// The longest wait for our own pacing that is not reported.
const UNREPORTED_PAUSE: Duration = Duration::from_secs(60);

impl StepContext<'_> {
    /// The outcome of an error of the CA.
    pub(super) fn ca_error(&self, error: CaError) -> Outcome {
        if !error.was_answered() {
            self.evidence.reached_nobody();
        }
        let error = match error.disposition() {
            CaDisposition::Local => return self.local_fault(LocalParty::Ca, error.detail()),
            CaDisposition::Paced { until } => return self.paced(until),
            CaDisposition::RateLimited { until: Some(until) } => {
                let until = self.rate_limited(error.detail(), until);
                error.with_until(until)
            }
            CaDisposition::RateLimited { until: None }
            | CaDisposition::Unavailable { .. }
            | CaDisposition::NamePaused
            | CaDisposition::OrderLost(_)
            | CaDisposition::Refused(_) => error,
        };
        let then = self.after_ca_error(&error);
        Outcome::failed(error.into(), then)
    }

    /// Notes the limit that the CA named: it takes no request of that kind until then. Returns that
    /// time within its bounds.
    fn rate_limited(&self, detail: &str, until: Until) -> Until {
        let service = self.service;
        let refused = Refused::read(detail, self.endpoint());
        let until = service
            .order_limits()
            .bounded(refused.kind, until, self.record, service.now());
        self.evidence.order(OrderEffect::RateLimited {
            refused,
            until: until.at(),
        });
        until
    }

    /// Returns what follows an error of the CA. Steps that got the same time come a little
    /// after it, each at another time.
    pub(super) fn after_ca_error(&self, error: &CaError) -> Then {
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
            CaDisposition::OrderLost(LostOrder::ValidationFailed) => Then::NewOrder { pause: true },
            CaDisposition::OrderLost(LostOrder::Gone) => Then::NewOrder { pause: false },
        }
    }

    /// A moment a little after the one that others got as well.
    fn at(&self, until: Until) -> Then {
        let service = self.service;
        Then::At(soon_after(
            until.at(),
            service.now(),
            service.randomness.unit(),
        ))
    }

    /// The outcome when our own pacing left no request to the CA. Nothing was sent, so it is no
    /// attempt.
    fn paced(&self, until: Until) -> Outcome {
        let service = self.service;
        let kind = LimitKind::Requests(self.endpoint());
        self.waits(AcmeWait::Limit(kind));
        let now = service.now();
        let due = soon_after(until.at(), now, service.randomness.unit());
        // The transport holds requests back for a moment after the CA was busy, too. Only a limit
        // holds them for longer.
        if until.at() <= now + UNREPORTED_PAUSE {
            return Outcome::Waiting {
                until: due,
                kind: EventKind::CaPaced,
            };
        }
        Outcome::failed(used_up(kind, until.at()), Then::At(due))
    }

    /// The outcome that the fault means for the record, unless the step knows better.
    pub(super) fn settle_fault(&self, fault: Fault) -> Outcome {
        let then = match &fault {
            Fault::Ca(error) => return self.ca_error(error.clone()),
            Fault::Limited { until, kind } => {
                self.waits(AcmeWait::Limit(*kind));
                Then::At(*until)
            }
            Fault::AccountBlocked { until, .. } => {
                self.evidence.reached_nobody();
                let service = self.service;
                Then::At(soon_after(*until, service.now(), service.randomness.unit()))
            }
            Fault::AccountPending { until } => {
                return Outcome::Waiting {
                    until: *until,
                    kind: EventKind::AccountRegistering,
                };
            }
            Fault::Store(_) | Fault::Vault(_) | Fault::Inconsistent(_) | Fault::Rejected(_) => {
                Then::Retry
            }
        };
        let failure = match fault {
            Fault::Ca(error) => error.into(),
            Fault::Limited { until, kind } => used_up(kind, until),
            Fault::AccountBlocked { failure, .. } => failure,
            other => other.into_failure(),
        };
        Outcome::failed(failure, then)
    }
}
