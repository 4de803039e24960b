//! Whether CAA records allow the CA to issue for a name (RFC 8659).

use dps_domain::Failure;
use dps_domain::caa::{self, CaaAnswer, CaaIssuer, CaaReason, CaaVerdict, VALIDATION_METHOD};

use super::Observer;
use crate::resolvers::DnsBudget;

/// The CA with our account, as CAA records name it.
pub(crate) const fn issuer<'a>(identities: &'a [String], account_url: &'a str) -> CaaIssuer<'a> {
    CaaIssuer {
        identities,
        account_url,
        validation_method: VALIDATION_METHOD,
    }
}

/// Looks up the CAA records of a name. The authoritative servers are asked where they may know
/// better.
pub(crate) async fn observe_caa(
    observer: &Observer<'_>,
    issuer: &CaaIssuer<'_>,
    budget: DnsBudget,
) -> CaaVerdict {
    let (resolvers, record) = (&observer.service.resolvers, observer.record);
    let (host, target) = (&record.hostname, &record.cname_target);
    let judge = |observations: &[_]| caa::verdict(observations, issuer, host, target);
    let allows = |observation: &_| judge(std::slice::from_ref(observation)) == CaaVerdict::Allowed;
    let observations = resolvers.observe_caa(host, budget, allows).await;
    let mut verdict = judge(&observations);
    if verdict != CaaVerdict::Allowed {
        observer.evidence.caa(host, &observations);
    }
    if verdict.may_be_outdated(&observations) {
        let seen = resolvers.observe_authoritative_caa(host, &observations, budget);
        let seen = seen.await;
        observer.evidence.authoritative_caa(&seen);
        verdict = verdict.with_authoritative(&seen, issuer, host, target);
    }
    observer.evidence.dns_time(budget);
    verdict
}

/// The failure that a verdict means for a name that points at us.
pub(crate) async fn failure(
    observer: &Observer<'_>,
    against: CaaVerdict,
    account_url: &str,
    budget: DnsBudget,
) -> Failure {
    match against {
        CaaVerdict::Forbidden {
            owner,
            record,
            at_target: true,
            ..
        } => Failure::Internal {
            detail: format!(
                "the CAA record {record} of {owner}, to which our own target leads, forbids the CA; \
                 add one that allows it"
            ),
        },
        CaaVerdict::Forbidden {
            owner,
            record,
            reason,
            ..
        } => forbids(owner, record, reason, account_url),
        CaaVerdict::LookupFailed { detail, at_target } => {
            // A query that is not answered does not tell how far its CNAME chain leads.
            if at_target || target_fails(observer, budget).await {
                let detail =
                    format!("the CAA records of our own target cannot be looked up: {detail}");
                return Failure::Internal { detail };
            }
            Failure::CaaLookupFailed { detail }
        }
        CaaVerdict::Allowed | CaaVerdict::Inconclusive => Failure::Internal {
            detail: "the CAA records allow the CA".to_owned(),
        },
    }
}

/// The failure of a record that forbids the CA to issue.
pub(crate) fn forbids(
    owner: String,
    record: String,
    reason: CaaReason,
    account_url: &str,
) -> Failure {
    let is_about_account = reason == CaaReason::OtherAccount;
    Failure::CaaForbids {
        record,
        owner,
        reason,
        account_url: is_about_account.then(|| account_url.to_owned()),
    }
}

/// Whether no resolver gets an answer about the CAA records of our own target.
async fn target_fails(observer: &Observer<'_>, budget: DnsBudget) -> bool {
    let target = &observer.record.cname_target;
    let resolvers = &observer.service.resolvers;
    let answered = |seen: &caa::CaaObservation| {
        let of_target = seen.lookups.first();
        of_target.is_some_and(|lookup| !matches!(lookup.answer, CaaAnswer::Failed(_)))
    };
    let seen = resolvers.observe_caa(target, budget, answered).await;
    !seen.iter().any(answered)
}
