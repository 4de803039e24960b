//! The log line of a step, and its level.

use dps_domain::failure::Actor;
use dps_domain::lane::Lane;
use dps_domain::{EventKind, Failure, FailureCode, bounds, with_causes};
use tracing::Level;

use crate::ports::store::{DomainRecord, RecordWrite, StoreError};

/// The longest detail of an outcome in the log, in bytes of JSON. The history has the whole of it.
const MAX_LOGGED: usize = 1024;

/// Logs the step, or the reason why it was not written.
pub(super) fn log_recorded<T>(
    write: &RecordWrite,
    lane: Lane,
    level: Level,
    recorded: Result<T, StoreError>,
) -> Option<T> {
    let id = write.record().id;
    match recorded {
        Ok(recorded) => {
            log(write, lane, level);
            return Some(recorded);
        }
        Err(StoreError::LeaseLost) => tracing::info!(domain.id = %id, "lease.lost"),
        Err(error) => {
            tracing::error!(domain.id = %id, error = %with_causes(&error), "step.not_recorded");
        }
    }
    None
}

/// Returns the log level of an outcome: DEBUG if nothing changed, WARN if an operator must act,
/// else INFO.
pub(super) fn log_level(before: &DomainRecord, write: &RecordWrite) -> Level {
    match write.event.as_ref().map(|event| event.kind) {
        Some(EventKind::RevocationGivenUp) => Level::WARN,
        Some(EventKind::RevocationFailed | EventKind::CertificateRevoked) => Level::INFO,
        Some(_) | None => level_of_change(before, write.record()),
    }
}

fn level_of_change(before: &DomainRecord, after: &DomainRecord) -> Level {
    let failure = |record: &DomainRecord| record.last_failure.as_ref().map(failure_identity);
    let says_the_same = before.phase == after.phase && failure(before) == failure(after);
    match &after.last_failure {
        _ if says_the_same => Level::DEBUG,
        Some(failure) if failure.actor() == Actor::Operator => Level::WARN,
        Some(_) | None => Level::INFO,
    }
}

/// Returns a failure without its context, which may differ each time: addresses, times, texts.
fn failure_identity(failure: &Failure) -> (FailureCode, Actor, Option<FailureCode>) {
    let cause = match failure {
        Failure::DnsMoved { cause } => Some(cause.code()),
        _ => None,
    };
    (failure.code(), failure.actor(), cause)
}

fn log(write: &RecordWrite, lane: Lane, level: Level) {
    let Some(event) = &write.event else {
        return;
    };
    let record = write.record();
    let took_ms = event.duration.map_or(0, |took| {
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    });
    let due = record.next_attempt_at.map(tracing::field::display);
    let code = record
        .last_failure
        .as_ref()
        .map(|failure| tracing::field::display(failure.code()));
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, lane = lane.as_str(),
                code, detail = %bounds::detail(&event.detail, MAX_LOGGED), attempt = record.attempt,
                next_attempt_at = due, took_ms, "{}", event.kind
            )
        };
    }
    match level {
        Level::WARN => log!(warn),
        Level::DEBUG => log!(debug),
        _ => log!(info),
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::{DomainId, Hostname, Issuance, Phase, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn record(phase: Phase, last_failure: Option<Failure>) -> DomainRecord {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let name = |text| Hostname::parse(text).unwrap();
        let (host, target) = (name("shop.example.com"), name("edge.platform.net"));
        let id = DomainId::from_uuid(Uuid::nil());
        DomainRecord {
            phase,
            last_failure,
            ..DomainRecord::new(id, "tenant".into(), host, target, 1, now)
        }
    }

    #[test]
    fn a_check_that_says_the_same_again_is_quiet_and_only_an_operators_work_is_a_warning() {
        let pending = |failure| record(Phase::START, failure);
        let fresh = pending(None);
        let missing = pending(Some(Failure::DnsNxdomain {}));
        let pointing = |last: u8| {
            pending(Some(Failure::DnsNoCname {
                addresses: vec![[192, 0, 2, last].into()],
                more: 0,
                is_zone: false,
            }))
        };
        let ours = pending(Some(Failure::Internal {
            detail: "the store is away".into(),
        }));
        let probing = record(Phase::Onboarding(Issuance::AwaitingHttpProbe), None);
        for (before, after, expected) in [
            (&fresh, &missing, Level::INFO),
            (&missing, &missing, Level::DEBUG),
            (&missing, &pointing(1), Level::INFO),
            (&pointing(1), &pointing(2), Level::DEBUG),
            (&missing, &probing, Level::INFO),
            (&missing, &fresh, Level::INFO),
            (&fresh, &fresh, Level::DEBUG),
            (&fresh, &ours, Level::WARN),
            (&ours, &ours, Level::DEBUG),
        ] {
            assert_eq!(
                level_of_change(before, after),
                expected,
                "{before:?} {after:?}"
            );
        }
    }
}
