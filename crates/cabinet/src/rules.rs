//! The permitted changes of a domain, as pure functions of the record and the time.

use std::time::Duration;

use dps_cabinet_api::{CustomDomain, Problem, ProblemCode, StatusReport};
use dps_domain::{Status, Timestamp};

use crate::refusal::Refusal;
use crate::target::TargetTemplate;

/// A domain with what only the Cabinet knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) domain: CustomDomain,
    /// Place in lists.
    pub(crate) position: i64,
    /// Place in the change feed.
    pub(crate) change_position: i64,
    /// When a customer last requested a retry.
    pub(crate) retried_at: Option<Timestamp>,
}

/// A tenant's claim to a hostname, with the rules that it must keep.
#[derive(Debug)]
pub(crate) struct NewClaim<'a> {
    /// The domain to store.
    pub(crate) domain: CustomDomain,
    /// Gives a tenant that returns its former target; `None` if the request named a target.
    pub(crate) template: Option<&'a TargetTemplate>,
    /// Whether another tenant's claim to the hostname stands in the way.
    pub(crate) is_exclusive: bool,
    /// How many domains the tenant may hold; 0 for any number.
    pub(crate) max_per_tenant: u32,
    /// How many domains it may create.
    pub(crate) creations: Quota,
}

/// How often a tenant may do something within [`Quota::PERIOD`], at the time of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Largest number of uses; 0 for any number.
    max: u32,
    now: Timestamp,
    /// The name of the setting that holds `max`.
    setting: &'static str,
    /// The code of the refusal.
    code: ProblemCode,
}

/// The uses that count against a [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Uses at this time or earlier no longer count.
    pub(crate) after: Timestamp,
    /// Uses at this time or later do not count.
    pub(crate) before: Timestamp,
    /// How many of the newest uses leave room for one more.
    pub(crate) skip: i64,
}

impl Quota {
    /// The period in which uses are counted. It ends at the time of the call.
    pub(crate) const PERIOD: Duration = Duration::from_secs(24 * 3600);

    /// Domains that a tenant creates.
    pub(crate) fn creations(max: u32, now: Timestamp) -> Self {
        Self {
            max,
            now,
            setting: "MaxCreationsPerTenantPerDay",
            code: ProblemCode::TooManyCreations,
        }
    }

    /// Retries of all domains of a tenant.
    pub(crate) fn retries(max: u32, now: Timestamp) -> Self {
        Self {
            max,
            now,
            setting: "MaxRetriesPerTenantPerDay",
            code: ProblemCode::TooManyRetries,
        }
    }

    /// Returns the uses that count; `None` if any number is allowed.
    pub(crate) fn window(self) -> Option<Window> {
        let skip = self.max.checked_sub(1)?;
        Some(Window {
            after: self.now - Self::PERIOD,
            // The clock of another process may be ahead of ours. A use further ahead was noted by a
            // clock that was wrong, and must not block its tenant until then.
            before: self.now + Self::PERIOD,
            skip: i64::from(skip),
        })
    }

    /// The time of the use that is being decided on.
    pub(crate) fn now(self) -> Timestamp {
        self.now
    }

    /// The refusal of a use that is possible only when the use at `used_at` no longer counts.
    pub(crate) fn refuse(self, used_at: Timestamp) -> Refusal {
        let next = used_at + Self::PERIOD;
        let detail = format!(
            "the tenant has reached its limit of {} in 24 hours (Cabinet:{}); try again at {next}",
            self.max, self.setting
        );
        Refusal::at(self.code, "tenantId", detail).retry_after(next.since(self.now))
    }
}

/// The changed record to write, or nothing.
pub(crate) type Decision = Result<Option<Record>, Refusal>;

/// A customer requests a check of the domain now. The service reports the status of one that is
/// served again, and loses nothing of it.
pub(crate) fn retry(record: &Record, now: Timestamp, min_interval: Duration) -> Decision {
    let why_not = match record.domain.status() {
        Some(
            Status::PendingDns
            | Status::PendingHttpProbe
            | Status::Issuing
            | Status::Active
            | Status::Failed,
        ) => None,
        Some(Status::PendingRemoval) => {
            Some("the domain is being removed; create it again after that")
        }
        Some(Status::Removed) | None => Some("the domain is removed; create it again"),
    };
    if let Some(why_not) = why_not {
        return Err(Refusal::at(ProblemCode::NotRetryable, "status", why_not));
    }
    if let Some(last) = record.retried_at {
        let earliest = last + min_interval;
        if now < earliest && last <= now {
            let wait = earliest.since(now);
            let detail = format!("a retry was requested a moment ago; try again at {earliest}");
            return Err(Refusal::new(ProblemCode::RetryTooSoon, detail).retry_after(wait));
        }
    }
    let mut next = moved(record, Status::PendingDns, now);
    next.retried_at = Some(now);
    Ok(Some(next))
}

/// A customer no longer wants the domain.
pub(crate) fn remove(record: &Record, now: Timestamp) -> Option<Record> {
    match record.domain.status() {
        Some(Status::PendingRemoval | Status::Removed) => None,
        Some(
            Status::PendingDns
            | Status::PendingHttpProbe
            | Status::Issuing
            | Status::Active
            | Status::Failed,
        )
        | None => {
            let mut next = moved(record, Status::PendingRemoval, now);
            next.domain.ownership_verification = None;
            Some(next)
        }
    }
}

/// The service reports on the domain as it saw it at `expected_version`.
///
/// A report that changes nothing is accepted at any version, so that one whose answer was lost can
/// be sent again.
pub(crate) fn report(
    record: &Record,
    expected_version: u64,
    report: &StatusReport,
    now: Timestamp,
) -> Decision {
    let current = &record.domain;
    if report.is_what(current) {
        return Ok(None);
    }
    if current.version != expected_version {
        let detail = format!(
            "the domain has version {}, not {expected_version}; see \"current\" and decide again",
            current.version
        );
        let problem = Problem::new(ProblemCode::VersionMoved, detail).at("If-Match");
        return Err(problem.with_current(current.clone()).into());
    }
    if !current
        .status()
        .is_some_and(|status| status.may_report(report.status))
    {
        let detail = format!(
            "a domain in {} cannot be reported as {}",
            current.status, report.status
        );
        let problem = Problem::new(ProblemCode::IllegalMove, detail).at("status");
        return Err(problem.with_current(current.clone()).into());
    }
    let mut next = moved(record, report.status, now);
    next.domain
        .last_error_code
        .clone_from(&report.last_error_code);
    next.domain
        .last_error_message
        .clone_from(&report.last_error_message);
    next.domain.error_details.clone_from(&report.error_details);
    next.domain.next_attempt_at = report.next_attempt_at;
    next.domain.certificate_not_after = report.certificate_not_after;
    next.domain
        .ownership_verification
        .clone_from(&report.ownership_verification);
    Ok(Some(next))
}

/// The record in a new status at its next version, with nothing said against it. A record that
/// proves ownership stays: a retry usually follows its creation.
fn moved(record: &Record, status: Status, now: Timestamp) -> Record {
    let mut next = record.clone();
    let domain = &mut next.domain;
    status.as_str().clone_into(&mut domain.status);
    domain.last_error_code = None;
    domain.last_error_message = None;
    domain.error_details = None;
    domain.next_attempt_at = None;
    domain.version += 1;
    domain.updated_at = now;
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_cabinet_api::OwnershipVerification;
    use dps_domain::DomainId;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const INTERVAL: Duration = Duration::from_secs(30);

    fn record(status: Status) -> Record {
        Record {
            domain: CustomDomain {
                id: DomainId::new(NOW, [7; 10]),
                tenant_id: "t".to_owned(),
                hostname: "Shop.example.com".to_owned(),
                canonical_host: "shop.example.com".to_owned(),
                cname_target: "edge.platform.example".to_owned(),
                status: status.to_string(),
                last_error_code: Some("DNS_NXDOMAIN".to_owned()),
                last_error_message: None,
                error_details: None,
                next_attempt_at: Some(NOW),
                certificate_not_after: None,
                ownership_verification: Some(OwnershipVerification::txt("_dps.example", "v")),
                version: 3,
                created_at: NOW,
                updated_at: NOW,
            },
            position: 1,
            change_position: 1,
            retried_at: None,
        }
    }

    #[test]
    fn every_status_is_either_checked_now_or_explains_why_not() {
        for status in Status::ALL {
            let may = matches!(
                status,
                Status::PendingDns
                    | Status::PendingHttpProbe
                    | Status::Issuing
                    | Status::Active
                    | Status::Failed
            );
            match retry(&record(status), NOW, INTERVAL) {
                Ok(Some(next)) => {
                    assert!(may, "{status}");
                    assert_eq!(next.domain.status(), Some(Status::PendingDns));
                    assert_eq!(
                        (next.domain.version, next.domain.last_error_code),
                        (4, None)
                    );
                    assert!(next.domain.ownership_verification.is_some(), "{status}");
                }
                refused => {
                    assert!(!may, "{status}");
                    assert_eq!(refused.unwrap_err().problem.status, 409);
                }
            }
        }
    }

    #[test]
    fn a_second_retry_waits_for_the_interval_and_not_for_a_clock_that_went_back() {
        let first = retry(&record(Status::Failed), NOW, INTERVAL)
            .unwrap()
            .unwrap();
        let soon = NOW + Duration::from_secs(29);
        let refusal = retry(&first, soon, INTERVAL).unwrap_err();
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
        assert!(retry(&first, NOW + INTERVAL, INTERVAL).is_ok());
        assert!(retry(&first, NOW - Duration::from_secs(9_000), INTERVAL).is_ok());
    }

    #[test]
    fn a_quota_counts_one_day_and_a_clock_slightly_ahead_but_not_a_wrong_one() {
        let quota = Quota::creations(3, NOW);
        let window = quota.window().unwrap();
        assert_eq!(window.skip, 2);
        assert_eq!(quota.refuse(window.after).retry_after, Some(Duration::ZERO));
        assert!(window.before > NOW + INTERVAL && window.before < NOW + 2 * Quota::PERIOD);
        assert_eq!(Quota::retries(0, NOW).window(), None);
        assert_eq!(
            Quota::retries(1, NOW).window().map(|window| window.skip),
            Some(0)
        );
    }

    #[test]
    fn removal_is_requested_once() {
        let removed = remove(&record(Status::Active), NOW).unwrap();
        assert_eq!(removed.domain.status(), Some(Status::PendingRemoval));
        assert_eq!(removed.domain.ownership_verification, None);
        assert_eq!(remove(&removed, NOW), None);
        assert_eq!(remove(&record(Status::Removed), NOW), None);
    }

    #[test]
    fn reports_follow_the_table_of_moves() {
        for from in Status::ALL {
            for to in Status::ALL {
                let decision = report(&record(from), 3, &StatusReport::of(to), NOW);
                assert_eq!(decision.is_ok(), from.may_report(to), "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_report_sent_again_changes_nothing_and_a_stale_one_shows_the_current_document() {
        let said = StatusReport::of(Status::Issuing);
        let next = report(&record(Status::PendingDns), 3, &said, NOW)
            .unwrap()
            .unwrap();
        assert_eq!(report(&next, 3, &said, NOW), Ok(None));
        let refusal = report(&next, 3, &StatusReport::of(Status::Active), NOW).unwrap_err();
        assert_eq!(refusal.problem.code(), Some(ProblemCode::VersionMoved));
        assert_eq!(
            refusal.problem.current.map(|current| current.version),
            Some(4)
        );
    }
}
