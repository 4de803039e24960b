//! An operator's pauses of issuance.

use dps_domain::action::{ActionKind, OperatorAction};
use dps_domain::fleet::{DomainFilter, NameFilter};
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::record::operator::{Requester, pause_ended};
use dps_domain::{Failure, FailureCode, Timestamp};

use super::{OperatorError, TRIES};
use crate::ports::CertificateStore;
use crate::ports::fleet_view::{ListRequest, MAX_PAGE};
use crate::ports::store::{DomainRecord, StoreError, WaitingOrders};

/// Pauses of a status at most.
const MAX_PAUSES: u32 = 1_000;

/// The state of issuance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssuanceStatus {
    /// The pauses in force, at most 1,000.
    pub pauses: Vec<Pause>,
    /// The domains that wait for their end.
    pub waiting: WaitingOrders,
}

/// The effect of the end of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// Domains whose order waited and is due now.
    pub woken: u64,
    /// Whether every waiting order was reached.
    pub is_complete: bool,
}

/// Pauses a scope: no order is placed for its domains, not even for an urgent renewal.
pub async fn pause(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    scope: &PauseScope,
) -> Result<(), OperatorError> {
    check_known(store, scope, now).await?;
    let (kind, of) = (ActionKind::IssuancePause, scope.kind());
    let action = OperatorAction::new(by, now, kind, of, scope.subject());
    let pause = Pause {
        scope: scope.clone(),
        since: now,
        who: action.who.clone(),
        reason: action.reason.clone(),
    };
    store.pause_put(&pause, &action).await?;
    tracing::warn!(
        scope = of.as_str(),
        subject = scope.subject(),
        by = by.who,
        "issuance.paused"
    );
    Ok(())
}

/// Ends the pause of a scope, and makes the orders due that wait for it, while `is_in_time` is
/// true. Those that another pause covers wait again.
///
/// For a scope that is not paused, it makes those due that no pause covers. So a second call
/// completes one that was cut short, and reaches steps that met the pause and ended after it.
pub async fn resume(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    scope: &PauseScope,
    is_in_time: &(dyn Fn() -> bool + Sync),
) -> Result<Resumed, OperatorError> {
    let (kind, of) = (ActionKind::IssuanceResume, scope.kind());
    let action = OperatorAction::new(by, now, kind, of, scope.subject());
    let was_paused = store.pause_delete(scope, &action).await?;
    let mut others = Vec::new();
    if was_paused {
        log_resumed(by, scope);
    } else {
        others = in_force(store).await?;
    }
    let filter = filter(scope);
    let mut request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    let mut woken = 0;
    loop {
        let page = store.fleet_list(&request, MAX_PAGE).await?;
        for record in page.domains.iter().map(|listed| &listed.record) {
            if !is_in_time() {
                let is_complete = false;
                return Ok(Resumed { woken, is_complete });
            }
            if !others.iter().any(|other| other.covers(record)) {
                woken += u64::from(wake(store, (by.who, now), record, scope).await?);
            }
        }
        if page.next.is_none() {
            break;
        }
        request.after = page.next;
    }
    if !was_paused && woken == 0 {
        return Err(OperatorError::NotPaused(scope.clone()));
    }
    let is_complete = true;
    Ok(Resumed { woken, is_complete })
}

/// Ends the pause of a record's hostname, and makes its order due if it waits. An order that
/// another pause covers waits again. Returns whether there was anything to do.
pub async fn resume_record(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    record: &DomainRecord,
) -> Result<bool, StoreError> {
    let scope = PauseScope::Domain(record.hostname.clone());
    let (kind, of) = (ActionKind::IssuanceResume, scope.kind());
    let action = OperatorAction::new(by, now, kind, of, scope.subject());
    let was_paused = store.pause_delete(&scope, &action).await?;
    if was_paused {
        log_resumed(by, &scope);
    }
    // A crash between both leaves an order that waits without its pause.
    let is_woken = wake(store, (by.who, now), record, &scope).await?;
    Ok(was_paused || is_woken)
}

fn log_resumed(by: Requester<'_>, scope: &PauseScope) {
    tracing::warn!(
        scope = scope.kind().as_str(),
        subject = scope.subject(),
        by = by.who,
        "issuance.resumed"
    );
}

/// The scopes of all pauses in force.
async fn in_force(store: &dyn CertificateStore) -> Result<Vec<PauseScope>, StoreError> {
    let mut scopes: Vec<PauseScope> = Vec::new();
    loop {
        let page = store.pauses(scopes.last(), MAX_PAUSES).await?;
        // Rows that cannot be read are left out of a page.
        if page.is_empty() {
            return Ok(scopes);
        }
        scopes.extend(page.into_iter().map(|pause| pause.scope));
    }
}

/// The pauses in force, and what waits for their end.
pub async fn status(
    store: &dyn CertificateStore,
    now: Timestamp,
) -> Result<IssuanceStatus, StoreError> {
    Ok(IssuanceStatus {
        pauses: store.pauses(None, MAX_PAUSES).await?,
        waiting: store.pauses_waiting(now).await?,
    })
}

/// Finds the orders that wait for a pause of this scope, and maybe others.
fn filter(scope: &PauseScope) -> DomainFilter {
    let all = DomainFilter {
        code: Some(FailureCode::IssuancePaused),
        ..DomainFilter::default()
    };
    match scope {
        PauseScope::All => all,
        PauseScope::Tenant(tenant) => DomainFilter {
            tenant: Some(tenant.clone()),
            ..all
        },
        PauseScope::Domain(hostname) => DomainFilter {
            name: Some(NameFilter::Exact(hostname.clone())),
            ..all
        },
    }
}

/// Refuses a scope without a domain: a misspelt pause must not look as if it were in force.
async fn check_known(
    store: &dyn CertificateStore,
    scope: &PauseScope,
    now: Timestamp,
) -> Result<(), OperatorError> {
    match scope {
        PauseScope::All => Ok(()),
        PauseScope::Domain(hostname) => match store.domain_by_hostname(hostname).await? {
            Some(_) => Ok(()),
            None => Err(OperatorError::Unknown(hostname.clone())),
        },
        PauseScope::Tenant(tenant) => {
            let filter = DomainFilter {
                tenant: Some(tenant.clone()),
                ..DomainFilter::default()
            };
            let page = super::fleet::list(store, &filter, now, None, 1).await?;
            if page.domains.is_empty() {
                return Err(OperatorError::UnknownTenant(tenant.clone()));
            }
            Ok(())
        }
    }
}

/// Makes a record due, if its order still waits. Returns whether it was written.
async fn wake(
    store: &dyn CertificateStore,
    (who, now): (&str, Timestamp),
    record: &DomainRecord,
    scope: &PauseScope,
) -> Result<bool, StoreError> {
    let mut record = record.clone();
    for _ in 0..TRIES {
        let is_waiting = matches!(record.last_failure, Some(Failure::IssuancePaused {}));
        let is_later = record.next_attempt_at.is_some_and(|at| at > now);
        if !is_waiting || !is_later || !scope.covers(&record) {
            return Ok(false);
        }
        if store.domain_update(pause_ended(&record, now, who)).await? {
            return Ok(true);
        }
        match store.domain(record.id).await? {
            Some(fresh) => record = fresh,
            None => return Ok(false),
        }
    }
    Ok(false)
}
