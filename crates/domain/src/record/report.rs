//! The Cabinet's report of a record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DomainRecord;
use crate::ownership::{ProofValue, txt_name};
use crate::policy::Policy;
use crate::sentence::last_sentence;
use crate::{Failure, Issuance, Status, Timestamp};

/// The shortest wait for another party that is reported to the Cabinet.
const REPORTED_WAIT: Duration = Duration::from_secs(60);

/// A status message to the Cabinet about one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The status.
    pub status: Status,
    /// The failure to mend; `None` if nothing is wrong.
    pub failure: Option<Failure>,
    /// The customer's sentence for it.
    pub message: Option<String>,
    /// When the service tries next by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when the served certificate is valid.
    pub certificate_not_after: Option<Timestamp>,
    /// The TXT record that proves the ownership, while a proof is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofRecord>,
}

/// The TXT record that proves a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ProofValue,
}

/// The report of a change; `None` if nothing changed for the Cabinet.
pub(super) fn report(
    before: &DomainRecord,
    after: &DomainRecord,
    message: Option<String>,
    policy: &Policy,
) -> Option<StatusReport> {
    // The Cabinet knows nothing of the record that takes an old name down.
    if after.id.is_take_down() {
        return None;
    }
    let status = after.phase.status();
    let changes_failure = message.is_some() || before.last_failure != after.last_failure;
    let renewed = after.phase.is_live() && before.phase.serving() != after.phase.serving();
    // A long wait for another party is reported, and so is the end of it.
    let waits = is_waiting(before) || is_waiting(after);
    if status == before.phase.status() && !changes_failure && !renewed && !waits {
        return None;
    }
    Some(current_report(after, message, policy))
}

/// The time of the next attempt to report. A queued record is due all the while, so that tenants
/// take turns; reported is the probable time of its turn.
fn next_attempt_at(record: &DomainRecord) -> Option<Timestamp> {
    // Revocations are not reported.
    let due = match record.revocation {
        Some(revocation) => revocation.then(),
        None => record.next_attempt_at,
    };
    let turn = queued_turn(record);
    match record.last_failure {
        Some(_) => turn.or(due),
        None => due.filter(|_| is_waiting(record)),
    }
}

/// The probable time of a queued record's turn; `None` for one that is not queued.
pub(crate) fn queued_turn(record: &DomainRecord) -> Option<Timestamp> {
    match (record.phase.issuance(), &record.last_failure) {
        (Some(Issuance::Queued), Some(Failure::AcmeRateLimited { until, .. })) => *until,
        _ => None,
    }
}

/// Whether a certificate is on its way and another party needs time for it, without a failure.
fn is_waiting(record: &DomainRecord) -> bool {
    let wait = record.next_attempt_at.map(|at| at.since(record.updated_at));
    record.phase.issuance().is_some()
        && record.last_failure.is_none()
        && wait.is_some_and(|wait| wait > REPORTED_WAIT)
}

/// The report of a record's present state.
pub fn current_report(
    record: &DomainRecord,
    message: Option<String>,
    policy: &Policy,
) -> StatusReport {
    StatusReport {
        status: record.phase.status(),
        failure: record.last_failure.clone(),
        message: message.or_else(|| last_sentence(record, policy, &[])),
        next_attempt_at: next_attempt_at(record),
        certificate_not_after: record.phase.certificate_not_after(),
        proof: record.ownership.required().map(|value| ProofRecord {
            name: txt_name(&record.hostname),
            value: value.clone(),
        }),
    }
}
