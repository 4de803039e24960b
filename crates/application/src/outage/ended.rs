//! The end of an outage: makes the domains due that wait for it.

use std::collections::BTreeSet;
use std::time::Duration;

use dps_domain::lane::Lane;
use dps_domain::record::{DomainRecord, operator};
use dps_domain::{DomainId, with_causes};

use super::Party;
use crate::ports::WakeSignal;
use crate::ports::store::StoreError;
use crate::service::Service;

/// The shortest and the longest time over which the domains are spread, and what each adds.
const SPREAD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
const SPREAD_EACH: Duration = Duration::from_millis(5);

/// Makes the domains due, within seconds, that wait for a party which answers again. Returns at
/// once.
pub(crate) fn ended(service: &Service, party: Party) {
    let waiting = service.outages.take(party);
    if waiting.is_empty() {
        return;
    }
    let service = service.clone();
    tokio::spawn(async move { bring_forward(&service, party, waiting).await });
}

async fn bring_forward(service: &Service, party: Party, waiting: BTreeSet<DomainId>) {
    let (shortest, longest) = SPREAD;
    let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
    let spread = SPREAD_EACH.saturating_mul(count).clamp(shortest, longest);
    let (mut lanes, mut moved) = (Vec::new(), 0_u32);
    for id in waiting {
        match bring_one_forward(service, party, id, spread).await {
            Ok(None) => {}
            Ok(Some(lane)) => {
                moved += 1;
                if !lanes.contains(&lane) {
                    lanes.push(lane);
                }
            }
            Err(error) => {
                tracing::warn!(domain.id = %id, error = %with_causes(&error), "outage.domain_not_brought_forward");
            }
        }
    }
    // Workers that sleep until the next due time they know must query again.
    for lane in lanes {
        service.waker.notify_all(WakeSignal::Lane(lane));
    }
    tracing::info!(party = party.as_str(), domains = moved, "outage.ended");
}

/// Makes a domain due within `spread`, if it waits for the party still; returns its lane then.
async fn bring_one_forward(
    service: &Service,
    party: Party,
    id: DomainId,
    spread: Duration,
) -> Result<Option<Lane>, StoreError> {
    let record = service.store.domain(id).await?;
    let Some(record) = record.filter(|record| waits_for(record, party)) else {
        return Ok(None);
    };
    let now = service.now();
    let due = now + spread.mul_f64(service.randomness.unit());
    let Some(write) = operator::outage_ended(&record, due, now) else {
        return Ok(None);
    };
    let lane = write.record().lane();
    // A write that came meanwhile stands.
    let written = service.store.domain_update(write).await?;
    Ok(lane.filter(|_| written))
}

fn waits_for(record: &DomainRecord, party: Party) -> bool {
    record.last_failure.as_ref().and_then(Party::blamed_for) == Some(party)
}
