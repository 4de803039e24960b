//! The check of the path: our responder must answer at every address of the name, on port 80.

use std::sync::Arc;

use dps_domain::diagnosis::{Check, Row, Severity};
use dps_domain::policy::ProbeMode;
use dps_domain::{Failure, probe};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::name::Passed;
use super::{Notes, Subject, WITHDRAWAL, timed};
use crate::observe::path::Fetch;
use crate::observe::{Evidence, Observer};
use crate::ports::Edge;

/// The result of a fetch from every address.
enum Reached {
    /// Our responder answers.
    Everywhere,
    /// No edge took the token.
    NotPublished,
    /// The service itself cannot reach the edges, which work. The CA may well reach them.
    NotFromHere,
    /// Something of the catalogue.
    Failed(Failure),
}

/// One row, of the path or of a proxy that answers in the place of our edge.
pub(super) async fn rows(subject: &Subject<'_>, passed: &Passed) -> Vec<Row> {
    let (began, service, check) = (Instant::now(), subject.service, Check::Path);
    if service.policy.probe.mode == ProbeMode::Off {
        return vec![Row::ok(
            check,
            "Workers:HttpProbe:Mode turns this check off.",
        )];
    }
    let evidence = Evidence::default();
    let fetch = Fetch::new(service);
    let members = service.fleet.members();
    let reached = timeout_at(
        subject.deadline,
        reach(subject, passed, &fetch, (&members, &evidence)),
    );
    let reached = reached.await;
    // An edge that does not answer forgets the token by itself.
    let withdrawals = members
        .iter()
        .map(|edge| edge.withdraw_challenge(&fetch.token));
    let _ = timeout(WITHDRAWAL, join_all(withdrawals)).await;
    let notes = Notes::of(evidence.into_findings()).with_addresses(service, &passed.dns.views);
    let details = Value::Object(notes.details.clone());
    let row = match reached {
        Err(_) => Row::unfinished(check),
        Ok(Reached::Everywhere) => {
            Row::ok(check, "Our answer comes from every address of the name.")
        }
        Ok(Reached::NotPublished) => Row::skipped(check, "No edge takes a token."),
        Ok(Reached::NotFromHere) => Row::ok(
            check,
            "This machine cannot reach the platform's own edges, so the path is not tested from here.",
        ),
        Ok(Reached::Failed(failure)) => {
            return timed(vec![failed(subject, &failure, notes)], began);
        }
    };
    timed(vec![row.with(details)], began)
}

fn failed(subject: &Subject<'_>, failure: &Failure, notes: Notes) -> Row {
    let check = match failure {
        Failure::CdnInFront { .. } => Check::Proxy,
        _ => Check::Path,
    };
    let row = subject.failed(check, failure, notes);
    if subject.service.policy.probe.mode == ProbeMode::Warn {
        // The order is placed all the same.
        return Row {
            severity: Severity::Warning,
            ..row
        };
    }
    row
}

/// Publishes a token at every edge, and fetches it from every address. Unlike a step, it notes no
/// failure of an edge in the store.
async fn reach(
    subject: &Subject<'_>,
    passed: &Passed,
    fetch: &Fetch,
    (members, evidence): (&[Arc<dyn Edge>], &Evidence),
) -> Reached {
    let observer = Observer {
        service: subject.service,
        record: subject.record,
        evidence,
    };
    let publications = members
        .iter()
        .map(|edge| edge.publish_challenge(&fetch.token, &fetch.body));
    let results = join_all(publications).await;
    let unreachable = results.iter().filter(|result| result.is_err()).count();
    if unreachable == members.len() {
        return Reached::NotPublished;
    }
    let seen = fetch.from(&observer, &passed.addresses).await;
    evidence.probes(&seen);
    if let Some(detail) = probe::local_fault(&seen) {
        let detail = detail.to_owned();
        return Reached::Failed(Failure::Internal { detail });
    }
    let Err(failure) = probe::verdict(&seen, &passed.ours, unreachable) else {
        return Reached::Everywhere;
    };
    let is_unanswered = unreachable == 0 && probe::is_unanswered(&seen, &passed.ours);
    if is_unanswered && fetch.finds_no_edge(&observer, &seen, &passed.ours).await {
        return Reached::NotFromHere;
    }
    Reached::Failed(failure)
}
