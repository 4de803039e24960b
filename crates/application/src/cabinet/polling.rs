//! Takes in pages of domains: those of the feed, and those of the statuses that are polled.

use std::collections::BTreeSet;

use dps_domain::record::align::{AlignContext, Occasion, arrival, is_known};
use dps_domain::record::names::Names;
use dps_domain::{DomainId, Status};
use futures_util::future::join_all;

use super::align::{align_domain, insert, note_target};
use super::brake;
use super::pace::{CursorTrail, LIST_PAUSE};
use crate::ports::CabinetEvent;
use crate::ports::cabinet::{CabinetDomain, CabinetError, CabinetPage};
use crate::ports::store::{RecordWrite, StoreError};
use crate::service::Service;

/// New domains written in one transaction: short enough to delay no other write.
const BATCH: usize = 100;
/// Records of a page that are read at once.
const READS_AT_ONCE: usize = 8;
/// The statuses that mean work. Active and Failed domains are not polled: nothing per pass may grow
/// with them.
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

/// Notes the items of a page that cannot be used. Each is logged when it is new.
pub(crate) fn note_refused(service: &Service, page: &CabinetPage) {
    let now = service.now();
    for item in &page.refused {
        service.metrics.cabinet(CabinetEvent::ItemRefused);
        if service.cabinet_health.refuse(item, now) {
            tracing::warn!(
                cabinet.item = item.id,
                field = item.field,
                value = item.value,
                reason = item.reason,
                "intake.item_refused"
            );
        }
    }
    let usable: Vec<DomainId> = page.domains.iter().map(|domain| domain.id).collect();
    // Each resync sees every item again.
    service
        .cabinet_health
        .forget_old(&usable, now - service.policy.resync_interval * 2);
}

/// Polls each status once. Returns those whose lists go round in circles; they are left off there.
pub(super) async fn poll_once(service: &Service) -> Result<Vec<Status>, IntakeError> {
    let mut rounds = Vec::new();
    for status in POLLED {
        let (mut cursor, mut trail) = (None::<String>, CursorTrail::default());
        loop {
            let page = service.cabinet.list(status, cursor.as_deref()).await?;
            align_page(service, &page).await?;
            match page.next {
                Some(next) if trail.goes_round(&next) => {
                    rounds.push(status);
                    break;
                }
                Some(next) => cursor = Some(next),
                None => break,
            }
            tokio::time::sleep(LIST_PAUSE).await;
        }
    }
    Ok(rounds)
}

/// Aligns our records with a page of the Cabinet's, in its order. New domains are written many at a
/// time: one by one, each would wait for its turn among the running steps. Returns whether anything
/// was new.
pub(super) async fn align_page(service: &Service, page: &CabinetPage) -> Result<bool, StoreError> {
    note_refused(service, page);
    let mut is_news = false;
    let mut arrived = BTreeSet::new();
    let mut arrivals = Vec::new();
    for domains in page.domains.chunks(READS_AT_ONCE) {
        let entries = join_all(domains.iter().map(|domain| read_entry(service, domain))).await;
        for (domain, entry) in domains.iter().zip(entries) {
            // The record was read before the earlier domains of the page were written.
            let mut first_of_its_name = |write: &RecordWrite| {
                let record = write.record();
                arrived.insert(record.hostname.to_string()) & arrived.insert(record.id.to_string())
            };
            match entry {
                PageEntry::Known => {}
                PageEntry::Arrival(write) if first_of_its_name(&write) => {
                    is_news = true;
                    arrivals.push(*write);
                }
                PageEntry::Arrival(_) | PageEntry::Other => {
                    insert(service, std::mem::take(&mut arrivals)).await?;
                    is_news |= align_domain(service, domain).await?;
                }
            }
        }
        if arrivals.len() >= BATCH {
            insert(service, std::mem::take(&mut arrivals)).await?;
        }
    }
    insert(service, arrivals).await?;
    Ok(is_news)
}

/// A domain of a page beside its record.
enum PageEntry {
    /// It is new to us.
    Arrival(Box<RecordWrite>),
    /// It says nothing newer than our record, such as an echo of our own report.
    Known,
    /// All else: it is aligned one by one, in order.
    Other,
}

async fn read_entry(service: &Service, domain: &CabinetDomain) -> PageEntry {
    if brake::is_held(service, domain.id, domain.version) {
        return PageEntry::Known;
    }
    match service.store.domain(domain.id).await {
        Ok(Some(record)) if is_known(&record, domain) => return PageEntry::Known,
        Ok(Some(_)) | Err(_) => return PageEntry::Other,
        Ok(None) => {}
    }
    plain_arrival(service, domain)
        .await
        .map_or(PageEntry::Other, |write| {
            PageEntry::Arrival(Box::new(write))
        })
}

/// The record of a domain that we have none of; `None` for all other cases.
async fn plain_arrival(service: &Service, domain: &CabinetDomain) -> Option<RecordWrite> {
    let names = Names::of(domain, &service.policy.names);
    if names.refusal.is_some()
        || service
            .store
            .domain_by_hostname(&names.hostname)
            .await
            .ok()?
            .is_some()
    {
        return None;
    }
    // A refusal is written by the long way.
    if !matches!(note_target(service, None, domain, &names).await, Ok(None)) {
        return None;
    }
    let context = AlignContext {
        policy: &service.policy,
        replica: &service.replica,
        now: service.now(),
        occasion: Occasion::News,
        last_retry: None,
        is_contested: false,
    };
    arrival(&context, domain, &names)
}
