//! Ask the CA when the certificate of a live domain should be renewed (RFC 9773). Whatever comes of it, the renewal by the
//! certificate's own dates stands.

use dps_domain::renewal::advice::{RenewalAdvice, RenewalAnswer};
use dps_domain::upkeep::Upkeep;
use dps_domain::with_causes;

use super::served::{Served, served};
use super::{Outcome, StepContext};
use crate::ports::ca::CaError;

pub(super) async fn ask_when_to_renew(context: &StepContext<'_>, upkeep: &Upkeep) -> Outcome {
    let served = served(context).await;
    let answer = match &served {
        Some(served) => answer(context, served).await,
        None => RenewalAnswer::Refused,
    };
    let service = context.service;
    let (now, random) = (service.now(), service.randomness.unit());
    let advice = upkeep.advice.after(&answer, now, random);
    let plan = served.and_then(|served| upkeep.advice.replan(&advice, served.validity, now, random));
    explain(context, &upkeep.advice, &advice);
    Outcome::Advised { advice, plan }
}

async fn answer(context: &StepContext<'_>, served: &Served) -> RenewalAnswer {
    let Some(ari_id) = &served.ari_id else {
        return RenewalAnswer::NotOffered;
    };
    let service = context.service;
    let asked = tokio::time::timeout_at(context.patience_ends(), service.ca.renewal_info(ari_id)).await;
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
        domain.id = %context.record.id, domain.hostname = %context.record.hostname,
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

/// A CA that explains itself wants people to read it.
fn explain(context: &StepContext<'_>, before: &RenewalAdvice, after: &RenewalAdvice) {
    if let Some(url) = &after.explanation_url
        && before.explanation_url != after.explanation_url
    {
        tracing::warn!(
            domain.id = %context.record.id, domain.hostname = %context.record.hostname,
            explanation_url = url, "renewal_info.explained"
        );
    }
}
