//! Brings one record in line with what the Cabinet says of its domain.

use std::time::Duration;

use dps_domain::ownership::RequireProof;
use dps_domain::record::align::{
    AlignContext, Occasion, after_predecessor, arrival, change, take_down_of,
};
use dps_domain::record::names::Names;
use dps_domain::record::retry::{is_kept_by, is_request};
use dps_domain::{DomainId, EventKind, Failure, Hostname, Phase, Status, Timestamp};

use super::brake;
use super::resync::task::TASK;
use crate::ports::cabinet::CabinetDomain;
use crate::ports::metrics::ClaimEvent;
use crate::ports::store::{DomainRecord, NameHold, RecordWrite, StoreError};
use crate::ports::{CabinetEvent, CertificateStore};
use crate::service::Service;
use crate::wake::Wakes;

/// How often a record that others write at the same time is read again before it is left to the
/// next pass.
const UPDATE_TRIES: usize = 5;
/// The newest lines of a history among which the last request for a check is searched for.
const RETRY_LINES: u32 = 32;
/// The pause before a name is tried again while the same tenant's earlier domain of that name is
/// being taken down.
const TAKE_DOWN_PAUSE: Duration = Duration::from_secs(60);
/// Logs a write and notifies the workers that have work now.
fn log_and_notify(service: &Service, write: &RecordWrite) {
    let record = write.record();
    if let Some(event) = &write.event {
        tracing::info!(domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, "{}", event.kind);
    }
    Wakes::of(write, record.updated_at).notify(&service.waker);
}

/// Brings our record in line with what the Cabinet says of one domain, and returns whether anything
/// was written. A row that cannot be read keeps no other domain from being taken in: it is logged,
/// and the next pass tries again.
pub async fn align_domain(service: &Service, domain: &CabinetDomain) -> Result<bool, StoreError> {
    match align(service, domain).await {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(domain.id = %domain.id, domain.hostname = domain.canonical_host.shown(), %error, "intake.row_unreadable");
            Ok(false)
        }
        other => other,
    }
}

async fn align(service: &Service, domain: &CabinetDomain) -> Result<bool, StoreError> {
    let mut brake = Brake::default();
    for _ in 0..UPDATE_TRIES {
        let record = service.store.domain(domain.id).await?;
        match decide(service, record, domain, Occasion::News, &mut brake).await? {
            Written::Yes => return Ok(true),
            Written::Nothing => return Ok(false),
            Written::Contended => {}
        }
    }
    tracing::warn!(domain.id = %domain.id, "intake.contended");
    Ok(false)
}

/// Compares the record, as it was before the call to the Cabinet, with the Cabinet's answer, and
/// mends differences. A record that is written meanwhile is left to the next resync.
pub(crate) async fn mend(
    service: &Service,
    record: Option<DomainRecord>,
    domain: &CabinetDomain,
) -> Result<(), StoreError> {
    let brake = &mut Brake::default();
    decide(service, record, domain, Occasion::Resync, brake)
        .await
        .map(drop)
}

/// The result of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It was written.
    Yes,
    /// There is nothing to write.
    Nothing,
    /// The record was written meanwhile.
    Contended,
}

/// Writes what the Cabinet's view means.
async fn decide(
    service: &Service,
    record: Option<DomainRecord>,
    domain: &CabinetDomain,
    occasion: Occasion,
    brake: &mut Brake,
) -> Result<Written, StoreError> {
    if domain.id.is_take_down() {
        // We have never sent these identifiers to the Cabinet, so it cannot mean ours.
        return Ok(Written::Nothing);
    }
    let mut names = Names::of(domain, &service.policy.names);
    let target = record.as_ref().map(|record| &record.cname_target);
    if let Some(refusal) = note_target(service, target, domain, &names).await? {
        names = names.without_target(refusal);
    }
    let may_be_refused = record.as_ref().is_none_or(|record| {
        matches!(record.phase, Phase::Failed | Phase::Gone) || record.hostname != names.hostname
    });
    let mut predecessor = None;
    let mut is_contested = false;
    if may_be_refused && names.refusal.is_none() {
        predecessor = service.store.domain_by_hostname(&names.hostname).await?;
        let require = service.policy.ownership.require;
        let holder = predecessor
            .as_ref()
            .filter(|other| other.id != domain.id && is_kept_by(other, &domain.tenant_id, require));
        // Who gets it is decided by proof, at the DNS check.
        is_contested = predecessor.as_ref().is_some_and(|other| {
            other.tenant_id != domain.tenant_id
                && other.name_hold() != NameHold::None
                && require != RequireProof::Never
        });
        if let Some(other) = holder {
            // An earlier name of the same tenant's that is just being taken down comes free by
            // itself.
            if other.id.is_take_down() && other.tenant_id == domain.tenant_id {
                let soon = service.now() + TAKE_DOWN_PAUSE;
                service.store.periodic_make_due(TASK, soon).await?;
                return Ok(Written::Nothing);
            }
            names.refusal = Some(Failure::NameAlreadyClaimed { proven: false });
        }
    }
    let last_retry = match &record {
        Some(record) if requests_retry(record, domain) => {
            last_request(service.store.as_ref(), record.id).await?
        }
        Some(_) | None => None,
    };
    let context = AlignContext {
        policy: &service.policy,
        replica: &service.replica,
        now: service.now(),
        occasion,
        last_retry,
        is_contested,
    };
    let Some(record) = record else {
        return match arrival(&context, domain, &names) {
            Some(write) => {
                let write = after_predecessor(write, predecessor.as_ref());
                let is_contest = context.begins_contest(write.record(), &names);
                save(service, write, is_contest, true).await
            }
            None => Ok(Written::Nothing),
        };
    };
    let mut write = match change(&context, &record, domain, &names) {
        Ok(Some(write)) => write,
        Ok(None) => return Ok(Written::Nothing),
        Err(error) => {
            tracing::error!(domain.id = %record.id, domain.hostname = %record.hostname, %error, "intake.illegal");
            return Ok(Written::Nothing);
        }
    };
    write
        .ledger
        .extend(service.order_limits().abandoned(&record, write.record()));
    let ends = EndOfService::of(&record, write.record());
    if !brake.lets_through(service, &record, domain, ends).await? {
        return Ok(Written::Nothing);
    }
    if write.record().phase == Phase::Leaving {
        // A Cabinet that wants the domain gone refuses reports of progress.
        service.store.outbox_drop(domain.id).await?;
    }
    if write.record().hostname != record.hostname {
        leave_old_name(service, &context, &record).await?;
    }
    let is_contest = context.begins_contest(write.record(), &names);
    save(service, write, is_contest, false).await
}

/// Notes the tenant of a target that is new to a domain. Returns the refusal of one that another
/// tenant's domain has or had: that tenant's name may point there.
pub(super) async fn note_target(
    service: &Service,
    before: Option<&Hostname>,
    domain: &CabinetDomain,
    names: &Names,
) -> Result<Option<Failure>, StoreError> {
    let policy = &service.policy.ownership;
    let Some(target) = names.target.as_ref().filter(|target| {
        Some(*target) != before
            && names.refusal.is_none()
            && policy.require != RequireProof::Never
            && policy.is_unique(target)
    }) else {
        return Ok(None);
    };
    let tenant = domain.tenant_id.as_str();
    let noted = service.store.target_note(target, tenant, service.now());
    let holder = noted.await?;
    Ok(holder
        .is_another(tenant)
        .then(|| Failure::TargetNotAllowed {
            target: target.to_string(),
            reason: "it belongs to a domain of another tenant".to_owned(),
        }))
}

/// Whether the Cabinet's news may be a customer's request for a retry.
fn requests_retry(record: &DomainRecord, domain: &CabinetDomain) -> bool {
    domain.status == Some(Status::PendingDns)
        && domain.version > record.cabinet_version
        && !matches!(record.phase, Phase::Leaving | Phase::Gone)
}

/// The time of the last request for a check of a domain, by the newest lines of its history.
pub(crate) async fn last_request(
    store: &dyn CertificateStore,
    id: DomainId,
) -> Result<Option<Timestamp>, StoreError> {
    let events = store.events(id, RETRY_LINES).await?;
    let request = events.iter().find(|event| is_request(event.kind));
    Ok(request.map(|event| event.at))
}

/// The service that a change ends, as the brake on removals counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndOfService {
    /// Nothing that is served.
    None,
    /// The domain leaves.
    Removal,
    /// The name that was served gives way to another.
    Rename,
}

impl EndOfService {
    fn of(before: &DomainRecord, after: &DomainRecord) -> Self {
        if after.phase == Phase::Leaving && before.phase != Phase::Leaving {
            Self::Removal
        } else if after.hostname != before.hostname && before.phase.was_served() {
            Self::Rename
        } else {
            Self::None
        }
    }
}

/// The brake on removals, applied once to a domain however often its record is written anew.
#[derive(Debug, Default)]
struct Brake {
    let_through: bool,
}

impl Brake {
    async fn lets_through(
        &mut self,
        service: &Service,
        record: &DomainRecord,
        domain: &CabinetDomain,
        ends: EndOfService,
    ) -> Result<bool, StoreError> {
        self.let_through = self.let_through
            || match ends {
                EndOfService::None => return Ok(true),
                EndOfService::Removal => false,
                // A process that ended between the two writes of a rename was counted already.
                EndOfService::Rename => {
                    let begun = record
                        .id
                        .take_down(&record.hostname, record.cabinet_version);
                    service.store.domain(begun).await?.is_some()
                }
            }
            || brake::may_remove(service, domain.id, Some(domain.version)).await?;
        Ok(self.let_through)
    }
}

/// Has the name that a domain had until now taken down by a record of its own, and ends its open
/// order. Doing so twice is harmless.
async fn leave_old_name(
    service: &Service,
    context: &AlignContext<'_>,
    before: &DomainRecord,
) -> Result<(), StoreError> {
    service.store.outbox_drop(before.id).await?;
    if let Some(order) = service.store.order_open(before.id).await? {
        service.store.order_close(order.id, service.now()).await?;
    }
    if let Some(write) = take_down_of(context, before) {
        insert(service, vec![write]).await?;
    }
    Ok(())
}

/// Writes a record, new or changed, and counts a run that begins against another tenant's claim.
async fn save(
    service: &Service,
    write: RecordWrite,
    is_contest: bool,
    new: bool,
) -> Result<Written, StoreError> {
    let kind = write.event.as_ref().map(|event| event.kind);
    let is_refusal = kind == Some(EventKind::NameRefused);
    if !write_record(service, write, new).await? {
        return Ok(Written::Contended);
    }
    if is_refusal {
        service.metrics.cabinet(CabinetEvent::NameRefused);
    } else if is_contest {
        service.metrics.claim(ClaimEvent::Contested);
    }
    Ok(Written::Yes)
}

/// Writes a record, new or changed. Returns `false` if it was written meanwhile.
pub(crate) async fn write_record(
    service: &Service,
    write: RecordWrite,
    new: bool,
) -> Result<bool, StoreError> {
    let written = if new {
        service.store.domain_insert(write.clone()).await?
    } else {
        service.store.domain_update(write.clone()).await?
    };
    if written {
        log_and_notify(service, &write);
    }
    Ok(written)
}

/// Stores new records. A record that another replica stored first is not stored again.
pub(super) async fn insert(
    service: &Service,
    arrivals: Vec<RecordWrite>,
) -> Result<(), StoreError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let inserted = service.store.domains_insert(arrivals.clone()).await?;
    for (write, inserted) in arrivals.iter().zip(inserted) {
        if inserted {
            log_and_notify(service, write);
        }
    }
    Ok(())
}
