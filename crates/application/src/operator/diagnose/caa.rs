//! The check of CAA records.

use dps_domain::caa::CaaVerdict;
use dps_domain::diagnosis::{Check, Row};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Notes, Subject};
use crate::observe::Evidence;
use crate::observe::caa::{failure, issuer, observe_caa};
use crate::resolvers::DnsBudget;

/// The observation of the CAA records.
pub(super) enum ObservedCaa {
    /// It is known, whatever else is found.
    Done(Row),
    /// The records are against the CA, if the name points at us.
    Against(Against),
}

/// Records against the CA.
pub(super) struct Against {
    verdict: CaaVerdict,
    account_url: String,
    notes: Notes,
    budget: DnsBudget,
    began: Instant,
}

/// Looks up the CAA records of the name.
pub(super) async fn observe(subject: &Subject<'_>) -> ObservedCaa {
    let (began, service, check) = (Instant::now(), subject.service, Check::Caa);
    let identities = service.ca.caa_identities();
    let account = service.store.account(service.ca.directory_url());
    let account = match subject.read(check, account).await {
        Ok(account) => account.and_then(|account| account.url),
        Err(row) => return ObservedCaa::Done(row),
    };
    if identities.is_empty() {
        let message = "It is not known by which name CAA records allow the CA.";
        return ObservedCaa::Done(Row::ok(check, message));
    }
    // A record with `accounturi` can be judged only with an account.
    let account_url = account.unwrap_or_default();
    let evidence = Evidence::default();
    let budget = service.resolvers.budget(subject.deadline);
    let issuer = issuer(&identities, &account_url);
    let observer = subject.observer(&evidence);
    let verdict = timeout_at(subject.deadline, observe_caa(&observer, &issuer, budget)).await;
    let notes = Notes::of(evidence.into_findings());
    let mut row = match verdict {
        Err(_) => Row::unfinished(check),
        Ok(CaaVerdict::Allowed) => {
            let message = format!("CAA records allow {}.", identities.join(" or "));
            Row::ok(check, message)
        }
        Ok(CaaVerdict::Inconclusive) => Row::ok(
            check,
            "The CAA records are not known, by no fault of the customer.",
        )
        .with(Value::Object(notes.details)),
        Ok(verdict) => {
            return ObservedCaa::Against(Against {
                verdict,
                account_url,
                notes,
                budget,
                began,
            });
        }
    };
    row.took = began.elapsed();
    ObservedCaa::Done(row)
}

/// The row of CAA records, where the name points at us.
pub(super) async fn row(subject: &Subject<'_>, found: ObservedCaa) -> Row {
    let against = match found {
        ObservedCaa::Done(row) => return row,
        ObservedCaa::Against(against) => against,
    };
    let evidence = Evidence::default();
    let observer = subject.observer(&evidence);
    let failed = failure(
        &observer,
        against.verdict,
        &against.account_url,
        against.budget,
    );
    let mut row = match timeout_at(subject.deadline, failed).await {
        Ok(failure) => subject.failed(Check::Caa, &failure, against.notes),
        Err(_) => Row::unfinished(Check::Caa),
    };
    row.took = against.began.elapsed();
    row
}
