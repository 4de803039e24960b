//! The checks of every edge: whether its agent works, and which certificate it presents.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::diagnosis::{Check, Row, Severity};
use dps_domain::phase::Issuance;
use dps_domain::{CertificateId, Failure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{Notes, Subject};
use crate::operator::explain::wanted;
use crate::ports::Edge;
use crate::ports::edge::{EdgeError, Presented};
use crate::ports::fleet::KnownEdge;
use crate::ports::store::StoreError;

/// Longest time for the answers of an edge.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The certificates that an edge may present.
#[derive(Debug, Default)]
struct Expected {
    /// The fingerprint of the wanted one; `None` if none is wanted.
    wanted: Option<String>,
    /// The fingerprint of the one that the wanted one replaces just now.
    replaced: Option<String>,
}

pub(super) async fn rows(subject: &Subject<'_>) -> Vec<Row> {
    let service = subject.service;
    let stored = async { tokio::try_join!(expected(subject), service.store.edges()) };
    let (expected, known) = match subject.read(Check::Certificate, stored).await {
        Ok((expected, known)) => (Ok(expected), known),
        Err(row) => (Err(row), vec![]),
    };
    let members = service.fleet.members();
    if members.is_empty() {
        let failure = Failure::EdgeUnreachable {
            edge: "the fleet".to_owned(),
            detail: "no edge is configured or found".to_owned(),
        };
        return vec![subject.failed(Check::Agent, &failure, Notes::default())];
    }
    let checks = members
        .iter()
        .map(|edge| check_edge(subject, edge, expected.as_ref()));
    let checks = join_all(checks).await;
    let one_answers = checks.iter().any(|[agent, _]| agent.failure.is_none());
    let mut rows = Vec::new();
    for [mut agent, certificate] in checks {
        if one_answers && is_left_out(subject, &known, agent.subject.as_deref()) {
            // Work goes on without it, and it is brought up to date when it returns.
            agent.severity = agent.severity.max(Severity::Warning);
        }
        rows.extend([agent, certificate]);
    }
    rows
}

/// Whether steps go on without the edge.
fn is_left_out(subject: &Subject<'_>, known: &[KnownEdge], name: Option<&str>) -> bool {
    let (now, grace) = (
        subject.service.now(),
        subject.service.policy.unreachable_grace,
    );
    let mut named = known.iter().filter(|edge| Some(edge.name.as_str()) == name);
    named.any(|edge| !edge.reachability.is_live(now, grace))
}

async fn expected(subject: &Subject<'_>) -> Result<Expected, StoreError> {
    let (store, record) = (&subject.service.store, subject.record);
    let fingerprint = async |id: Option<CertificateId>| -> Result<Option<String>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        let stored = store.certificate(id).await?;
        Ok(stored.map(|stored| stored.certificate.details.fingerprint))
    };
    let is_deploying = matches!(record.phase.issuance(), Some(Issuance::Deploying { .. }));
    let replaced = record.phase.serving().filter(|_| is_deploying);
    Ok(Expected {
        wanted: fingerprint(wanted(record)).await?,
        replaced: fingerprint(replaced).await?,
    })
}

/// The rows of one edge: its agent, and its certificate. Without knowing which one is expected, the
/// second is the given row.
async fn check_edge(
    subject: &Subject<'_>,
    edge: &Arc<dyn Edge>,
    expected: Result<&Expected, &Row>,
) -> [Row; 2] {
    let began = Instant::now();
    let deadline = subject.deadline.min(began + TIMEOUT);
    let unanswered = || EdgeError::Unreachable {
        edge: edge.name().to_owned(),
        detail: format!("no answer within {} s", TIMEOUT.as_secs()),
    };
    let check = async {
        let answer = timeout_at(deadline, edge.check()).await;
        answer.unwrap_or_else(|_| Err(unanswered()))
    };
    let handshake = async {
        let answer = timeout_at(deadline, edge.presented(&subject.record.hostname)).await;
        answer.unwrap_or_else(|_| Err(unanswered()))
    };
    let (health, presented) = tokio::join!(check, handshake);
    let agent = match health {
        Ok(_) => Row::ok(Check::Agent, "The agent and its HAProxy work."),
        Err(error) => subject.failed(Check::Agent, &Failure::from(error), Notes::default()),
    };
    let certificate = match expected {
        Ok(expected) => certificate(subject, edge.name(), expected, presented),
        Err(row) => row.clone(),
    };
    [agent, certificate].map(|row| Row {
        took: began.elapsed(),
        ..row.about(edge.name())
    })
}

fn certificate(
    subject: &Subject<'_>,
    edge: &str,
    expected: &Expected,
    presented: Result<Presented, EdgeError>,
) -> Row {
    let check = Check::Certificate;
    let details =
        |presented: Option<&str>| json!({ "wanted": expected.wanted, "presented": presented });
    let mismatch = |detail: String, presented: Option<&str>| {
        let edge = edge.to_owned();
        let mut notes = Notes::default();
        if let Value::Object(fields) = details(presented) {
            notes.details = fields;
        }
        subject.failed(check, &Failure::EdgeMismatch { edge, detail }, notes)
    };
    let Some(wanted) = &expected.wanted else {
        return Row::ok(check, "No certificate is wanted yet.");
    };
    match presented {
        Ok(Presented::Certificate(seen)) if seen == *wanted => {
            Row::ok(check, "The edge presents the wanted certificate.").with(details(Some(&seen)))
        }
        Ok(Presented::Certificate(seen)) if expected.replaced.as_ref() == Some(&seen) => {
            let message = "The edge presents the certificate that is being replaced now.";
            Row::ok(check, message).with(details(Some(&seen)))
        }
        Ok(Presented::Certificate(seen)) => {
            let detail = format!("it presents {seen} in place of {wanted}");
            mismatch(detail, Some(&seen))
        }
        Ok(Presented::Nothing(reason)) => {
            mismatch(format!("it presents no certificate ({reason})"), None)
        }
        Ok(Presented::Unsupported) => Row::skipped(
            check,
            "The agent is too old to make a handshake on request.",
        ),
        Err(_) => Row::skipped(check, "The agent does not answer."),
    }
}
