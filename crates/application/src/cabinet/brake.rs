//! A brake on removals: more in a day than a day usually brings wait until an operator says yes.
//! A served name that gives way to another one is a removal, too.
//!
//! The count is kept in the store, so that it holds over all replicas and restarts.

use std::time::Duration;

use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::record::operator::Requester;
use dps_domain::{DomainId, Timestamp};
use serde::{Deserialize, Serialize};

use super::resync::task::TASK;
use crate::ports::CertificateStore;
use crate::ports::store::StoreError;
use crate::service::Service;

/// Where the count is kept.
const CURSOR: &str = "cabinet.removals";
/// So many removals in a day are no reason for suspicion, however few domains there are.
pub(crate) const FEW: u64 = 10;
/// The time over which removals are counted, and for which an operator's yes holds.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often the count is tried when others write it at the same time.
const TRIES: usize = 8;
/// The time for which polls skip a removal that was held, and for which the number of domains is
/// reused.
const HELD_FOR: Duration = Duration::from_secs(60);

/// The removals of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Removals {
    /// When the day began.
    since: Timestamp,
    /// Removals in it.
    taken: u64,
    /// Until when an operator lets all through.
    #[serde(default)]
    approved_until: Option<Timestamp>,
}

/// The decision on one removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is let through and counted.
    Counted(Removals),
    /// It is let through since an operator said yes.
    Approved,
    /// It waits.
    Held,
}

impl Removals {
    fn read(text: Option<&str>) -> Option<Self> {
        text.and_then(|text| serde_json::from_str(text).ok())
    }

    /// A clock that was set back begins a new day, too.
    fn is_over(self, now: Timestamp) -> bool {
        now < self.since || now.since(self.since) >= DAY
    }

    fn is_approved(self, now: Timestamp) -> bool {
        self.approved_until
            .is_some_and(|until| now < until && until.since(now) <= DAY)
    }
}

/// Judges one more removal when there are so many domains.
fn judge(stored: Option<Removals>, domains: u64, percent: u32, now: Timestamp) -> Verdict {
    if stored.is_some_and(|removals| removals.is_approved(now)) {
        return Verdict::Approved;
    }
    let before = stored.filter(|removals| !removals.is_over(now));
    let before = before.unwrap_or(Removals {
        since: now,
        taken: 0,
        approved_until: None,
    });
    let share = domains.saturating_mul(u64::from(percent)) / 100;
    if before.taken >= share.max(FEW) {
        return Verdict::Held;
    }
    Verdict::Counted(Removals {
        taken: before.taken + 1,
        ..before
    })
}

/// Whether what this version of the Cabinet's asks for was held just now. Polls pass over it, since
/// each check costs the store several reads; an approval makes a resync due, which does not.
pub(crate) fn is_held(service: &Service, id: DomainId, version: u64) -> bool {
    let since = service.now() - HELD_FOR;
    service.cabinet_health.is_held(id, version, since)
}

/// Domains at present, or within the last minute.
async fn count_domains(service: &Service, now: Timestamp) -> Result<u64, StoreError> {
    if let Some(domains) = service.cabinet_health.domains(now - HELD_FOR, now) {
        return Ok(domains);
    }
    let domains = service.store.count_domains().await?;
    service.cabinet_health.note_domains(domains, now);
    Ok(domains)
}

/// Whether the domain, or the name that it has, may be removed now. A removal that is held comes
/// again with a later poll or resync. `version` is the Cabinet's, if it is the Cabinet that asks.
pub(crate) async fn may_remove(
    service: &Service,
    id: DomainId,
    version: Option<u64>,
) -> Result<bool, StoreError> {
    let percent = service.policy.removal_brake_percent;
    if percent >= 100 {
        return Ok(true);
    }
    for _ in 0..TRIES {
        let text = service.store.cursor(CURSOR).await?;
        let (stored, now) = (Removals::read(text.as_deref()), service.now());
        // The domains are counted only when few would not be few any more.
        let is_few =
            stored.is_none_or(|removals| removals.taken < FEW || removals.is_approved(now));
        let domains = if is_few {
            0
        } else {
            count_domains(service, now).await?
        };
        match judge(stored, domains, percent, now) {
            Verdict::Approved => {
                service.cabinet_health.release(id);
                return Ok(true);
            }
            Verdict::Held => {
                if service.cabinet_health.hold(id, version, now) {
                    tracing::error!(domain.id = %id, domains, "removals.held");
                }
                return Ok(false);
            }
            Verdict::Counted(next) => {
                let next = serde_json::json!(next).to_string();
                let store = &service.store;
                if store.cursor_advance(CURSOR, text.as_deref(), &next).await? {
                    service.cabinet_health.release(id);
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Whether an operator lets all removals through at present.
pub(crate) async fn is_approved(service: &Service) -> Result<bool, StoreError> {
    let stored = Removals::read(service.store.cursor(CURSOR).await?.as_deref());
    Ok(stored.is_some_and(|removals| removals.is_approved(service.now())))
}

/// Lets all removals through for a day, and makes a resync due at once. Returns the end of that
/// time; `None` when others wrote the count all the while.
///
/// # Errors
/// When the store fails.
pub async fn approve<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let by = by.into();
    let until = now + DAY;
    let (kind, scope) = (ActionKind::RemovalsApprove, ActionScope::All);
    let action = OperatorAction::new(by, now, kind, scope, "");
    for _ in 0..TRIES {
        let text = store.cursor(CURSOR).await?;
        let before = Removals::read(text.as_deref());
        let taken = before.map_or(0, |removals| removals.taken);
        let next = Removals {
            since: before.map_or(now, |removals| removals.since),
            taken,
            approved_until: Some(until),
        };
        let next = serde_json::json!(next).to_string();
        let state = format!("{taken} removed today");
        let action = (action.clone()).changing(&state, &format!("approved until {until}"));
        let moved = store.cursor_advance_by(CURSOR, text.as_deref(), &next, &action);
        if moved.await? {
            store.periodic_make_due(TASK, now).await?;
            return Ok(Some(until));
        }
    }
    Ok(None)
}

/// Removals of the present day, and until when an operator lets all through.
///
/// # Errors
/// When the store fails.
pub async fn removals(
    store: &dyn CertificateStore,
    now: Timestamp,
) -> Result<(u64, Option<Timestamp>), StoreError> {
    let stored = Removals::read(store.cursor(CURSOR).await?.as_deref());
    let today = stored.filter(|removals| !removals.is_over(now));
    let approved = stored.filter(|removals| removals.is_approved(now));
    Ok((
        today.map_or(0, |removals| removals.taken),
        approved.and_then(|removals| removals.approved_until),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// How many of a thousand removals are let through at once.
    fn let_through(domains: u64, percent: u32) -> u64 {
        let mut stored = None;
        for passed in 0..1_000 {
            match judge(stored, domains, percent, NOW) {
                Verdict::Counted(next) => stored = Some(next),
                Verdict::Held => return passed,
                Verdict::Approved => panic!("no operator approved"),
            }
        }
        1_000
    }

    #[test]
    fn a_tenth_of_the_domains_in_a_day_and_a_few_always() {
        assert_eq!(let_through(3, 10), FEW);
        assert_eq!(let_through(1_000, 10), 100);
        assert_eq!(let_through(1_000, 50), 500);
    }

    #[test]
    fn a_new_day_a_clock_set_back_and_a_yes_let_more_through() {
        let full = Removals {
            since: NOW,
            taken: FEW,
            approved_until: None,
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(judge(Some(full), 1, 10, NOW + hour), Verdict::Held);
        for now in [NOW + DAY, NOW - hour] {
            assert!(
                matches!(judge(Some(full), 1, 10, now), Verdict::Counted(next) if next.taken == 1)
            );
        }
        let approved = Removals {
            approved_until: Some(NOW + DAY),
            ..full
        };
        assert_eq!(judge(Some(approved), 1, 10, NOW + hour), Verdict::Approved);
        assert!(matches!(
            judge(Some(approved), 1, 10, NOW + DAY),
            Verdict::Counted(_)
        ));
        let text = serde_json::json!(approved).to_string();
        assert_eq!(Removals::read(Some(&text)), Some(approved));
        assert_eq!(Removals::read(Some("garbage")), None);
    }
}
