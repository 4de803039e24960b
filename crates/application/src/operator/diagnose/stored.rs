//! The checks that the store answers: the name, the account, a pause, the limits, a stop.

use dps_domain::diagnosis::{Check, CheckStatus, Row, Severity};
use dps_domain::limits::LimitKind;
use dps_domain::order_gate::HeldBack;
use dps_domain::pause::Pause;
use dps_domain::{Failure, FailureCode, Phase, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Notes, Subject, timed};
use crate::ca::exemption::used_up;
use crate::operator::explain::{OrderLimit, order_limits};

pub(super) async fn rows(subject: &Subject<'_>) -> Vec<Row> {
    let began = Instant::now();
    let (account, pause, ledger) = tokio::join!(account(subject), pause(subject), ledger(subject));
    let rows = vec![name(subject), account, pause, ledger, stopped(subject)];
    timed(rows, began)
}

/// The last failure, if it has this code.
fn last<'a>(subject: &Subject<'a>, code: FailureCode) -> Option<&'a Failure> {
    let failure = subject.record.last_failure.as_ref();
    failure.filter(|failure| failure.code() == code)
}

fn name(subject: &Subject<'_>) -> Row {
    let refused = subject.record.last_failure.as_ref().filter(|failure| {
        failure.refuses_name_or_target() || failure.code() == FailureCode::AcmeRejectedIdentifier
    });
    match refused {
        Some(failure) => subject.failed(Check::Name, failure, Notes::default()),
        None => Row::ok(Check::Name, "The platform accepts the name and its target."),
    }
}

async fn account(subject: &Subject<'_>) -> Row {
    let (service, check) = (subject.service, Check::Account);
    if let Some(failure) = last(subject, FailureCode::AcmeAccount) {
        return subject.failed(check, failure, Notes::default());
    }
    let directory_url = service.ca.directory_url();
    match subject
        .read(check, service.store.account(directory_url))
        .await
    {
        Ok(account) => match account.and_then(|account| account.url) {
            Some(url) => Row::ok(check, "The account is registered at the CA.")
                .with(json!({ "directory": directory_url, "account": url })),
            None => Row::ok(check, "The first order registers the account at the CA."),
        },
        Err(row) => row,
    }
}

async fn pause(subject: &Subject<'_>) -> Row {
    let (service, record, check) = (subject.service, subject.record, Check::Pause);
    let ok = Row::ok(check, "Orders for the name are not paused.");
    if matches!(record.phase, Phase::Leaving | Phase::Gone) {
        return ok;
    }
    // The last failure knows of no pause before an order is tried, and of its end only after that.
    let pauses = match subject.read(check, service.store.pauses_of(record)).await {
        Ok(pauses) => pauses,
        Err(row) => return row,
    };
    let held_back = record.order_gate.holds_back(service.now());
    if !pauses.is_empty() && held_back != Some(HeldBack::PausedByCa) {
        return paused_by_operator(subject, &pauses);
    }
    let failure = match held_back {
        None => return ok,
        Some(HeldBack::PausedByCa) => {
            let said = last(subject, FailureCode::AcmePaused).cloned();
            said.unwrap_or_else(|| Failure::AcmePaused {
                unpause_url: None,
                detail: "the CA paused the name".to_owned(),
            })
        }
        Some(HeldBack::Until(until)) => Failure::AcmeRateLimited {
            until: Some(until),
            detail: "orders for the name are held back after one that led to no certificate"
                .to_owned(),
        },
    };
    subject.failed(check, &failure, Notes::default())
}

fn paused_by_operator(subject: &Subject<'_>, pauses: &[Pause]) -> Row {
    let entry = |pause: &Pause| {
        json!({
            "scope": pause.scope.kind().as_str(),
            "subject": pause.scope.subject(),
            "since": pause.since,
            "who": pause.who,
            "reason": pause.reason,
        })
    };
    let entries: Value = pauses.iter().map(entry).collect();
    let notes = Notes {
        details: [("pauses".to_owned(), entries)].into_iter().collect(),
        ..Notes::default()
    };
    let failure = Failure::IssuancePaused {};
    let sentences = pauses.iter().map(|pause| format!("{pause}."));
    let sentences: Vec<String> = sentences.chain([failure.remedy()]).collect();
    Row {
        remedy: Some(sentences.join(" ")),
        ..subject.failed(Check::Pause, &failure, notes)
    }
}

async fn ledger(subject: &Subject<'_>) -> Row {
    let (service, record, check) = (subject.service, subject.record, Check::Ledger);
    let now = service.now();
    let store = service.store.as_ref();
    match subject.read(check, store.order_open(record.id)).await {
        Ok(Some(order)) => {
            return Row::ok(check, "An order is open, so none has to be placed.")
                .with(json!({ "order": order.url }));
        }
        Ok(None) => {}
        Err(row) => return row,
    }
    let limits = order_limits(store, service.order_limits(), record, now);
    let limits = match subject.read(check, limits).await {
        Ok(limits) => limits,
        Err(row) => return row,
    };
    let entry = |limit: &OrderLimit| {
        json!({
            "limit": limit.kind.to_string(),
            "name": limit.subject,
            "left": (limit.left != u32::MAX).then_some(limit.left),
            "nextAt": limit.next_at,
        })
    };
    let details = json!({ "limits": limits.iter().map(entry).collect::<Vec<_>>() });
    match latest(subject, &limits, now) {
        Some((kind, until)) => {
            let mut notes = Notes::default();
            if let Value::Object(fields) = details {
                notes.details = fields;
            }
            subject.failed(check, &used_up(kind, until), notes)
        }
        None => Row::ok(check, "The limits of the CA leave an order now.").with(details),
    }
}

/// The limit that clears last, with the time at which the next order can be placed.
fn latest(
    subject: &Subject<'_>,
    limits: &[OrderLimit],
    now: Timestamp,
) -> Option<(LimitKind, Timestamp)> {
    let empty = limits.iter().filter(|limit| limit.next_at > now);
    let last_to_clear = empty.max_by_key(|limit| limit.next_at)?;
    // The domain may hold a token for an earlier moment than the bucket gives another one.
    let own = match &subject.record.last_failure {
        Some(Failure::AcmeRateLimited { until, .. }) => until.filter(|until| *until > now),
        _ => None,
    };
    let until = own.map_or(last_to_clear.next_at, |own| own.min(last_to_clear.next_at));
    Some((last_to_clear.kind, until))
}

fn stopped(subject: &Subject<'_>) -> Row {
    let check = Check::Stopped;
    if subject.record.phase != Phase::Failed {
        return Row::ok(check, "The service works on the domain by itself.");
    }
    Row {
        severity: Severity::Warning,
        remedy: Some(
            "Once nothing else is wrong, retry the domain with `dps domains retry`.".to_owned(),
        ),
        ..Row::new(
            check,
            CheckStatus::Failed,
            "The domain has stopped: nothing is tried before a retry is requested.",
        )
    }
}
