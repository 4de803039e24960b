//! Compares all domains with the Cabinet now and then, and mends what feed and polling missed.
//!
//! A round has three stages, each made of pages that are small however many domains there are.
//! First the Cabinet's domains are read, status by status, and compared with our records; the ids
//! of those we know are noted. Then our records are read in the order of their ids, and the Cabinet
//! is asked for each that it did not name. Last, what it has not known for
//! [`Policy::missing_grace`] is taken down. The place is stored after each page, so that whoever
//! comes next goes on there; one replica makes a round at a time.
//!
//! [`Policy::missing_grace`]: crate::policy::Policy::missing_grace

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::{AROUND, spread};
use dps_domain::record::missing;
use dps_domain::record::names::{Names, is_refusal_over};
use dps_domain::{DomainId, IllegalTransition, Status, Timestamp, with_causes};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::align;
use super::brake::{self, FEW};
use super::pace::CursorTrail;
use super::polling::{self, IntakeError};
use crate::ports::cabinet::{CabinetDomain, CabinetFault};
use crate::ports::metrics::LocalParty;
use crate::ports::store::PeriodicTaskLease;
use crate::ports::store::{DomainRecord, RecordWrite, StoreError};
use crate::ports::sync::KnownRecord;
use crate::service::Service;

/// The task's name in the store.
pub(crate) const TASK: &str = "cabinet.resync";
/// A replica that dies in a round is replaced after so long. Each page starts it anew; a page takes
/// a call to the Cabinet for each domain that differs, and is noted in pieces.
const LEASE: Duration = Duration::from_secs(600);
/// Records on a page.
const PAGE: u32 = 500;
/// Between two pages, so that neither the Cabinet nor the store is busy with us alone.
const BREATH: Duration = Duration::from_millis(50);
/// Before a round that failed goes on.
const FAULT_PAUSE: Duration = Duration::from_secs(30);
/// After so many calls in a row that failed for one domain each, it is not about the domains.
const FAILED_IN_A_ROW: u32 = 16;
/// The statuses whose domains are read. Removed domains need no work.
const READ: [Status; 6] = [
    Status::PendingDns,
    Status::PendingHttpProbe,
    Status::Issuing,
    Status::Active,
    Status::Failed,
    Status::PendingRemoval,
];

/// How far a round has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    run: i64,
    began: Timestamp,
    stage: Stage,
    /// Domains that the Cabinet named.
    named: u64,
    /// Domains that differed.
    different: u64,
    /// Records of ours that should be in the Cabinet.
    records: u64,
    /// Of these, those that the Cabinet does not know.
    missing: u64,
    /// The cursors of the list that is read.
    #[serde(default)]
    trail: CursorTrail,
    /// Domains in a row of which the Cabinet could not say anything.
    #[serde(default)]
    failed_in_a_row: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Reading the Cabinet, this status after this cursor.
    Cabinet(Status, Option<String>),
    /// Reading our records after this one.
    Records(Option<DomainId>),
    /// Taking down what is missing, after this one.
    Missing(Option<DomainId>),
    Done,
}

impl Progress {
    fn begin(now: Timestamp) -> Self {
        Self {
            run: now.unix_micros(),
            began: now,
            stage: Stage::Cabinet(READ[0], None),
            named: 0,
            different: 0,
            records: 0,
            missing: 0,
            trail: CursorTrail::default(),
            failed_in_a_row: 0,
        }
    }

    /// A Cabinet that has lost more than `percent` of its domains at once has more likely lost its
    /// data than its customers.
    fn is_suspicious(&self, percent: u32) -> bool {
        let share = self.records.saturating_mul(u64::from(percent));
        self.missing > FEW && self.missing.saturating_mul(100) > share
    }
}

/// Makes a round whenever one is due, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let look = (service.policy.resync_interval / 4)
        .clamp(Duration::from_millis(500), Duration::from_secs(60));
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            made = resync(&service) => if let Err(error) = made {
                tracing::warn!(error = %with_causes(&error), "resync.interrupted");
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// Makes a round, or the rest of one, if it is due and nobody else makes it; returns whether.
pub async fn resync(service: &Service) -> Result<bool, IntakeError> {
    let (store, now) = (&service.store, service.now());
    let interval = service.policy.resync_interval;
    // The first at a random time, so that not every installation asks its Cabinet at its start.
    let first = now + interval.mul_f64(service.randomness.unit());
    let Some(lease) = store.periodic_acquire(TASK, now, LEASE, first).await? else {
        return Ok(false);
    };
    let stored = lease.progress.as_deref();
    let mut progress = stored
        .and_then(|stored| serde_json::from_str(stored).ok())
        .unwrap_or_else(|| Progress::begin(now));
    match run_stages(service, &lease, &mut progress).await {
        Ok(()) => {
            let Progress {
                named,
                different,
                records,
                missing,
                ..
            } = progress;
            tracing::info!(named, different, records, missing, "resync.done");
            let next = service.now() + spread(interval, AROUND, service.randomness.unit());
            store.periodic_release(&lease, None, next).await?;
            Ok(true)
        }
        Err(IntakeError::Store(StoreError::LeaseLost)) => Ok(false),
        Err(error) => {
            let asked = match &error {
                IntakeError::Cabinet(error) => {
                    if error.fault == CabinetFault::Local {
                        service.local_fault(LocalParty::Cabinet, &error.detail);
                    }
                    error.retry_after
                }
                IntakeError::Store(_) => None,
            };
            let pause = asked.unwrap_or(FAULT_PAUSE).max(FAULT_PAUSE);
            let at = service.now() + pause;
            store
                .periodic_release(&lease, Some(&text(&progress)), at)
                .await?;
            Err(error)
        }
    }
}

fn text(progress: &Progress) -> String {
    json!(progress).to_string()
}

async fn run_stages(
    service: &Service,
    lease: &PeriodicTaskLease,
    progress: &mut Progress,
) -> Result<(), IntakeError> {
    loop {
        progress.stage = match progress.stage.clone() {
            Stage::Cabinet(status, cursor) => {
                read_cabinet(service, progress, status, cursor).await?
            }
            Stage::Records(after) => read_records(service, progress, after).await?,
            Stage::Missing(after) => take_down(service, progress, after).await?,
            Stage::Done => return Ok(()),
        };
        let until = service.now() + LEASE;
        service
            .store
            .periodic_extend(lease, &text(progress), until)
            .await?;
        tokio::time::sleep(BREATH).await;
    }
}

/// One page of the Cabinet's domains.
async fn read_cabinet(
    service: &Service,
    progress: &mut Progress,
    status: Status,
    cursor: Option<String>,
) -> Result<Stage, IntakeError> {
    let page = match service.cabinet.list(status, cursor.as_deref()).await {
        Ok(page) => page,
        // It was restored meanwhile.
        Err(error) if error.fault == CabinetFault::CursorUnknown && cursor.is_some() => {
            return Ok(Stage::Cabinet(status, None));
        }
        Err(error) => return Err(error.into()),
    };
    polling::note_refused(service, &page);
    let ids: Vec<DomainId> = page.domains.iter().map(|domain| domain.id).collect();
    let known = service.store.known(&ids).await?;
    let known: BTreeMap<DomainId, &KnownRecord> =
        known.iter().map(|known| (known.record.id, known)).collect();
    for domain in &page.domains {
        progress.named += 1;
        let names = Names::of(domain, &service.policy.names);
        if differs(known.get(&domain.id).copied(), domain, &names) {
            progress.different += 1;
            compare_domain_caught(service, progress, domain.id).await?;
        }
    }
    service.store.cabinet_mark_seen(progress.run, &ids).await?;
    let following = READ.iter().skip_while(|read| **read != status).nth(1);
    let next = page.next.filter(|next| {
        let goes_round = progress.trail.goes_round(next);
        if goes_round {
            tracing::error!(%status, "resync.goes_round");
        }
        !goes_round
    });
    if next.is_none() {
        progress.trail = CursorTrail::default();
    }
    Ok(match (next, following) {
        (Some(next), _) => Stage::Cabinet(status, Some(next)),
        (None, Some(following)) => Stage::Cabinet(*following, None),
        (None, None) => Stage::Records(None),
    })
}

/// Whether a look at the domain alone is worth a call. A page may be older than what we did
/// meanwhile.
fn differs(known: Option<&KnownRecord>, domain: &CabinetDomain, names: &Names) -> bool {
    let Some(theirs) = domain.status else {
        return false;
    };
    let Some(known) = known else {
        return theirs != Status::Failed;
    };
    let record = &known.record;
    domain.version != record.cabinet_version
        || (theirs != record.phase.status() && !known.reports_wait)
        || names
            .target
            .as_ref()
            .is_some_and(|target| *target != record.cname_target)
        || names.hostname != record.hostname
        || is_refusal_over(record, names)
}

/// Asks for one domain, after its record was read, and mends the difference. Returns whether the
/// Cabinet knows it. A row or an answer that cannot be read is told to the operator and keeps no
/// other from being looked at.
async fn compare_domain_caught(
    service: &Service,
    progress: &mut Progress,
    id: DomainId,
) -> Result<bool, IntakeError> {
    match compare_domain(service, id).await {
        Err(IntakeError::Store(error @ StoreError::Corrupt { .. })) => {
            tracing::error!(domain.id = %id, %error, "resync.row_unreadable");
            Ok(true)
        }
        Err(IntakeError::Cabinet(error))
            if error.fault == CabinetFault::Call && progress.failed_in_a_row < FAILED_IN_A_ROW =>
        {
            tracing::warn!(domain.id = %id, %error, "resync.domain_unreadable");
            progress.failed_in_a_row += 1;
            Ok(true)
        }
        other => {
            progress.failed_in_a_row = 0;
            other
        }
    }
}

async fn compare_domain(service: &Service, id: DomainId) -> Result<bool, IntakeError> {
    let before = service.store.known(&[id]).await?.pop();
    let Some(domain) = service.cabinet.domain(id).await? else {
        return Ok(false);
    };
    match before {
        // The waiting report will be sent, and settles older ones.
        Some(known) if known.reports_wait => {
            align::take(service, &domain).await?;
        }
        Some(known) => {
            warn_if_irreconcilable(&known.record, &domain);
            align::mend(service, Some(known.record), &domain).await?;
        }
        None => align::mend(service, None, &domain).await?,
    }
    Ok(true)
}

fn warn_if_irreconcilable(record: &DomainRecord, domain: &CabinetDomain) {
    let ours = record.phase.status();
    if let Some(theirs) = domain.status
        && theirs != ours
        && !theirs.may_report(ours)
        && !matches!(theirs, Status::PendingDns | Status::PendingRemoval)
    {
        tracing::warn!(domain.id = %record.id, domain.hostname = %record.hostname, %ours, %theirs, "resync.disagrees");
    }
}

/// One page of our records: the Cabinet is asked for those that it did not name.
async fn read_records(
    service: &Service,
    progress: &mut Progress,
    after: Option<DomainId>,
) -> Result<Stage, IntakeError> {
    let store = &service.store;
    let page = store.cabinet_presences(progress.run, after, PAGE).await?;
    for presence in &page {
        progress.records += 1;
        if presence.seen || presence.created_at >= progress.began {
            continue;
        }
        if compare_domain_caught(service, progress, presence.id).await? {
            // It moved from a status that was not read yet to one that was.
            store
                .cabinet_mark_seen(progress.run, &[presence.id])
                .await?;
            continue;
        }
        progress.missing += 1;
        let now = service.now();
        if store
            .cabinet_mark_missing(progress.run, presence.id, now)
            .await?
            == now
        {
            let noted =
                |record: &DomainRecord, now| Ok(missing::noted(record, now, &service.replica));
            write(service, presence.id, noted).await?;
        }
    }
    Ok(match page.last() {
        Some(last) => Stage::Records(Some(last.id)),
        None if progress.is_suspicious(service.policy.removal_brake_percent)
            && !brake::is_approved(service).await? =>
        {
            let Progress {
                records, missing, ..
            } = progress;
            tracing::error!(records, missing, "resync.too_many_missing");
            Stage::Done
        }
        None => Stage::Missing(None),
    })
}

/// One page of the domains that the Cabinet has not known for long enough.
async fn take_down(
    service: &Service,
    progress: &Progress,
    after: Option<DomainId>,
) -> Result<Stage, IntakeError> {
    let before = service.now() - service.policy.missing_grace;
    let page = service
        .store
        .cabinet_missing_since(progress.run, before, after, PAGE)
        .await?;
    for id in &page {
        // Several rounds a day share one allowance, with what the Cabinet asks to be removed.
        if !brake::may_remove(service, *id, None).await? {
            continue;
        }
        let take_down =
            |record: &DomainRecord, now| missing::take_down(record, before, now, &service.replica);
        write(service, *id, take_down).await?;
    }
    Ok(page
        .last()
        .map_or(Stage::Done, |last| Stage::Missing(Some(*last))))
}

/// Writes what `change` makes of a record. If somebody else writes the record at the same time, the
/// next round will.
async fn write(
    service: &Service,
    id: DomainId,
    change: impl FnOnce(&DomainRecord, Timestamp) -> Result<RecordWrite, IllegalTransition>,
) -> Result<(), StoreError> {
    let record = match service.store.domain(id).await {
        Ok(Some(record)) => record,
        Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let write = match change(&record, service.now()) {
        Ok(write) => write,
        Err(error) => {
            tracing::error!(domain.id = %id, domain.hostname = %record.hostname, %error, "resync.illegal");
            return Ok(());
        }
    };
    align::write_record(service, write, false).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cabinet_that_lost_a_tenth_at_once_is_not_believed_and_one_that_lost_a_few_is() {
        let mut progress = Progress::begin(Timestamp::EPOCH);
        for (records, missing, percent, is_suspicious) in [
            (12, 10, 10, false),
            (1_000, 101, 10, true),
            (1_000, 100, 10, false),
            (1_000, 500, 50, false),
            (1_000, 501, 50, true),
            (1_000, 1_000, 100, false),
        ] {
            (progress.records, progress.missing) = (records, missing);
            assert_eq!(
                progress.is_suspicious(percent),
                is_suspicious,
                "{missing} of {records}, {percent} %"
            );
        }
    }

    #[test]
    fn progress_survives_its_text() {
        let mut progress = Progress::begin(Timestamp::from_unix_seconds(7));
        for stage in [
            Stage::Cabinet(Status::Active, Some("c".into())),
            Stage::Records(None),
            Stage::Missing(Some(DomainId::new(Timestamp::EPOCH, [1; 10]))),
        ] {
            progress.stage = stage;
            assert_eq!(
                serde_json::from_str::<Progress>(&text(&progress)).unwrap(),
                progress
            );
        }
    }
}
