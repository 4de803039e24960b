//! The checks of the name: DNS, ownership, path and CAA records.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dps_domain::diagnosis::{Check, CheckStatus, Row, Severity};
use dps_domain::dns::DnsVerdict;
use dps_domain::ownership::{Judgement, is_open, judge, txt_name};
use dps_domain::{Failure, Phase};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::caa::{self, ObservedCaa};
use super::{Notes, Subject, path, timed};
use crate::observe::cdn::with_cdn;
use crate::observe::claim::{PassedDns, Records, Unanswered, observe_proof};
use crate::observe::dns::{
    ObservedDns, QueryAuthoritative, as_move, is_seen_here, observe_dns, too_many_addresses,
};
use crate::observe::{Evidence, Observer};
use crate::resolvers::DnsBudget;

/// The checks that one observation of the DNS answers, in the order of causes.
const OF_DNS: [Check; 4] = [Check::Resolvers, Check::Dns, Check::Agreement, Check::Proxy];

/// A name that points at us.
pub(super) struct Passed {
    pub(super) dns: PassedDns,
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Addresses of our own target.
    pub(super) ours: BTreeSet<IpAddr>,
}

pub(super) async fn rows(subject: &Subject<'_>) -> Vec<Row> {
    if matches!(subject.record.phase, Phase::Leaving | Phase::Gone) {
        let message = "The domain is removed, so its DNS is not checked.";
        return vec![Row::ok(Check::Dns, message)];
    }
    let ((mut rows, passed), observed_caa) = tokio::join!(dns(subject), caa::observe(subject));
    let Some(passed) = passed else {
        let message = "It means nothing before the name points at us.";
        let after = [Check::Ownership, Check::Path];
        rows.extend(after.map(|check| Row::skipped(check, message)));
        rows.push(match observed_caa {
            ObservedCaa::Done(row) => row,
            ObservedCaa::Against(_) => Row::skipped(Check::Caa, message),
        });
        return rows;
    };
    let (claim, reached, records) = tokio::join!(
        ownership(subject, &passed.dns),
        path::rows(subject, &passed),
        caa::row(subject, observed_caa),
    );
    // A proxy may be seen by its answer alone.
    if reached.iter().any(|row| row.check == Check::Proxy) {
        rows.retain(|row| row.check != Check::Proxy);
    }
    rows.extend(reached);
    rows.extend([claim, records]);
    rows
}

async fn dns(subject: &Subject<'_>) -> (Vec<Row>, Option<Passed>) {
    let (began, service) = (Instant::now(), subject.service);
    let evidence = Evidence::default();
    let budget = service.resolvers.budget(subject.deadline);
    let observer = subject.observer(&evidence);
    let answers = async {
        let found = observe_dns(&observer, budget, QueryAuthoritative::Always).await;
        let verdict = with_cdn(&observer, found.verdict, budget).await;
        ObservedDns { verdict, ..found }
    };
    let answers = timeout_at(subject.deadline, answers).await;
    let notes = Notes::of(evidence.into_findings());
    let Ok(answers) = answers else {
        let row = Row::unfinished(Check::Dns).with(Value::Object(notes.details));
        return (timed(vec![row], began), None);
    };
    let notes = notes.with_addresses(service, &answers.views);
    let (found, passed) = match_verdict(subject, &answers, budget);
    let rows = dns_rows(subject, &answers, found.as_ref(), &notes);
    (timed(rows, began), passed)
}

/// The failure with its check, or the name that points at us.
fn match_verdict(
    subject: &Subject<'_>,
    answers: &ObservedDns,
    budget: DnsBudget,
) -> (Option<(Check, Failure)>, Option<Passed>) {
    let (addresses, ours, more, is_proxied) = match answers.verdict.clone() {
        DnsVerdict::PointsAtUs {
            addresses,
            edges,
            more,
            is_proxied,
        } => (addresses, edges, more, is_proxied),
        DnsVerdict::NotReady(failure) => {
            let check = check_of(&failure);
            // Until a move is certain, the customer reads what the check found.
            let phase = &subject.record.phase;
            let failure = if phase.is_moved_away() {
                as_move(phase, failure)
            } else {
                failure
            };
            return (Some((check, failure)), None);
        }
        DnsVerdict::Local { detail } => {
            let failure = Failure::Internal { detail };
            return (Some((Check::Resolvers, failure)), None);
        }
    };
    if let Some(failure) = too_many_addresses(&addresses, more) {
        return (Some((Check::Dns, failure)), None);
    }
    let dns = PassedDns {
        views: answers.views.clone(),
        is_proxied,
        budget,
    };
    let passed = Passed {
        dns,
        addresses,
        ours,
    };
    (None, Some(passed))
}

/// The check that a failure of the DNS belongs to.
fn check_of(failure: &Failure) -> Check {
    match failure {
        Failure::Internal { .. }
        | Failure::DnsTimeout {
            resolver_outage: true,
            ..
        } => Check::Resolvers,
        Failure::DnsPropagating { .. } => Check::Agreement,
        Failure::CdnInFront { .. } => Check::Proxy,
        failure if is_seen_here(failure) => Check::Agreement,
        _ => Check::Dns,
    }
}

fn dns_rows(
    subject: &Subject<'_>,
    answers: &ObservedDns,
    found: Option<&(Check, Failure)>,
    notes: &Notes,
) -> Vec<Row> {
    let row = |check: Check| match found {
        Some((failed, failure)) if *failed == check => {
            subject.failed(check, failure, notes.clone())
        }
        Some((failed, _)) if check != Check::Resolvers || *failed == check => {
            let failed = failed.as_str();
            Row::skipped(
                check,
                format!("It means nothing before the check {failed} passes."),
            )
        }
        Some(_) | None => passed_row(subject, answers, check, notes),
    };
    OF_DNS.map(row).into()
}

fn passed_row(subject: &Subject<'_>, answers: &ObservedDns, check: Check, notes: &Notes) -> Row {
    let details = || Value::Object(notes.details.clone());
    match check {
        Check::Resolvers => resolvers(subject),
        Check::Agreement => match &answers.outdated {
            // The resolvers will soon see what the zone's servers say now.
            Some(failure) => Row {
                severity: Severity::Warning,
                ..subject.failed(check, failure, notes.clone())
            },
            None => Row::ok(check, "All servers that answer agree."),
        },
        Check::Proxy => {
            let is_proxied = matches!(
                answers.verdict,
                DnsVerdict::PointsAtUs {
                    is_proxied: true,
                    ..
                }
            );
            let message = if is_proxied {
                "The name is behind a proxy, which the settings accept."
            } else {
                "No known proxy has the name's addresses."
            };
            Row::ok(check, message)
        }
        _ => Row::ok(check, "The name points at us.").with(details()),
    }
}

/// The row of the resolvers, of which one at least works.
fn resolvers(subject: &Subject<'_>) -> Row {
    let status = subject.service.resolvers.status();
    let problems: Vec<String> = status
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.address, one.problem.as_ref()?)))
        .collect();
    if problems.is_empty() {
        return Row::ok(Check::Resolvers, "The resolvers resolve our own target.");
    }
    let (broken, all) = (problems.len(), status.len());
    let message = format!("{broken} of {all} resolvers do not resolve our own target.");
    Row {
        severity: Severity::Warning,
        remedy: Some("Check these resolvers, or name others in Dns:Resolvers.".to_owned()),
        ..Row::new(Check::Resolvers, CheckStatus::Failed, message)
    }
    .with(json!({ "problems": problems }))
}

async fn ownership(subject: &Subject<'_>, passed: &PassedDns) -> Row {
    let (began, service, check) = (Instant::now(), subject.service, Check::Ownership);
    if !is_open(subject.record, &service.policy.ownership) {
        return Row::ok(check, "No proof of ownership is required.");
    }
    let evidence = Evidence::default();
    let judged = timeout_at(subject.deadline, judged_claim(subject, passed, &evidence));
    let judged = judged.await;
    let notes = Notes::of(evidence.into_findings()).with_addresses(service, &passed.views);
    let mut row = match judged {
        Err(_) => Row::unfinished(check),
        Ok(Err(row)) => row,
        Ok(Ok(Some(failure))) => subject.failed(check, &failure, notes),
        Ok(Ok(None)) => Row::ok(check, "The tenant may have the hostname."),
    };
    row.took = began.elapsed();
    row
}

/// The failure of a claim that must be proven or waited for; as an error, the row of a check that
/// cannot be made.
async fn judged_claim(
    subject: &Subject<'_>,
    passed: &PassedDns,
    evidence: &Evidence,
) -> Result<Option<Failure>, Row> {
    let observer = Observer {
        service: subject.service,
        record: subject.record,
        evidence,
    };
    let records = subject
        .read(Check::Ownership, Records::read(&observer))
        .await?;
    if records.is_taken_down() {
        let detail = "an earlier domain of the hostname is still being taken down".to_owned();
        return Ok(Some(Failure::Internal { detail }));
    }
    let claim = records.claim(&observer, passed);
    let proof = match observe_proof(&observer, &claim, passed).await {
        Ok(proof) => proof,
        Err(Unanswered::Local(detail)) => return Ok(Some(Failure::Internal { detail })),
        Err(Unanswered::Failed(failure)) => return Ok(Some(failure)),
    };
    Ok(match judge(&claim, proof.basis, proof.is_foreign) {
        Judgement::Accepted { .. } => None,
        Judgement::ProofRequired { contested } => Some(Failure::DnsOwnershipRequired {
            name: txt_name(&subject.record.hostname),
            contested,
        }),
    })
}
