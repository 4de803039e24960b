//! The events that the transition of a record makes.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{WebhookEvent, WebhookEventKind};
use crate::phase::Next;
use crate::record::DomainRecord;
use crate::{Actor, Failure, FailureCode, Phase, Status, Timestamp};

/// The remaining lifetimes that are announced, in days, with their names.
const DAYS_LEFT: [(u32, &str); 3] = [(30, "30d"), (14, "14d"), (7, "7d")];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The events of a transition, in the order in which they are delivered. A new record has no
/// `before`. The record that takes an old name down makes none: the platform knows only the domain.
pub(crate) fn events(before: Option<&DomainRecord>, after: &DomainRecord) -> Vec<WebhookEvent> {
    use WebhookEventKind::{
        ClaimContested, DomainActive, DomainExpiring, DomainFailing, DomainMovedAway,
        DomainRemoved, DomainRenewed, DomainRestored,
    };
    if after.id.is_take_down() {
        return Vec::new();
    }
    let mut events = Vec::new();
    let mut add = |kind, own: Value| events.push(event(kind, after, own));
    let not_after = after.phase.certificate_not_after();
    let status = after.phase.status();
    let status_before = before.map(|before| before.phase.status());
    let moved_before = before.and_then(|before| before.phase.moved_away_since());
    let moved_since = after.phase.moved_away_since();
    let has_moved = moved_before.is_none() && moved_since.is_some();
    if has_moved {
        let code = after.last_failure.as_ref().map(code_of);
        add(
            DomainMovedAway,
            json!({ "since": moved_since, "code": code }),
        );
    } else if moved_before.is_some() && moved_since.is_none() && after.phase.was_served() {
        add(DomainRestored, json!({ "movedAwaySince": moved_before }));
    }
    if status == Status::Active && status_before != Some(Status::Active) {
        add(DomainActive, json!({ "certificateNotAfter": not_after }));
    } else if is_renewed(before, after) {
        add(DomainRenewed, json!({ "certificateNotAfter": not_after }));
    }
    if let Some(proven) = new_contest(before, after) {
        add(ClaimContested, json!({ "lost": proven }));
    }
    if let Some(failure) = new_failure(before, after).filter(|_| !has_moved) {
        let own = json!({
            "code": failure.code().as_str(),
            "actor": failure.actor().as_str(),
            "nextAttemptAt": after.next_attempt_at,
        });
        add(DomainFailing, own);
    }
    if let Some(threshold) = before.and_then(|before| threshold_passed(before, after)) {
        let code = after.last_failure.as_ref().map(code_of);
        let own = json!({
            "certificateNotAfter": not_after, "threshold": threshold, "code": code,
        });
        add(DomainExpiring, own);
    }
    if status == Status::Removed && status_before.is_some_and(|before| before != Status::Removed) {
        add(DomainRemoved, json!({}));
    }
    events
}

/// The event of a certificate that was just stored. `detail` is that of the history.
pub(crate) fn issued(after: &DomainRecord, detail: &Value) -> WebhookEvent {
    let mut own = Map::new();
    for field in ["serial", "fingerprint", "issuer", "notBefore", "notAfter"] {
        own.insert(field.to_owned(), detail[field].clone());
    }
    own.insert("names".to_owned(), json!([after.hostname]));
    event(
        WebhookEventKind::CertificateIssued,
        after,
        Value::Object(own),
    )
}

/// An event with the fields that all have, and its own.
fn event(kind: WebhookEventKind, record: &DomainRecord, own: Value) -> WebhookEvent {
    let mut data = Map::new();
    data.insert("domainId".to_owned(), json!(record.id));
    data.insert("tenantId".to_owned(), json!(record.tenant_id));
    data.insert("hostname".to_owned(), json!(record.hostname));
    data.insert("status".to_owned(), json!(record.phase.status()));
    if let Value::Object(own) = own {
        data.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    }
    WebhookEvent {
        kind,
        at: record.updated_at,
        domain_id: record.id,
        tenant_id: record.tenant_id.clone(),
        revision: record.revision,
        data,
    }
}

const fn code_of(failure: &Failure) -> &'static str {
    failure.code().as_str()
}

/// Whether another certificate is served than before.
fn is_renewed(before: Option<&DomainRecord>, after: &DomainRecord) -> bool {
    let before = before.and_then(|before| before.phase.serving());
    let after = after.phase.serving();
    before.is_some() && after.is_some() && before != after
}

/// The failure, if its code is new or the domain has just become `Failed`. A wait that time alone
/// ends is none.
fn new_failure<'a>(before: Option<&DomainRecord>, after: &'a DomainRecord) -> Option<&'a Failure> {
    let failure = after.last_failure.as_ref()?;
    let code_before = before.and_then(|before| before.last_failure.as_ref().map(Failure::code));
    let status_before = before.map(|before| before.phase.status());
    let became_failed =
        after.phase.status() == Status::Failed && status_before != Some(Status::Failed);
    let is_new = code_before != Some(failure.code()) || became_failed;
    (is_new && failure.actor() != Actor::Nobody).then_some(failure)
}

/// Whether the tenant lost its claim, if another tenant's claim has just become known.
fn new_contest(before: Option<&DomainRecord>, after: &DomainRecord) -> Option<bool> {
    let lost = match after.last_failure.as_ref()? {
        Failure::DnsOwnershipRequired {
            contested: true, ..
        } => false,
        Failure::NameAlreadyClaimed { proven } => *proven,
        _ => return None,
    };
    let before = before.and_then(|before| before.last_failure.as_ref());
    let was_known = match before {
        Some(Failure::DnsOwnershipRequired { contested, .. }) => *contested && !lost,
        Some(failure) => failure.code() == FailureCode::NameAlreadyClaimed,
        None => false,
    };
    (!was_known).then_some(lost)
}

/// The last threshold between the two writes of a record, if its renewal was due by then.
///
/// Each write looks at the time since the one before. So each threshold is announced once for each
/// certificate, and nothing has to be stored about it.
fn threshold_passed(before: &DomainRecord, after: &DomainRecord) -> Option<&'static str> {
    let (
        Phase::Live { serving, next, .. },
        Phase::Live {
            serving: serves_still,
            not_after,
            ..
        },
    ) = (&before.phase, &after.phase)
    else {
        return None;
    };
    // A customer who left waits for no certificate.
    if serving != serves_still || after.phase.is_moved_away() {
        return None;
    }
    let due = match next {
        Next::At(renew_at) => *renew_at,
        Next::Now(_) => Timestamp::EPOCH,
    };
    let has_passed = |at: Timestamp| at > before.updated_at && at <= after.updated_at && at > due;
    let days = DAYS_LEFT.map(|(days, name)| (*not_after - DAY * days, name));
    let urgent = after.urgent_from.map(|at| (at, "urgent"));
    let passed = days.into_iter().chain(urgent);
    let last = passed
        .filter(|(at, _)| has_passed(*at))
        .max_by_key(|(at, _)| *at);
    last.map(|(_, name)| name)
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
