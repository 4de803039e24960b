//! Takes domains in from the Cabinet: by its change feed when it offers one, else by polling the pending statuses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::phase::Next;
use dps_domain::{Event, Failure, Hostname, Phase, Status, Timestamp, with_causes};
use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::lane::Wakes;
use super::resync;
use crate::policy::Policy;
use crate::ports::cabinet::{CabinetDomain, CabinetError, CabinetFault, StatusReport};
use crate::ports::store::{Completion, DomainEvent, DomainRecord, StoreError};
use crate::service::Service;
use crate::settle::current_report;

const FEED_CURSOR: &str = "cabinet.changes";
const FEED_WAIT: Duration = Duration::from_secs(25);
/// For so long a feed that is not offered is not asked for again.
const FEED_REST: Duration = Duration::from_secs(600);
/// The pause after the Cabinet or the store failed.
const FAULTS: Backoff = Backoff {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(30),
};
/// The longest pause that the Cabinet may ask for.
const LONGEST: Duration = Duration::from_secs(300);
/// How often a record that others write at the same time is read again before it is left to the next pass.
const UPDATE_TRIES: usize = 5;
/// New domains written in one transaction: short enough that nobody waits for it.
const BATCH: usize = 100;
/// Domains of a page that are looked up at once.
const LOOKS: usize = 8;
/// The statuses that mean work. Active and Failed domains are not polled: nothing per pass may grow with them.
const POLLED: [Status; 4] = [
    Status::PendingDns,
    Status::PendingHttpProbe,
    Status::Issuing,
    Status::PendingRemoval,
];

/// Why domains could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The Cabinet did not answer.
    #[error(transparent)]
    Cabinet(#[from] CabinetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows the Cabinet's change feed while it offers one, and polls the pending statuses while it does not or the feed fails. What
/// either misses is found by the resync.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut intake = Intake::default();
    loop {
        let pause = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            pause = intake.round(&service) => pause,
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes domains in, and remembers how the Cabinet likes to be asked.
#[derive(Debug, Default)]
pub struct Intake {
    /// The feed is not offered; it is not asked for before this moment.
    feed_not_before: Option<Timestamp>,
    faults: u32,
}

impl Intake {
    /// One page of the feed, or one poll. Answers how long to wait before the next.
    pub async fn round(&mut self, service: &Service) -> Duration {
        match self.take_in(service).await {
            Ok(pause) => {
                self.faults = 0;
                pause
            }
            Err(error) => {
                self.faults = self.faults.saturating_add(1);
                tracing::warn!(error = %with_causes(&error), "intake.failed");
                let pause = FAULTS.delay(self.faults, service.randomness.unit());
                match error {
                    IntakeError::Cabinet(error) => error
                        .retry_after
                        .map_or(pause, |asked| asked.clamp(pause, LONGEST)),
                    IntakeError::Store(_) => pause,
                }
            }
        }
    }

    async fn take_in(&mut self, service: &Service) -> Result<Duration, IntakeError> {
        let now = service.now();
        // A clock that was set back must not keep us from the feed.
        let rests = |until: Timestamp| now < until && until.since(now) <= FEED_REST;
        if !self.feed_not_before.is_some_and(rests) {
            match follow_once(service).await {
                Ok(true) => return Ok(Duration::ZERO),
                Ok(false) => self.feed_not_before = Some(now + FEED_REST),
                // The feed alone may be out of order.
                Err(IntakeError::Cabinet(error)) if error.fault == CabinetFault::Call => {
                    tracing::warn!(%error, "intake.feed_failed");
                }
                Err(error) => return Err(error),
            }
        }
        poll_once(service).await?;
        Ok(service.policy.intake_interval)
    }
}

/// One page of the feed. Answers whether the feed is offered.
async fn follow_once(service: &Service) -> Result<bool, IntakeError> {
    let cursor = service.store.cursor(FEED_CURSOR).await?;
    let after = cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let (page, next) = match service.cabinet.changes(after, FEED_WAIT).await {
        Ok(None) => return Ok(false),
        Ok(Some(page)) => (page.domains, page.next),
        // Such as after a Cabinet was restored from a backup. Reading the feed from its start again is harmless; what went backwards
        // there is found by a resync.
        Err(error) if error.fault == CabinetFault::CursorUnknown && after.is_some() => {
            tracing::warn!(%error, "intake.feed_begins_anew");
            service.store.chore_call(resync::CHORE, service.now()).await?;
            (Vec::new(), Some(String::new()))
        }
        Err(error) => return Err(error.into()),
    };
    take_page(service, &page).await?;
    if let Some(next) = next.filter(|next| Some(next) != cursor.as_ref()) {
        // Another replica that was faster has moved it: ours would be behind.
        service
            .store
            .cursor_advance(FEED_CURSOR, cursor.as_deref(), &next)
            .await?;
    }
    Ok(true)
}

async fn poll_once(service: &Service) -> Result<(), IntakeError> {
    for status in POLLED {
        let mut cursor: Option<String> = None;
        loop {
            let page = service.cabinet.list(status, cursor.as_deref()).await?;
            take_page(service, &page.domains).await?;
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                Some(_) | None => break,
            }
        }
    }
    Ok(())
}

/// Brings our records in line with a page of what the Cabinet says, in its order. Domains that are new are written many at a time: one by
/// one they would wait as long as the steps that are under way, each for its own turn to write.
async fn take_page(service: &Service, page: &[CabinetDomain]) -> Result<(), StoreError> {
    let mut arrived = BTreeSet::new();
    let mut arrivals = Vec::new();
    for domains in page.chunks(LOOKS) {
        let looks = join_all(domains.iter().map(|domain| look(service, domain))).await;
        for (domain, look) in domains.iter().zip(looks) {
            // What was looked up was so before the domains ahead of it were written.
            let mut first_of_its_name = |completion: &Completion| {
                let record = &completion.record;
                arrived.insert(record.hostname.to_string()) & arrived.insert(record.id.to_string())
            };
            match look {
                Look::Known => {}
                Look::Arrival(completion) if first_of_its_name(&completion) => arrivals.push(*completion),
                Look::Arrival(_) | Look::Other => {
                    insert(service, std::mem::take(&mut arrivals)).await?;
                    take(service, domain).await?;
                }
            }
        }
        if arrivals.len() >= BATCH {
            insert(service, std::mem::take(&mut arrivals)).await?;
        }
    }
    insert(service, arrivals).await
}

/// What a first look says of a domain in a page.
enum Look {
    /// It is new to us.
    Arrival(Box<Completion>),
    /// It says nothing newer than our record, such as an echo of our own report.
    Known,
    /// Whatever takes more thought.
    Other,
}

async fn look(service: &Service, domain: &CabinetDomain) -> Look {
    match service.store.domain(domain.id).await {
        Ok(Some(record)) if is_known(&record, domain) => return Look::Known,
        Ok(Some(_)) | Err(_) => return Look::Other,
        Ok(None) => {}
    }
    plain_arrival(service, domain)
        .await
        .map_or(Look::Other, |completion| Look::Arrival(Box::new(completion)))
}

/// Whether news of a domain says nothing that is new. A removal is carried out whenever it is heard of.
fn is_known(record: &DomainRecord, domain: &CabinetDomain) -> bool {
    domain.version <= record.cabinet_version && domain.status != Some(Status::PendingRemoval)
}

/// The record of a domain that we have none of; `None` for whatever takes more thought.
async fn plain_arrival(service: &Service, domain: &CabinetDomain) -> Option<Completion> {
    let hostname = Hostname::parse(&domain.canonical_host).ok()?;
    let target = Hostname::parse(&domain.cname_target).ok()?;
    if service.store.domain_by_hostname(&hostname).await.ok()?.is_some() {
        return None;
    }
    let facts = Facts {
        policy: &service.policy,
        replica: &service.replica,
        now: service.now(),
        occasion: Occasion::News,
    };
    arrival(&facts, domain, (&hostname, &target), false)
}

/// Stores records that are new. One that another replica was faster with is as good as ours.
async fn insert(service: &Service, arrivals: Vec<Completion>) -> Result<(), StoreError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let inserted = service.store.domains_insert(arrivals.clone()).await?;
    for (completion, inserted) in arrivals.iter().zip(inserted) {
        if inserted {
            tell(service, completion);
        }
    }
    Ok(())
}

/// What was written goes to the log, and rings who has work now.
fn tell(service: &Service, completion: &Completion) {
    let record = &completion.record;
    if let Some(event) = &completion.event {
        tracing::info!(domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, "{}", event.kind);
    }
    Wakes::of(completion, record.updated_at).ring(service);
}

/// What is decided by, besides record and Cabinet.
struct Facts<'a> {
    policy: &'a Policy,
    replica: &'a str,
    now: Timestamp,
    occasion: Occasion,
}

/// Why record and Cabinet are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// The Cabinet says that something is new. It may be behind what we know.
    News,
    /// Whatever differs is a mistake of somebody's, and is mended.
    Resync,
}

/// Brings our record in line with what the Cabinet says of one domain. A row that cannot be read keeps no other domain from being
/// taken in: the operator is told, and the next pass looks again.
pub async fn take(service: &Service, domain: &CabinetDomain) -> Result<(), StoreError> {
    match align(service, domain).await {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(domain.id = %domain.id, domain.hostname = domain.canonical_host, %error, "intake.row_unreadable");
            Ok(())
        }
        other => other,
    }
}

async fn align(service: &Service, domain: &CabinetDomain) -> Result<(), StoreError> {
    let (hostname, target) = match (
        Hostname::parse(&domain.canonical_host),
        Hostname::parse(&domain.cname_target),
    ) {
        (Ok(hostname), Ok(target)) => (hostname, target),
        (Err(reason), _) => {
            return refuse(
                service,
                domain,
                Failure::NameInvalid {
                    reason: reason.to_string(),
                },
            )
            .await;
        }
        (Ok(_), Err(reason)) => {
            tracing::error!(domain.id = %domain.id, cname_target = %domain.cname_target, %reason, "intake.bad_target");
            return Ok(());
        }
    };
    for _ in 0..UPDATE_TRIES {
        let record = service.store.domain(domain.id).await?;
        if decide(service, record, domain, (&hostname, &target), Occasion::News).await? {
            return Ok(());
        }
    }
    tracing::warn!(domain.id = %domain.id, "intake.contended");
    Ok(())
}

/// Compares the record, as it was before the Cabinet was asked, with what the Cabinet said, and mends what differs. What somebody else
/// writes meanwhile is left to the next resync.
pub(super) async fn mend(
    service: &Service,
    record: Option<DomainRecord>,
    domain: &CabinetDomain,
) -> Result<(), StoreError> {
    let names = (
        Hostname::parse(&domain.canonical_host),
        Hostname::parse(&domain.cname_target),
    );
    let (Ok(hostname), Ok(target)) = names else {
        return take(service, domain).await;
    };
    decide(service, record, domain, (&hostname, &target), Occasion::Resync)
        .await
        .map(drop)
}

/// Writes what the Cabinet's view means. Answers `false` if somebody else wrote the record meanwhile.
async fn decide(
    service: &Service,
    record: Option<DomainRecord>,
    domain: &CabinetDomain,
    (hostname, target): (&Hostname, &Hostname),
    occasion: Occasion,
) -> Result<bool, StoreError> {
    let now = service.now();
    let may_be_refused = record
        .as_ref()
        .is_none_or(|record| matches!(record.phase, Phase::Failed));
    let holder = if may_be_refused {
        service.store.domain_by_hostname(hostname).await?
    } else {
        None
    };
    let claimed = holder.is_some_and(|other| other.id != domain.id && holds_its_name(&other));
    let facts = Facts {
        policy: &service.policy,
        replica: &service.replica,
        now,
        occasion,
    };
    let new = record.is_none();
    let completion = match record {
        None => arrival(&facts, domain, (hostname, target), claimed),
        Some(record) => change(&facts, &record, domain, (target, claimed)),
    };
    match completion {
        Some(completion) => {
            if completion.record.phase == Phase::Leaving {
                // A Cabinet that wants the domain gone refuses to hear how it was getting on.
                service.store.outbox_drop(domain.id).await?;
            }
            write(service, completion, new).await
        }
        None => Ok(true),
    }
}

/// Writes a record, new or changed. Answers `false` if somebody else wrote it meanwhile.
pub(super) async fn write(service: &Service, completion: Completion, new: bool) -> Result<bool, StoreError> {
    let written = if new {
        service.store.domain_insert(completion.clone()).await?
    } else {
        service.store.domain_update(completion.clone()).await?
    };
    if written {
        tell(service, &completion);
    }
    Ok(written)
}

/// A domain that we have no record of. `claimed` tells that another record holds its name.
fn arrival(
    facts: &Facts<'_>,
    domain: &CabinetDomain,
    (hostname, target): (&Hostname, &Hostname),
    claimed: bool,
) -> Option<Completion> {
    let now = facts.now;
    let phase = match domain.status {
        Some(Status::PendingDns | Status::PendingHttpProbe | Status::Issuing) => Phase::START,
        Some(Status::PendingRemoval) => Phase::Leaving,
        // We have lost it, with its certificate.
        Some(Status::Active) if facts.occasion == Occasion::Resync => Phase::START,
        Some(Status::Active | Status::Failed | Status::Removed) | None => return None,
    };
    let mut record = DomainRecord {
        id: domain.id,
        tenant_id: domain.tenant_id.clone(),
        hostname: hostname.clone(),
        cname_target: target.clone(),
        phase,
        attempt: 0,
        next_attempt_at: Some(now),
        pending_since: now,
        failed_validations: 0,
        order_not_before: Timestamp::EPOCH,
        urgent_from: None,
        last_failure: None,
        cabinet_version: domain.version,
        revision: 0,
        created_at: now,
        updated_at: now,
    };
    let mut report = None;
    if claimed && !matches!(record.phase, Phase::Leaving) {
        record.phase = Phase::Failed;
        record.next_attempt_at = None;
        record.last_failure = Some(Failure::NameAlreadyClaimed {});
        report = Some(current_report(&record, None, facts.policy));
    }
    let event = event(
        facts,
        "domain.taken_in",
        &record,
        json!({ "cabinetStatus": domain.status }),
    );
    Some(Completion {
        ledger: Vec::new(),
        advice: None,
        record,
        report,
        event: Some(event),
    })
}

/// What the Cabinet's view means for a record that we have; `None` when nothing.
fn change(
    facts: &Facts<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    (target, claimed): (&Hostname, bool),
) -> Option<Completion> {
    let now = facts.now;
    let newer = domain.version > record.cabinet_version;
    let mut after = DomainRecord {
        updated_at: now,
        ..record.clone()
    };
    let resync = facts.occasion == Occasion::Resync;
    // A resync knows that the version was asked for after ours was read: one that is older is the Cabinet's own, as after a restore.
    after.cabinet_version = if resync {
        domain.version
    } else {
        record.cabinet_version.max(domain.version)
    };
    let retargeted = (newer || resync) && *target != record.cname_target;
    if retargeted {
        after.cname_target = target.clone();
    }
    let theirs = domain.status?;
    let wish = match (theirs, &record.phase) {
        (Status::PendingRemoval, Phase::Leaving) => None,
        (Status::PendingRemoval, Phase::Gone) => newer.then_some(("removal.repeated", true)),
        (Status::PendingRemoval, phase) => {
            after.phase = phase.clone().apply(Event::RemovalRequested).ok()?;
            restart(&mut after, now);
            Some(("removal.requested", false))
        }
        (Status::PendingDns, Phase::Failed) if newer && claimed => {
            after.last_failure = Some(Failure::NameAlreadyClaimed {});
            Some(("retry.refused", true))
        }
        (Status::PendingDns, Phase::Failed) if newer => {
            after.phase = record.phase.clone().apply(Event::RetryRequested).ok()?;
            restart(&mut after, now);
            Some(("retry.requested", true))
        }
        (Status::PendingDns, Phase::Onboarding(issuance)) if newer && before_order(issuance) => {
            after.phase = record.phase.clone().apply(Event::RetryRequested).ok()?;
            restart(&mut after, now);
            Some(("retry.requested", false))
        }
        // An order or a certificate is never thrown away: the next step is made now, and the Cabinet is told where the domain stands.
        (Status::PendingDns, Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. }) if newer => {
            after.lift_pause();
            after.attempt = 0;
            after.next_attempt_at = Some(now);
            Some(("retry.requested", true))
        }
        (
            Status::PendingDns
            | Status::PendingHttpProbe
            | Status::Issuing
            | Status::Active
            | Status::Failed
            | Status::Removed,
            _,
        ) => None,
    };
    if retargeted && looks_at_dns(&after.phase) {
        after.attempt = 0;
        after.next_attempt_at = Some(now);
    }
    let ours = record.phase.status();
    let (kind, report) = match wish {
        Some(wish) => wish,
        None if resync && theirs != ours && theirs.may_report(ours) => ("status.repeated", true),
        None if retargeted => ("target.changed", false),
        None if resync && domain.version < record.cabinet_version => ("cabinet.restored", false),
        None => return None,
    };
    let report = report.then(|| current_report(&after, None, facts.policy));
    let event = event(
        facts,
        kind,
        &after,
        json!({ "cabinetVersion": domain.version, "cabinetStatus": domain.status, "cnameTarget": &after.cname_target }),
    );
    Some(Completion {
        ledger: Vec::new(),
        advice: None,
        record: after,
        report,
        event: Some(event),
    })
}

/// Whether nobody else may have the record's name. One that moved away and was not waited for any longer gave it up.
fn holds_its_name(record: &DomainRecord) -> bool {
    match record.phase {
        Phase::Gone => false,
        Phase::Failed => !matches!(record.last_failure, Some(Failure::DnsMoved { .. })),
        _ => true,
    }
}

/// Whether the next step would look at DNS, so that it need not be waited for when the target has changed.
fn looks_at_dns(phase: &Phase) -> bool {
    match phase {
        Phase::Onboarding(issuance) => before_order(issuance),
        Phase::Live { next, .. } => match next {
            Next::At(_) => true,
            Next::Now(issuance) => before_order(issuance),
        },
        Phase::Expired { issuance, .. } => before_order(issuance),
        Phase::Failed | Phase::Leaving | Phase::Gone => false,
    }
}

fn before_order(issuance: &dps_domain::Issuance) -> bool {
    use dps_domain::Issuance;
    match issuance {
        Issuance::AwaitingDns | Issuance::AwaitingHttpProbe => true,
        Issuance::Ordering
        | Issuance::Queued
        | Issuance::Validating { .. }
        | Issuance::Finalizing { .. }
        | Issuance::Deploying { .. } => false,
    }
}

fn restart(record: &mut DomainRecord, now: Timestamp) {
    record.lift_pause();
    record.attempt = 0;
    record.next_attempt_at = Some(now);
    record.pending_since = now;
    record.last_failure = None;
}

fn event(facts: &Facts<'_>, kind: &str, record: &DomainRecord, detail: serde_json::Value) -> DomainEvent {
    DomainEvent {
        at: facts.now,
        kind: kind.to_owned(),
        phase: record.phase.name().to_owned(),
        detail,
        duration: None,
        replica: facts.replica.to_owned(),
    }
}

/// A name that we cannot even keep a record of: the Cabinet is told at once, without the outbox.
async fn refuse(service: &Service, domain: &CabinetDomain, failure: Failure) -> Result<(), StoreError> {
    let Some(Status::PendingDns | Status::PendingHttpProbe | Status::Issuing) = domain.status else {
        return Ok(());
    };
    let message = match &failure {
        Failure::NameInvalid { reason } => format!("This hostname cannot be used: {reason}."),
        other => other.code().to_string(),
    };
    let report = StatusReport {
        status: Status::Failed,
        failure: Some(failure),
        message: Some(message),
        next_attempt_at: None,
        certificate_not_after: None,
    };
    match service.cabinet.report(domain.id, domain.version, &report).await {
        Ok(answer) => tracing::info!(domain.id = %domain.id, ?answer, "intake.name_refused"),
        Err(error) => tracing::warn!(domain.id = %domain.id, %error, "intake.refusal_not_reported"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dps_domain::phase::Issuance;
    use dps_domain::{CertificateId, DomainId, OrderId};
    use uuid::Uuid;

    use super::*;
    use crate::policy::tests::policy;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn facts(policy: &Policy) -> Facts<'_> {
        Facts {
            policy,
            replica: "replica-1",
            now: NOW,
            occasion: Occasion::News,
        }
    }

    fn told(status: Status, version: u64) -> CabinetDomain {
        CabinetDomain {
            id: DomainId::from_uuid(Uuid::from_u128(1)),
            tenant_id: "acme".into(),
            canonical_host: "shop.example.com".into(),
            cname_target: "edge.platform.net".into(),
            status: Some(status),
            version,
        }
    }

    fn names() -> (Hostname, Hostname) {
        (
            Hostname::parse("shop.example.com").unwrap(),
            Hostname::parse("edge.platform.net").unwrap(),
        )
    }

    fn record(phase: Phase) -> DomainRecord {
        let (hostname, target) = names();
        let told = told(Status::PendingDns, 3);
        let mut record = arrival(&facts(&policy()), &told, (&hostname, &target), false)
            .unwrap()
            .record;
        record.phase = phase;
        record.next_attempt_at = None;
        record
    }

    fn changed(phase: Phase, status: Status, version: u64) -> Option<Completion> {
        change(
            &facts(&policy()),
            &record(phase),
            &told(status, version),
            (&names().1, false),
        )
    }

    #[test]
    fn a_new_domain_is_due_at_once_and_a_claimed_name_fails() {
        let (hostname, target) = names();
        let taken = |claimed| {
            arrival(
                &facts(&policy()),
                &told(Status::PendingDns, 1),
                (&hostname, &target),
                claimed,
            )
            .unwrap()
        };
        assert_eq!(taken(false).record.next_attempt_at, Some(NOW));
        let refused = taken(true);
        assert_eq!(refused.record.phase, Phase::Failed);
        assert_eq!(
            refused.report.unwrap().failure,
            Some(Failure::NameAlreadyClaimed {})
        );
    }

    #[test]
    fn a_retry_starts_a_failed_domain_over_but_only_once_per_version() {
        let retried = changed(Phase::Failed, Status::PendingDns, 4).unwrap().record;
        assert_eq!(
            (retried.phase, retried.next_attempt_at),
            (Phase::START, Some(NOW))
        );
        assert!(changed(Phase::Failed, Status::PendingDns, 3).is_none());
    }

    #[test]
    fn a_retry_never_throws_away_an_order_or_a_certificate() {
        let order = OrderId::from_uuid(Uuid::from_u128(7));
        let serving = CertificateId::from_uuid(Uuid::from_u128(8));
        for phase in [
            Phase::Onboarding(Issuance::Validating { order }),
            Phase::Live {
                serving,
                not_after: NOW,
                next: Next::At(NOW),
            },
        ] {
            let repeated = changed(phase.clone(), Status::PendingDns, 4).unwrap();
            assert_eq!(repeated.record.phase, phase);
            assert_eq!(repeated.report.unwrap().status, phase.status());
        }
    }

    #[test]
    fn what_is_passed_over_would_change_nothing() {
        let order = OrderId::from_uuid(Uuid::from_u128(7));
        let live = Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(8)),
            not_after: NOW,
            next: Next::At(NOW),
        };
        let ordered = Phase::Onboarding(Issuance::Validating { order });
        let target = Hostname::parse("other.platform.net").unwrap();
        for phase in [
            Phase::START,
            ordered,
            live,
            Phase::Failed,
            Phase::Leaving,
            Phase::Gone,
        ] {
            for status in Status::ALL {
                for version in [2, 3, 4] {
                    let (told, record) = (told(status, version), record(phase.clone()));
                    let known = is_known(&record, &told);
                    assert_eq!(known, version < 4 && status != Status::PendingRemoval);
                    let change = change(&facts(&policy()), &record, &told, (&target, false));
                    assert!(!known || change.is_none(), "{phase:?} {status:?} {version}");
                }
            }
        }
    }

    #[test]
    fn a_removal_is_taken_from_any_phase_and_only_once() {
        for phase in [Phase::START, Phase::Failed] {
            let leaving = changed(phase, Status::PendingRemoval, 4).unwrap().record;
            assert_eq!(
                (leaving.phase, leaving.next_attempt_at),
                (Phase::Leaving, Some(NOW))
            );
        }
        assert!(changed(Phase::Leaving, Status::PendingRemoval, 9).is_none());
    }

    #[test]
    fn a_status_that_we_reported_ourselves_changes_nothing() {
        assert!(changed(Phase::START, Status::PendingDns, 3).is_none());
        assert!(changed(Phase::Onboarding(Issuance::Ordering), Status::Issuing, 9).is_none());
    }
}
