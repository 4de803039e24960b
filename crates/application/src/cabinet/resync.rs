//! Compares all domains with the Cabinet now and then, and mends what feed and polling missed.
//!
//! A round has three stages, each made of pages that are small however many domains there are.
//! First the Cabinet's domains are read, status by status, and compared with our records; the ids
//! of those we know are noted. Then our records are read in the order of their ids, and the Cabinet
//! is queried for each that it did not name. Last, what it has not known for
//! [`Policy::missing_grace`] is taken down. The place is stored after each page, so that the
//! next replica continues there; one replica makes a round at a time.
//!
//! [`Policy::missing_grace`]: crate::policy::Policy::missing_grace

mod compare;
mod progress;
pub(crate) mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::{AROUND, spread};
use dps_domain::record::missing;
use dps_domain::record::names::Names;
use dps_domain::{DomainId, IllegalTransition, Status, Timestamp, with_causes};
use tokio_util::sync::CancellationToken;

use self::compare::{compare_domain_caught, differs};
use self::progress::{Progress, READ, Stage, text};
use self::task::{LEASE, TASK};
use super::pace::CursorTrail;
use super::polling::{self, IntakeError};
use super::{align, brake};
use crate::ports::cabinet::CabinetFault;
use crate::ports::metrics::LocalParty;
use crate::ports::store::PeriodicTaskLease;
use crate::ports::store::{DomainRecord, RecordWrite, StoreError};
use crate::ports::sync::KnownRecord;
use crate::service::Service;

/// Records on a page.
const PAGE: u32 = 500;
/// The pause between two pages, so that neither the Cabinet nor the store is busy with us alone.
const PAGE_PAUSE: Duration = Duration::from_millis(50);
/// The pause before a round that failed continues.
const FAULT_PAUSE: Duration = Duration::from_secs(30);

/// Makes a round whenever one is due, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let check_interval = (service.policy.resync_interval / 4)
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
            () = tokio::time::sleep(check_interval) => {}
        }
    }
}

/// Makes a round, or what is left of one, if it is due and no other replica makes it; returns
/// whether.
pub async fn resync(service: &Service) -> Result<bool, IntakeError> {
    let (store, now) = (&service.store, service.now());
    let interval = service.policy.resync_interval;
    // The first at a random time, so that not every installation calls its Cabinet at its start.
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
            let retry_after = match &error {
                IntakeError::Cabinet(error) => {
                    if error.fault == CabinetFault::Local {
                        service.local_fault(LocalParty::Cabinet, &error.detail);
                    }
                    error.retry_after
                }
                IntakeError::Store(_) => None,
            };
            let pause = retry_after.unwrap_or(FAULT_PAUSE).max(FAULT_PAUSE);
            let at = service.now() + pause;
            store
                .periodic_release(&lease, Some(&text(&progress)), at)
                .await?;
            Err(error)
        }
    }
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
        tokio::time::sleep(PAGE_PAUSE).await;
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
            tracing::error!(%status, "resync.pages_looped");
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

/// One page of our records: the Cabinet is queried for those that it did not name.
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
        // Several rounds a day share one allowance, with the Cabinet's own removals.
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

/// Writes what `change` makes of a record. If the record is written at the same time, the
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
