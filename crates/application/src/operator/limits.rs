//! An operator's view of the limits ledger, and the way to lift a wait in it.

use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::fleet::DomainFilter;
use dps_domain::limits::{Bucket, BucketKey, CaLimits, Endpoint, Limit, LimitKind};
use dps_domain::record::operator::{Requester, limit_lifted};
use dps_domain::{Failure, FailureCode, Timestamp};

use super::{OperatorError, TRIES};
use crate::ports::CertificateStore;
use crate::ports::fleet_view::{ListRequest, MAX_PAGE};
use crate::ports::store::{DomainRecord, StoreError};

/// Buckets read at once.
const PAGE: u32 = 500;
/// Buckets that one call lifts at most.
const MAX_LIFTED: usize = 10_000;
/// Buckets that a page of a list reads at most.
const MAX_READ: u32 = 10_000;

/// A bucket of the ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitState {
    /// The limit.
    pub kind: LimitKind,
    /// The registered domain or hostname; absent for a limit of the account or the address.
    pub subject: Option<String>,
    /// Tokens that are left.
    pub left: u32,
    /// The moment of the next token; the present where one is left.
    pub next_at: Timestamp,
    /// The end of the wait that the CA named, if it has not passed.
    pub blocked_until: Option<Timestamp>,
}

/// A limit of the account or the address, with its capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headroom {
    /// The bucket.
    pub state: LimitState,
    /// Tokens of a full bucket.
    pub capacity: u32,
}

/// The effect of a lift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// The buckets that are full again.
    pub buckets: Vec<BucketKey>,
    /// The number of domains that waited and are due now.
    pub woken: u32,
    /// Whether every bucket and waiting domain was reached.
    pub is_complete: bool,
}

/// The buckets of one CA that are not full, in the order of their keys.
pub async fn show(
    store: &dyn CertificateStore,
    (directory_url, limits): (&str, &CaLimits),
    now: Timestamp,
) -> Result<Vec<LimitState>, StoreError> {
    let mut states = Vec::new();
    for_each_bucket(store, directory_url, |_, kind, subject, bucket| {
        let state = state_of(kind, subject, (bucket, &limits.get(kind)), now);
        if state.blocked_until.is_some() || bucket.full_at > now {
            states.push(state);
        }
    })
    .await?;
    Ok(states)
}

/// The limits of the account and the address at one CA, used or not. Reads few buckets, however
/// many there are.
pub async fn of_account(
    store: &dyn CertificateStore,
    (directory_url, limits): (&str, &CaLimits),
    now: Timestamp,
) -> Result<Vec<Headroom>, StoreError> {
    let requests = Endpoint::ALL.map(LimitKind::Requests);
    let kinds = [LimitKind::NewOrders, LimitKind::NewAccounts];
    let mut headrooms = Vec::new();
    for kind in kinds.into_iter().chain(requests) {
        let limit = limits.get(kind);
        if limit.is_none() {
            continue;
        }
        let key = BucketKey::of_account(kind, directory_url);
        let bucket = store.ledger_bucket(&key).await?;
        headrooms.push(Headroom {
            state: state_of(kind, None, (bucket, &limit), now),
            capacity: limit.burst,
        });
    }
    Ok(headrooms)
}

/// The limit of a tenant's unproven orders, if it is used in part or waited for.
pub async fn of_tenant(
    store: &dyn CertificateStore,
    (directory_url, limits): (&str, &CaLimits),
    now: Timestamp,
    tenant: &str,
) -> Result<Option<LimitState>, StoreError> {
    let kind = LimitKind::UnprovenOrders;
    let key = BucketKey::of_tenant(directory_url, tenant);
    let bucket = store.ledger_bucket(&key).await?;
    let state = state_of(kind, Some(tenant), (bucket, &limits.get(kind)), now);
    let is_used = state.blocked_until.is_some() || bucket.full_at > now;
    Ok(Some(state).filter(|_| is_used))
}

/// Up to `limit` buckets of one CA that are not full, in the order of their keys, after a place.
/// Reads at most `MAX_READ` buckets, so a page with fewer may have a next one.
pub async fn page(
    store: &dyn CertificateStore,
    (directory_url, limits): (&str, &CaLimits),
    now: Timestamp,
    (after, limit): (&str, u32),
) -> Result<LimitsPage, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = LimitsPage::default();
    let mut after = after.to_owned();
    let mut read = 0;
    loop {
        let buckets = store.ledger_buckets(&after, PAGE).await?;
        let is_last = buckets.len() < PAGE as usize;
        read += PAGE;
        for (key, bucket) in buckets {
            if page.states.len() == limit {
                page.next = Some(after);
                return Ok(page);
            }
            key.as_str().clone_into(&mut after);
            let Some((kind, of, subject)) = key.parts() else {
                continue;
            };
            let state = state_of(kind, subject, (bucket, &limits.get(kind)), now);
            let is_used = state.blocked_until.is_some() || bucket.full_at > now;
            if of == directory_url && is_used {
                page.states.push(state);
            }
        }
        if is_last {
            return Ok(page);
        }
        if read >= MAX_READ {
            page.next = Some(after);
            return Ok(page);
        }
    }
}

/// A part of the ledger, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitsPage {
    /// Limits that are not full.
    pub states: Vec<LimitState>,
    /// The place at which the list continues; `None` at its end.
    pub next: Option<String>,
}

fn state_of(
    kind: LimitKind,
    subject: Option<&str>,
    (bucket, limit): (Bucket, &Limit),
    now: Timestamp,
) -> LimitState {
    LimitState {
        kind,
        subject: subject.map(str::to_owned),
        left: bucket.tokens(limit, now),
        next_at: bucket.token_at(limit, now, 1),
        blocked_until: Some(bucket.blocked_until).filter(|until| *until > now),
    }
}

/// Empties the buckets of a limit, or that of `subject` alone if one is named, of all that was
/// counted or blocked. Makes the records due that wait for them, while `is_in_time` is true. A
/// second call completes one that was cut short.
///
/// The CA may think otherwise. Then it refuses the next request, and the wait that it names is kept
/// as before.
pub async fn lift<'a>(
    store: &dyn CertificateStore,
    (by, now): (impl Into<Requester<'a>>, Timestamp),
    directory_url: &str,
    (kind, subject): (LimitKind, Option<&str>),
    is_in_time: &(dyn Fn() -> bool + Sync),
) -> Result<Lifted, OperatorError> {
    let by = by.into();
    let who = by.who;
    let only = subject.map(|subject| BucketKey::of_name(kind, directory_url, subject));
    let mut buckets = match &only {
        Some(key) if store.ledger_bucket(key).await? == Bucket::default() => vec![],
        Some(key) => vec![key.clone()],
        None => of_kind(store, directory_url, kind).await?,
    };
    // The buckets that are lifted are gone, so that another call finds the others.
    let has_more = buckets.len() > MAX_LIFTED;
    buckets.truncate(MAX_LIFTED);
    // A transaction for each bucket follows. Recorded before, so that a crash hides none of them.
    let of = subject.map_or_else(|| kind.to_string(), |subject| format!("{kind} {subject}"));
    let action = OperatorAction::new(by, now, ActionKind::LimitLift, ActionScope::Limit, &of);
    let action = action.of_many(buckets.len() as u64);
    store.action_insert(&action).await?;
    let mut lifted = Lifted {
        buckets: vec![],
        woken: 0,
        is_complete: false,
    };
    for key in buckets {
        if !is_in_time() {
            return Ok(lifted);
        }
        store.ledger_lift(&key).await?;
        tracing::warn!(bucket = %key, replica = who, "limit.lifted");
        lifted.buckets.push(key);
    }
    let waits = |record: &DomainRecord| {
        let limited = matches!(record.last_failure, Some(Failure::AcmeRateLimited { .. }));
        let later = record.next_attempt_at.is_some_and(|at| at > now);
        let of_record = match kind {
            LimitKind::UnprovenOrders => BucketKey::of_tenant(directory_url, &record.tenant_id),
            _ => BucketKey::of_order(kind, directory_url, &record.hostname),
        };
        let concerned = only.as_ref().is_none_or(|key| *key == of_record);
        limited && later && concerned
    };
    let filter = DomainFilter {
        code: Some(FailureCode::AcmeRateLimited),
        ..DomainFilter::default()
    };
    let mut request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    loop {
        let page = store.fleet_list(&request, MAX_PAGE).await?;
        let records = page.domains.iter().map(|listed| &listed.record);
        for record in records.filter(|record| waits(record)) {
            if !is_in_time() {
                return Ok(lifted);
            }
            if wake(store, (who, now), record, kind, &waits).await? {
                lifted.woken += 1;
            }
        }
        if page.next.is_none() || !is_in_time() {
            lifted.is_complete = page.next.is_none() && !has_more;
            return Ok(lifted);
        }
        request.after = page.next;
    }
}

/// Makes a record due, if it still waits. Returns whether it was written.
async fn wake(
    store: &dyn CertificateStore,
    (who, now): (&str, Timestamp),
    record: &DomainRecord,
    kind: LimitKind,
    waits: &(dyn Fn(&DomainRecord) -> bool + Sync),
) -> Result<bool, StoreError> {
    let mut record = record.clone();
    for _ in 0..TRIES {
        let write = limit_lifted(&record, kind, now, who);
        if store.domain_update(write).await? {
            return Ok(true);
        }
        match store.domain(record.id).await? {
            Some(fresh) if waits(&fresh) => record = fresh,
            Some(_) | None => return Ok(false),
        }
    }
    Ok(false)
}

/// The keys of the buckets of a limit, one more than [`MAX_LIFTED`] at most.
async fn of_kind(
    store: &dyn CertificateStore,
    directory_url: &str,
    kind: LimitKind,
) -> Result<Vec<BucketKey>, StoreError> {
    // The keys of a limit begin with its word, so they follow each other.
    let mut after = format!("{kind} ");
    let mut keys = Vec::new();
    while keys.len() <= MAX_LIFTED {
        let page = store.ledger_buckets(&after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        last.as_str().clone_into(&mut after);
        for (key, _) in page {
            match key.parts() {
                Some((found, of, _)) if found == kind => {
                    if of == directory_url {
                        keys.push(key);
                    }
                }
                Some(_) | None => return Ok(keys),
            }
        }
    }
    Ok(keys)
}

/// Calls `visit` with every bucket of one CA: its key, limit, subject and state.
async fn for_each_bucket(
    store: &dyn CertificateStore,
    directory_url: &str,
    mut visit: impl FnMut(BucketKey, LimitKind, Option<&str>, Bucket),
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = store.ledger_buckets(&after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        last.as_str().clone_into(&mut after);
        for (key, bucket) in page {
            let text = key.clone();
            if let Some((kind, of, subject)) = text.parts()
                && of == directory_url
            {
                visit(key, kind, subject, bucket);
            }
        }
    }
}
