//! Takes domains in from the Cabinet: by its change feed when it offers one, else by polling the
//! pending statuses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::phase::Next;
use dps_domain::policy::Policy;
use dps_domain::record::report::current_report;
use dps_domain::sentence::sentence;
use dps_domain::{
    DomainId, Event, EventKind, Failure, Hostname, IllegalTransition, OrderGate, Phase, Status,
    Timestamp, with_causes,
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::names::{Names, is_refusal_over, keeps_what_it_has, shown};
use super::pace::{CursorTrail, FeedPace, FeedPage, LIST_PAUSE};
use super::{brake, resync};
use crate::engine::run_step::Wakes;
use crate::ports::CabinetEvent;
use crate::ports::cabinet::{CabinetDomain, CabinetError, CabinetFault, CabinetPage};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{DomainEvent, DomainRecord, NameHold, RecordWrite, StoreError};
use crate::service::Service;
use crate::steps;

const FEED_CURSOR: &str = "cabinet.changes";
const FEED_WAIT: Duration = Duration::from_secs(25);
/// For so long a feed that is not offered is not asked for again.
const FEED_REST: Duration = Duration::from_secs(600);
/// The pause after the Cabinet or the store failed.
const FAULTS: Backoff = Backoff {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(30),
};
/// How often a record that others write at the same time is read again before it is left to the
/// next pass.
const UPDATE_TRIES: usize = 5;
/// New domains written in one transaction: short enough that nobody waits for it.
const BATCH: usize = 100;
/// Attempts that a customer's retry keeps: when it fails again, the name is where it was, and its
/// next check is minutes away rather than hours.
const ATTEMPTS_KEPT: u32 = 2;
/// A retry sooner than this after the last one of the same domain is answered by the run that is
/// under way or has just ended. The reference Cabinet refuses what comes sooner than 30 seconds.
const RETRY_MIN_INTERVAL: Duration = Duration::from_secs(20);
/// The newest lines of a history among which the last retry is looked for.
const RETRY_LINES: u32 = 32;
/// Domains of a page that are looked up at once.
const LOOKS: usize = 8;
/// When a name is looked at again that the same tenant's earlier domain is just leaving.
const TAKE_DOWN_PAUSE: Duration = Duration::from_secs(60);
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

/// Follows the Cabinet's change feed while it offers one, and polls the pending statuses while it
/// does not or the feed fails. What either misses is found by the resync.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
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
    feed: FeedPace,
    faults: u32,
}

impl Intake {
    /// One page of the feed, or one poll. Answers how long to wait before the next.
    pub async fn round(&mut self, service: &Service) -> Duration {
        service.cabinet_health.begin(service.now());
        match self.take_in(service).await {
            Ok(pause) => {
                self.faults = 0;
                service.cabinet_health.up(true);
                pause
            }
            Err(IntakeError::Cabinet(error)) if error.fault == CabinetFault::Local => {
                service.local_fault(LocalParty::Cabinet, &error.detail);
                FAULTS.delay(1, service.randomness.unit())
            }
            Err(error) => {
                if matches!(error, IntakeError::Cabinet(_)) {
                    service.cabinet_health.up(false);
                }
                self.faults = self.faults.saturating_add(1);
                tracing::warn!(error = %with_causes(&error), "intake.failed");
                let pause = FAULTS.delay(self.faults, service.randomness.unit());
                match error {
                    IntakeError::Cabinet(error) => error.retry_after.unwrap_or_default().max(pause),
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
            match self.follow_once(service).await {
                Ok(Some(pause)) => return Ok(pause),
                Ok(None) => self.feed_not_before = Some(now + FEED_REST),
                // The feed alone may be out of order.
                Err(IntakeError::Cabinet(error)) if error.fault == CabinetFault::Call => {
                    tracing::warn!(%error, "intake.feed_failed");
                }
                Err(error) => return Err(error),
            }
        }
        let polled = poll_once(service).await;
        if polled.is_err() {
            // Both may have met the same wrong route: that the feed is not offered is not known.
            self.feed_not_before = None;
        }
        let rounds: Vec<&str> = polled?.iter().map(|status| status.as_str()).collect();
        let trouble = (!rounds.is_empty()).then(|| {
            let rounds = rounds.join(" and ");
            format!("the Cabinet's list of {rounds} comes back to pages that were read already")
        });
        note_progress(service, trouble.as_deref());
        Ok(service.policy.intake_interval)
    }

    /// One page of the feed. Returns how long to wait before the next; `None` when it is not
    /// offered.
    async fn follow_once(&mut self, service: &Service) -> Result<Option<Duration>, IntakeError> {
        let cursor = service.store.cursor(FEED_CURSOR).await?;
        let after = cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let asked = Instant::now();
        let (page, next) = match service.cabinet.changes(after, FEED_WAIT).await {
            Ok(None) => return Ok(None),
            Ok(Some(mut page)) => {
                let next = page.next.take();
                (page, next)
            }
            // Such as after a Cabinet was restored from a backup. Reading the feed from its start
            // again is harmless; what went backwards there is found by a resync.
            Err(error) if error.fault == CabinetFault::CursorUnknown && after.is_some() => {
                tracing::warn!(%error, "intake.feed_begins_anew");
                service
                    .store
                    .periodic_make_due(resync::TASK, service.now())
                    .await?;
                self.feed = FeedPace::default();
                (CabinetPage::default(), Some(String::new()))
            }
            Err(error) => return Err(error.into()),
        };
        let took = asked.elapsed();
        let is_news = take_page(service, &page).await?;
        let verdict = self.feed.after(FeedPage {
            next: next.as_deref().unwrap_or_default(),
            has_items: !page.domains.is_empty() || !page.refused.is_empty(),
            is_news,
            took,
        });
        if let Some(next) = next.filter(|next| Some(next) != cursor.as_ref()) {
            // Another replica that was faster has moved it: ours would be behind.
            service
                .store
                .cursor_advance(FEED_CURSOR, cursor.as_deref(), &next)
                .await?;
        }
        let trouble = "the Cabinet's change feed comes back to pages that were read already";
        note_progress(service, verdict.goes_round.then_some(trouble));
        Ok(Some(verdict.pause))
    }
}

/// Notes that a pass ended, and says once when something is wrong with it and when it is right
/// again.
fn note_progress(service: &Service, trouble: Option<&str>) {
    let is_new = service.cabinet_health.trouble(trouble);
    match trouble {
        Some(trouble) if is_new => tracing::error!(trouble, "intake.goes_round"),
        Some(_) => {}
        None => {
            if is_new {
                tracing::info!("intake.goes_on");
            }
            service.cabinet_health.good_pass(service.now());
        }
    }
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
async fn poll_once(service: &Service) -> Result<Vec<Status>, IntakeError> {
    let mut rounds = Vec::new();
    for status in POLLED {
        let (mut cursor, mut trail) = (None::<String>, CursorTrail::default());
        loop {
            let page = service.cabinet.list(status, cursor.as_deref()).await?;
            take_page(service, &page).await?;
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

/// Brings our records in line with a page of what the Cabinet says, in its order. Domains that are
/// new are written many at a time: one by one they would wait as long as the steps that are under
/// way, each for its own turn to write. Returns whether anything was new.
async fn take_page(service: &Service, page: &CabinetPage) -> Result<bool, StoreError> {
    note_refused(service, page);
    let mut is_news = false;
    let mut arrived = BTreeSet::new();
    let mut arrivals = Vec::new();
    for domains in page.domains.chunks(LOOKS) {
        let looks = join_all(domains.iter().map(|domain| look(service, domain))).await;
        for (domain, look) in domains.iter().zip(looks) {
            // What was looked up was so before the domains ahead of it were written.
            let mut first_of_its_name = |completion: &RecordWrite| {
                let record = &completion.record;
                arrived.insert(record.hostname.to_string()) & arrived.insert(record.id.to_string())
            };
            match look {
                Look::Known => {}
                Look::Arrival(completion) if first_of_its_name(&completion) => {
                    is_news = true;
                    arrivals.push(*completion);
                }
                Look::Arrival(_) | Look::Other => {
                    insert(service, std::mem::take(&mut arrivals)).await?;
                    is_news |= take(service, domain).await?;
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

/// What a first look says of a domain in a page.
enum Look {
    /// It is new to us.
    Arrival(Box<RecordWrite>),
    /// It says nothing newer than our record, such as an echo of our own report.
    Known,
    /// Whatever takes more thought.
    Other,
}

async fn look(service: &Service, domain: &CabinetDomain) -> Look {
    if brake::is_held(service, domain.id, domain.version) {
        return Look::Known;
    }
    match service.store.domain(domain.id).await {
        Ok(Some(record)) if is_known(&record, domain) => return Look::Known,
        Ok(Some(_)) | Err(_) => return Look::Other,
        Ok(None) => {}
    }
    plain_arrival(service, domain)
        .await
        .map_or(Look::Other, |completion| {
            Look::Arrival(Box::new(completion))
        })
}

/// Whether news of a domain says nothing that is new. A removal is carried out whenever it is heard
/// of.
fn is_known(record: &DomainRecord, domain: &CabinetDomain) -> bool {
    domain.version <= record.cabinet_version && domain.status != Some(Status::PendingRemoval)
}

/// The record of a domain that we have none of; `None` for whatever takes more thought.
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
    let context = AlignContext {
        policy: &service.policy,
        replica: &service.replica,
        now: service.now(),
        occasion: Occasion::News,
        last_retry: None,
    };
    arrival(&context, domain, &names)
}

/// Stores records that are new. One that another replica was faster with is as good as ours.
async fn insert(service: &Service, arrivals: Vec<RecordWrite>) -> Result<(), StoreError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let inserted = service.store.domains_insert(arrivals.clone()).await?;
    for (completion, inserted) in arrivals.iter().zip(inserted) {
        if inserted {
            log_and_notify(service, completion);
        }
    }
    Ok(())
}

/// What was written goes to the log, and rings who has work now.
fn log_and_notify(service: &Service, completion: &RecordWrite) {
    let record = &completion.record;
    if let Some(event) = &completion.event {
        tracing::info!(domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, "{}", event.kind);
    }
    Wakes::of(completion, record.updated_at).notify(service);
}

/// What is decided by, besides record and Cabinet.
struct AlignContext<'a> {
    policy: &'a Policy,
    replica: &'a str,
    now: Timestamp,
    occasion: Occasion,
    /// When somebody last asked to try the domain again, if that was lately.
    last_retry: Option<Timestamp>,
}

impl AlignContext<'_> {
    /// Whether a retry now comes too soon after the last one.
    fn retry_is_too_soon(&self) -> bool {
        self.last_retry
            .is_some_and(|last| last <= self.now && self.now.since(last) < RETRY_MIN_INTERVAL)
    }
}

/// Why record and Cabinet are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// The Cabinet says that something is new. It may be behind what we know.
    News,
    /// Whatever differs is a mistake of somebody's, and is mended.
    Resync,
}

/// Brings our record in line with what the Cabinet says of one domain, and returns whether anything
/// was written. A row that cannot be read keeps no other domain from being taken in: the operator
/// is told, and the next pass looks again.
pub async fn take(service: &Service, domain: &CabinetDomain) -> Result<bool, StoreError> {
    match align(service, domain).await {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(domain.id = %domain.id, domain.hostname = shown(&domain.canonical_host), %error, "intake.row_unreadable");
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

/// Compares the record, as it was before the Cabinet was asked, with what the Cabinet said, and
/// mends what differs. What somebody else writes meanwhile is left to the next resync.
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

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It was written.
    Yes,
    /// There is nothing to write.
    Nothing,
    /// Somebody else wrote the record meanwhile.
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
        // The Cabinet has never heard of these identifiers from us, so it cannot mean ours.
        return Ok(Written::Nothing);
    }
    let mut names = Names::of(domain, &service.policy.names);
    let may_be_refused = record.as_ref().is_none_or(|record| {
        matches!(record.phase, Phase::Failed | Phase::Gone) || record.hostname != names.hostname
    });
    let mut predecessor = None;
    if may_be_refused && names.refusal.is_none() {
        predecessor = service.store.domain_by_hostname(&names.hostname).await?;
        let holder = predecessor
            .as_ref()
            .filter(|other| other.id != domain.id && other.name_hold() >= NameHold::Failed);
        if let Some(other) = holder {
            // An earlier name of the same tenant's that is just being taken down comes free by
            // itself.
            if other.id.is_take_down() && other.tenant_id == domain.tenant_id {
                let soon = service.now() + TAKE_DOWN_PAUSE;
                service.store.periodic_make_due(resync::TASK, soon).await?;
                return Ok(Written::Nothing);
            }
            names.refusal = Some(Failure::NameAlreadyClaimed {});
        }
    }
    let last_retry = match &record {
        Some(record) if asks_for_retry(record, domain) => last_retry(service, record.id).await?,
        Some(_) | None => None,
    };
    let context = AlignContext {
        policy: &service.policy,
        replica: &service.replica,
        now: service.now(),
        occasion,
        last_retry,
    };
    let Some(record) = record else {
        return match arrival(&context, domain, &names) {
            Some(completion) => {
                let completion = after_predecessor(completion, predecessor.as_ref());
                write(service, completion, true).await
            }
            None => Ok(Written::Nothing),
        };
    };
    let Some(mut completion) = change(&context, &record, domain, &names) else {
        return Ok(Written::Nothing);
    };
    completion
        .ledger
        .extend(steps::abandoned(service, &record, &completion.record));
    let ends = EndOfService::of(&record, &completion.record);
    if !brake.lets_through(service, &record, domain, ends).await? {
        return Ok(Written::Nothing);
    }
    if completion.record.phase == Phase::Leaving {
        // A Cabinet that wants the domain gone refuses to hear how it was getting on.
        service.store.outbox_drop(domain.id).await?;
    }
    if completion.record.hostname != record.hostname {
        leave_old_name(service, &context, &record).await?;
    }
    write(service, completion, false).await
}

/// Whether the Cabinet's news may be a customer's wish to try again.
fn asks_for_retry(record: &DomainRecord, domain: &CabinetDomain) -> bool {
    domain.status == Some(Status::PendingDns)
        && domain.version > record.cabinet_version
        && !matches!(record.phase, Phase::Leaving | Phase::Gone)
}

/// When somebody last asked to try a domain again, by the newest lines of its history.
async fn last_retry(service: &Service, id: DomainId) -> Result<Option<Timestamp>, StoreError> {
    let events = service.store.events(id, RETRY_LINES).await?;
    let retry = events
        .iter()
        .find(|event| event.kind == EventKind::RetryRequested);
    Ok(retry.map(|event| event.at))
}

/// What a change ends, as the brake on removals counts it.
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

/// The brake on removals, asked once for a domain however often its record is written anew.
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
        service.store.order_close(order.id).await?;
    }
    if let Some(completion) = take_down_of(context, before) {
        insert(service, vec![completion]).await?;
    }
    Ok(())
}

/// The record that takes down the name which a domain had until now; `None` where no edge can have
/// heard of it.
fn take_down_of(context: &AlignContext<'_>, before: &DomainRecord) -> Option<RecordWrite> {
    match before.phase {
        Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } => {}
        Phase::Failed | Phase::Leaving | Phase::Gone => return None,
    }
    let mut record = DomainRecord {
        id: before
            .id
            .take_down(&before.hostname, before.cabinet_version),
        phase: Phase::Leaving,
        revision: 0,
        created_at: context.now,
        updated_at: context.now,
        ..before.clone()
    };
    begin_anew(&mut record, context.now);
    let detail = json!({ "domain": before.id });
    let event = DomainEvent::of(&record, EventKind::NameLeft, detail, context.replica);
    Some(RecordWrite {
        event: Some(event),
        ..RecordWrite::of(record)
    })
}

/// Writes a record, new or changed.
async fn write(
    service: &Service,
    completion: RecordWrite,
    new: bool,
) -> Result<Written, StoreError> {
    let is_refusal = completion
        .event
        .as_ref()
        .is_some_and(|event| event.kind == EventKind::NameRefused);
    if !write_record(service, completion, new).await? {
        return Ok(Written::Contended);
    }
    if is_refusal {
        service.metrics.cabinet(CabinetEvent::NameRefused);
    }
    Ok(Written::Yes)
}

/// Writes a record, new or changed. Returns `false` if somebody else wrote it meanwhile.
pub(crate) async fn write_record(
    service: &Service,
    completion: RecordWrite,
    new: bool,
) -> Result<bool, StoreError> {
    let written = if new {
        service.store.domain_insert(completion.clone()).await?
    } else {
        service.store.domain_update(completion.clone()).await?
    };
    if written {
        log_and_notify(service, &completion);
    }
    Ok(written)
}

/// A domain that we have no record of.
fn arrival(
    context: &AlignContext<'_>,
    domain: &CabinetDomain,
    names: &Names,
) -> Option<RecordWrite> {
    let phase = match domain.status {
        Some(Status::PendingDns | Status::PendingHttpProbe | Status::Issuing) => Phase::START,
        Some(Status::PendingRemoval) => Phase::Leaving,
        // We have lost it, with its certificate.
        Some(Status::Active) if context.occasion == Occasion::Resync => Phase::START,
        Some(Status::Active | Status::Failed | Status::Removed) | None => return None,
    };
    let record = DomainRecord {
        phase,
        ..DomainRecord::new(
            domain.id,
            domain.tenant_id.clone(),
            names.hostname.clone(),
            target_of(domain, names),
            domain.version,
            context.now,
        )
    };
    Some(started(
        context,
        record,
        domain,
        names,
        EventKind::DomainTakenIn,
    ))
}

/// The record that starts, or that cannot because its name or target is refused.
fn started(
    context: &AlignContext<'_>,
    mut record: DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
    kind: EventKind,
) -> RecordWrite {
    let mut detail = json!({
        "cabinetVersion": domain.version,
        "cabinetStatus": domain.status,
        "canonicalHost": shown(&domain.canonical_host),
        "cnameTarget": shown(&domain.cname_target),
    });
    let refusal = names
        .refusal
        .as_ref()
        .filter(|_| record.phase != Phase::Leaving);
    let Some(failure) = refusal else {
        let event = DomainEvent::of(&record, kind, detail, context.replica);
        return RecordWrite {
            event: Some(event),
            ..RecordWrite::of(record)
        };
    };
    record.phase = Phase::Failed;
    record.next_attempt_at = None;
    record.last_failure = Some(failure.clone());
    detail["failure"] = json!(failure);
    let event = DomainEvent::of(&record, EventKind::NameRefused, detail, context.replica);
    RecordWrite {
        report: Some(current_report(&record, None, context.policy)),
        event: Some(event),
        ..RecordWrite::of(record)
    }
}

/// The target to write into a record that starts. One that is refused is kept nowhere but in the
/// refusal.
fn target_of(domain: &CabinetDomain, names: &Names) -> Hostname {
    names
        .target
        .clone()
        .unwrap_or_else(|| Hostname::stand_in(domain.id))
}

/// A name that was removed and added again under another id keeps what the CA thinks of it: its
/// failed validations and lost orders, and the pause before its next order.
fn after_predecessor(mut arrival: RecordWrite, predecessor: Option<&DomainRecord>) -> RecordWrite {
    if let Some(predecessor) = predecessor {
        let record = &mut arrival.record;
        record.failed_validations = predecessor.failed_validations;
        record.lost_orders = predecessor.lost_orders;
        // A pause that only a human can lift belongs to the record for which somebody is asked.
        record.order_gate = predecessor.order_gate.lifted();
    }
    arrival
}

/// What the Cabinet's view means for a record that we have; `None` when nothing.
fn change(
    context: &AlignContext<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
) -> Option<RecordWrite> {
    use EventKind::{
        CabinetRestored, DomainReturned, NameChanged, NameRefused, RefusalWithdrawn,
        RetryRequested, StatusRepeated, TargetChanged, TargetRefused,
    };
    let now = context.now;
    let newer = domain.version > record.cabinet_version;
    let mut after = DomainRecord {
        updated_at: now,
        cabinet_version: version_after(context, record, domain),
        ..record.clone()
    };
    let resync = context.occasion == Occasion::Resync;
    let theirs = domain.status?;
    let is_wanted = matches!(
        theirs,
        Status::PendingDns | Status::PendingHttpProbe | Status::Issuing | Status::Active
    );
    let may_start = newer || resync;
    let is_retargeted = names
        .target
        .as_ref()
        .is_some_and(|target| *target != record.cname_target);
    let too_soon = context.retry_is_too_soon() && !is_retargeted;
    let refusal = names.refusal_beside(record).filter(|_| is_wanted);
    if may_start && is_wanted {
        let kind = match record.phase {
            // It was taken down, since the Cabinet did not know it for long, say.
            Phase::Gone => Some(DomainReturned),
            Phase::Leaving => None,
            // What is served or on its way stays, and the Cabinet hears what is wrong.
            _ if refusal.is_some() => None,
            _ if names.hostname != record.hostname => Some(NameChanged),
            Phase::Failed if theirs == Status::PendingDns && newer && !too_soon => {
                Some(RetryRequested)
            }
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } | Phase::Failed => {
                None
            }
        };
        if let Some(kind) = kind {
            return Some(begun(context, record, domain, names, kind));
        }
    }
    // A refusal stands in the record unless something worse does. One that stands there was told.
    let has_room = record
        .last_failure
        .as_ref()
        .is_none_or(Failure::refuses_name_or_target);
    let is_untold = has_room && refusal != record.last_failure.as_ref();
    let tells_refusal = refusal.is_some()
        && (newer || (resync && (is_untold || domain.version != record.cabinet_version)));
    let is_over = may_start && is_wanted && is_refusal_over(record, names);
    let target = names.target.as_ref().filter(|_| refusal.is_none());
    let target = target.unwrap_or(&record.cname_target);
    let retargeted = may_start && *target != record.cname_target;
    if retargeted {
        after.cname_target = target.clone();
    }
    let wish = match wish(theirs, (newer, too_soon), record, &mut after) {
        Ok(wish) => wish,
        Err(error) => {
            tracing::error!(domain.id = %record.id, domain.hostname = %record.hostname, %error, "intake.illegal");
            return None;
        }
    };
    if retargeted && looks_at_dns(&after.phase) {
        after.attempt = 0;
        after.next_attempt_at = Some(now);
    }
    if is_over {
        after.last_failure = None;
    } else if tells_refusal && has_room && keeps_what_it_has(&after.phase) {
        after.last_failure = refusal.cloned();
    }
    let ours = record.phase.status();
    let (kind, report) = match wish {
        Some(wish) => wish,
        // What is served stays served as it is; the Cabinet hears what is wrong with its word.
        None if tells_refusal && names.hostname != record.hostname => (NameRefused, true),
        None if tells_refusal => (TargetRefused, true),
        None if resync && theirs != ours && theirs.may_report(ours) => (StatusRepeated, true),
        None if retargeted => (TargetChanged, false),
        None if is_over => (RefusalWithdrawn, true),
        None if resync && domain.version < record.cabinet_version => (CabinetRestored, false),
        None => return None,
    };
    let is_told = report || tells_refusal || is_over;
    let mut report = is_told.then(|| current_report(&after, None, context.policy));
    // Whatever else is told: the new name or target is what the customer has to mend.
    if let (true, Some(report), Some(failure)) = (tells_refusal, &mut report, refusal) {
        report.message = Some(message(failure, &after, context.policy));
        report.failure = Some(failure.clone());
    }
    let detail = cabinets_view(domain, refusal.filter(|_| tells_refusal));
    let event = DomainEvent::of(&after, kind, detail, context.replica);
    Some(RecordWrite {
        report,
        event: Some(event),
        ..RecordWrite::of(after)
    })
}

/// The Cabinet's view for the history, with the refusal of its name or target if that is new.
fn cabinets_view(domain: &CabinetDomain, refusal: Option<&Failure>) -> serde_json::Value {
    let mut detail = json!({
        "cabinetVersion": domain.version,
        "cabinetStatus": domain.status,
        "cnameTarget": shown(&domain.cname_target),
    });
    if refusal.is_some() {
        detail["canonicalHost"] = json!(shown(&domain.canonical_host));
        detail["failure"] = json!(refusal);
    }
    detail
}

/// The record that begins from the start, with the Cabinet's name and target.
fn begun(
    context: &AlignContext<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
    kind: EventKind,
) -> RecordWrite {
    let mut after = DomainRecord {
        updated_at: context.now,
        cabinet_version: version_after(context, record, domain),
        phase: Phase::START,
        hostname: names.hostname.clone(),
        cname_target: target_of(domain, names),
        ..record.clone()
    };
    // A retry must not lift the rest that failed validations of the same name brought.
    if names.hostname == record.hostname {
        restart(&mut after, context.now);
        if record.phase == Phase::Failed {
            after.attempt = record.attempt.min(ATTEMPTS_KEPT);
        }
    } else {
        begin_anew(&mut after, context.now);
    }
    let mut completion = started(context, after, domain, names, kind);
    let report = current_report(&completion.record, None, context.policy);
    completion.report.get_or_insert(report);
    completion
}

/// The Cabinet's version that the record is to have.
fn version_after(context: &AlignContext<'_>, record: &DomainRecord, domain: &CabinetDomain) -> u64 {
    match context.occasion {
        // The version was asked for after ours was read: one that is older is the Cabinet's own, as
        // after a restore.
        Occasion::Resync => domain.version,
        Occasion::News => record.cabinet_version.max(domain.version),
    }
}

/// What the Cabinet's status asks for, carried out on the record `after`: the word for the history
/// and whether the Cabinet is told where the domain stands; `None` when it asks for nothing new.
fn wish(
    theirs: Status,
    (newer, too_soon): (bool, bool),
    record: &DomainRecord,
    after: &mut DomainRecord,
) -> Result<Option<(EventKind, bool)>, IllegalTransition> {
    let now = after.updated_at;
    let asked = match (theirs, &record.phase) {
        (Status::PendingRemoval, Phase::Leaving) => None,
        (Status::PendingRemoval, Phase::Gone) => {
            newer.then_some((EventKind::RemovalRepeated, true))
        }
        (Status::PendingRemoval, phase) => {
            after.phase = phase.clone().apply(Event::RemovalRequested)?;
            restart(after, now);
            Some((EventKind::RemovalRequested, false))
        }
        // The run that the last retry began is the answer to this one too.
        (
            Status::PendingDns,
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } | Phase::Failed,
        ) if newer && too_soon => Some((EventKind::RetryTooSoon, true)),
        (Status::PendingDns, Phase::Onboarding(issuance)) if newer && before_order(issuance) => {
            after.phase = record.phase.clone().apply(Event::RetryRequested)?;
            // Asking again and again neither puts off the end of waiting nor makes a name look new.
            restart(after, now);
            after.attempt = record.attempt.min(ATTEMPTS_KEPT);
            after.pending_since = record.pending_since;
            Some((EventKind::RetryRequested, false))
        }
        // An order or a certificate is never thrown away: the next step is made now, and the
        // Cabinet is told where the domain stands.
        (Status::PendingDns, Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. })
            if newer =>
        {
            after.lift_pause();
            after.attempt = 0;
            after.next_attempt_at = Some(now);
            Some((EventKind::RetryRequested, true))
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
    Ok(asked)
}

/// Whether the next step would look at DNS, so that it need not be waited for when the target has
/// changed.
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

/// Everything that was learnt about the name that the record has had is forgotten.
fn begin_anew(record: &mut DomainRecord, now: Timestamp) {
    restart(record, now);
    record.failed_validations = 0;
    record.lost_orders = 0;
    record.order_gate = OrderGate::Open;
    record.urgent_from = None;
}

fn message(failure: &Failure, record: &DomainRecord, policy: &Policy) -> String {
    sentence(failure, record, &policy.edge_hosts(), None)
}

fn restart(record: &mut DomainRecord, now: Timestamp) {
    record.lift_pause();
    record.attempt = 0;
    record.next_attempt_at = Some(now);
    record.pending_since = now;
    record.last_failure = None;
}

#[cfg(test)]
mod tests {
    use dps_domain::phase::Issuance;
    use dps_domain::{CertificateId, DnsState, DomainId, OrderId};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn context(policy: &Policy) -> AlignContext<'_> {
        AlignContext {
            policy,
            replica: "replica-1",
            now: NOW,
            occasion: Occasion::News,
            last_retry: None,
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

    fn names(told: &CabinetDomain) -> Names {
        Names::of(told, &Policy::default().names)
    }

    fn record(phase: Phase) -> DomainRecord {
        let told = told(Status::PendingDns, 3);
        let mut record = arrival(&context(&Policy::default()), &told, &names(&told))
            .unwrap()
            .record;
        record.phase = phase;
        record.next_attempt_at = None;
        record
    }

    fn changed(phase: Phase, status: Status, version: u64) -> Option<RecordWrite> {
        let told = told(status, version);
        change(
            &context(&Policy::default()),
            &record(phase),
            &told,
            &names(&told),
        )
    }

    #[test]
    fn a_new_domain_is_due_at_once_and_a_claimed_name_fails() {
        let told = told(Status::PendingDns, 1);
        let taken = |refusal| {
            let names = Names {
                refusal,
                ..names(&told)
            };
            arrival(&context(&Policy::default()), &told, &names).unwrap()
        };
        assert_eq!(taken(None).record.next_attempt_at, Some(NOW));
        let refused = taken(Some(Failure::NameAlreadyClaimed {}));
        assert_eq!(refused.record.phase, Phase::Failed);
        assert_eq!(
            refused.report.unwrap().failure,
            Some(Failure::NameAlreadyClaimed {})
        );
    }

    #[test]
    fn a_retry_starts_a_failed_domain_over_but_only_once_per_version() {
        let retried = changed(Phase::Failed, Status::PendingDns, 4)
            .unwrap()
            .record;
        assert_eq!(
            (retried.phase, retried.next_attempt_at),
            (Phase::START, Some(NOW))
        );
        assert!(changed(Phase::Failed, Status::PendingDns, 3).is_none());
    }

    #[test]
    fn a_retry_is_checked_with_the_new_domains_and_leads_back_to_where_the_name_was() {
        use dps_domain::phase::Lane;
        let mut waiting = record(Phase::START);
        waiting.attempt = 9;
        waiting.last_failure = Some(Failure::DnsNxdomain {});
        waiting.pending_since = NOW - Duration::from_secs(6 * 24 * 3600);
        assert_eq!(waiting.lane(), Some(Lane::Chronic));
        let told = told(Status::PendingDns, 4);
        let retried = change(&context(&Policy::default()), &waiting, &told, &names(&told));
        let mut retried = retried.unwrap().record;
        assert_eq!(retried.lane(), Some(Lane::Verification));
        assert_eq!(retried.next_attempt_at, Some(NOW));
        assert_eq!(
            retried.pending_since, waiting.pending_since,
            "it gives up in time"
        );
        retried.attempt += 1;
        retried.last_failure = Some(Failure::DnsNxdomain {});
        assert_eq!(retried.lane(), Some(Lane::Chronic), "as before");
    }

    #[test]
    fn a_name_that_comes_back_under_another_id_keeps_its_failed_validations() {
        let mut predecessor = record(Phase::Gone);
        predecessor.failed_validations = 3;
        predecessor.order_gate = OrderGate::Until(NOW + Duration::from_secs(3_600));
        let told = told(Status::PendingDns, 1);
        let new = || arrival(&context(&Policy::default()), &told, &names(&told)).unwrap();
        let again = after_predecessor(new(), Some(&predecessor)).record;
        assert_eq!(
            (again.failed_validations, again.order_gate),
            (3, predecessor.order_gate)
        );
        predecessor.order_gate = OrderGate::PausedByCa;
        let paused = after_predecessor(new(), Some(&predecessor)).record;
        assert_eq!(paused.order_gate, OrderGate::Open);
        assert_eq!(after_predecessor(new(), None).record.failed_validations, 0);
    }

    #[test]
    fn a_retry_never_discards_an_order_or_a_certificate() {
        let order = OrderId::from_uuid(Uuid::from_u128(7));
        let serving = CertificateId::from_uuid(Uuid::from_u128(8));
        for phase in [
            Phase::Onboarding(Issuance::Validating { order }),
            Phase::Live {
                serving,
                not_after: NOW,
                dns: DnsState::Here,
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
            dns: DnsState::Here,
            next: Next::At(NOW),
        };
        let ordered = Phase::Onboarding(Issuance::Validating { order });
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
                    let (mut told, record) = (told(status, version), record(phase.clone()));
                    told.cname_target = "other.platform.net".into();
                    told.canonical_host = "other.example.com".into();
                    let known = is_known(&record, &told);
                    assert_eq!(known, version < 4 && status != Status::PendingRemoval);
                    let change =
                        change(&context(&Policy::default()), &record, &told, &names(&told));
                    assert!(!known || change.is_none(), "{phase:?} {status:?} {version}");
                }
            }
        }
    }

    /// A domain of which the Cabinet says something else.
    fn altered(phase: Phase, alter: impl Fn(&mut CabinetDomain)) -> Option<RecordWrite> {
        let mut told = told(Status::PendingDns, 4);
        alter(&mut told);
        change(
            &context(&Policy::default()),
            &record(phase),
            &told,
            &names(&told),
        )
    }

    fn live() -> Phase {
        Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(8)),
            not_after: NOW,
            dns: DnsState::Here,
            next: Next::At(NOW),
        }
    }

    #[test]
    fn another_name_of_a_known_domain_is_a_new_issuance_and_the_old_one_is_taken_down() {
        for phase in [
            Phase::START,
            Phase::Onboarding(Issuance::Ordering),
            live(),
            Phase::Failed,
        ] {
            let changed = altered(phase.clone(), |told| {
                told.canonical_host = "new.example.com".into();
            });
            let after = changed.unwrap();
            assert_eq!(after.record.phase, Phase::START, "{phase:?}");
            assert_eq!(after.record.hostname.as_str(), "new.example.com");
            assert_eq!(after.report.unwrap().status, Status::PendingDns);
            let old = take_down_of(&context(&Policy::default()), &record(phase.clone()));
            assert_eq!(old.is_none(), phase == Phase::Failed, "{phase:?}");
            if let Some(old) = old {
                assert_eq!(
                    (&old.record.phase, old.report.is_none()),
                    (&Phase::Leaving, true)
                );
                assert_eq!(old.record.hostname.as_str(), "shop.example.com");
                assert!(old.record.id.is_take_down());
            }
        }
        let unusable = |phase| altered(phase, |told| told.canonical_host = "*".into()).unwrap();
        for phase in [Phase::START, Phase::Onboarding(Issuance::Ordering), live()] {
            let refused = unusable(phase.clone());
            assert_eq!(refused.record.phase.status(), phase.status());
            assert_eq!(refused.record.hostname.as_str(), "shop.example.com");
            let failure = refused.report.unwrap().failure;
            assert!(
                matches!(failure, Some(Failure::NameInvalid { .. })),
                "{failure:?}"
            );
        }
        assert_eq!(unusable(Phase::Failed).record.phase, Phase::Failed);
        let removed = altered(live(), |told| {
            told.canonical_host = "new.example.com".into();
            told.status = Some(Status::PendingRemoval);
        });
        assert_eq!(
            removed.unwrap().record.hostname.as_str(),
            "shop.example.com"
        );
    }

    #[test]
    fn a_target_that_cannot_be_used_is_reported_and_changes_nothing_that_is_served() {
        let refused = altered(live(), |told| told.cname_target = "no target".into()).unwrap();
        assert_eq!(refused.record.phase, live());
        assert_eq!(refused.record.cname_target.as_str(), "edge.platform.net");
        let report = refused.report.unwrap();
        assert_eq!(report.status, Status::Active);
        assert!(matches!(
            report.failure,
            Some(Failure::TargetNotAllowed { .. })
        ));
        assert!(report.message.unwrap().contains("\"no target\""));
    }

    #[test]
    fn a_refusal_hides_no_worse_failure_and_is_reported_again_only_for_a_new_version() {
        let told = |version, host: &str| CabinetDomain {
            canonical_host: host.into(),
            ..told(Status::Active, version)
        };
        let policy = Policy::default();
        let context = AlignContext {
            occasion: Occasion::Resync,
            ..context(&policy)
        };
        let changed = |record: &DomainRecord, told: &CabinetDomain| {
            change(&context, record, told, &names(told))
        };
        let mut record = record(live());
        let refused = changed(&record, &told(3, "*")).unwrap();
        assert!(refused.report.is_some(), "although the version is the same");
        assert!(
            changed(&refused.record, &told(3, "*")).is_none(),
            "it was told"
        );
        assert!(
            changed(&refused.record, &told(4, "*")).is_some(),
            "it is new"
        );
        let mended = changed(&refused.record, &told(3, "shop.example.com")).unwrap();
        assert_eq!(mended.record.last_failure, None);
        assert_eq!(mended.report.unwrap().failure, None);

        let moved = Failure::DnsMoved {
            cause: Box::new(Failure::DnsNxdomain {}),
        };
        record.last_failure = Some(moved.clone());
        assert!(changed(&record, &told(3, "*")).is_none());
        let news = changed(&record, &told(4, "*")).unwrap();
        assert_eq!(news.record.last_failure, Some(moved), "its pauses go by it");
        let failure = news.report.unwrap().failure;
        assert!(
            matches!(failure, Some(Failure::NameInvalid { .. })),
            "{failure:?}"
        );
    }

    #[test]
    fn a_removed_domain_that_the_cabinet_wants_again_comes_back() {
        let back = changed(Phase::Gone, Status::PendingDns, 4).unwrap();
        assert_eq!(
            (back.record.phase, back.record.next_attempt_at),
            (Phase::START, Some(NOW))
        );
        assert!(
            changed(Phase::Gone, Status::PendingDns, 3).is_none(),
            "old news"
        );
        assert!(changed(Phase::Gone, Status::Removed, 9).is_none());
    }

    #[test]
    fn a_retry_too_soon_after_the_last_is_answered_by_the_same_run() {
        let policy = Policy::default();
        let after = |phase: &Phase, ago: u64| {
            let mut before = record(phase.clone());
            before.attempt = 7;
            before.next_attempt_at = Some(NOW + Duration::from_secs(600));
            before.pending_since = NOW - Duration::from_secs(86_400);
            before.last_failure = Some(Failure::DnsNxdomain {});
            let told = told(Status::PendingDns, 4);
            let context = AlignContext {
                last_retry: Some(NOW - Duration::from_secs(ago)),
                ..context(&policy)
            };
            let completion = change(&context, &before, &told, &names(&told)).unwrap();
            (before, completion)
        };
        let order = OrderId::from_uuid(Uuid::from_u128(7));
        for phase in [
            Phase::START,
            Phase::Onboarding(Issuance::Validating { order }),
            live(),
            Phase::Failed,
        ] {
            let (before, completion) = after(&phase, 19);
            assert_eq!(
                completion.event.unwrap().kind,
                EventKind::RetryTooSoon,
                "{phase:?}"
            );
            let unchanged = DomainRecord {
                cabinet_version: 4,
                updated_at: NOW,
                ..before
            };
            assert_eq!(completion.record, unchanged, "{phase:?}");
            let told = completion
                .report
                .expect("the Cabinet hears where it stands");
            assert_eq!(told.status, phase.status());
            let (_, completion) = after(&phase, 20);
            assert_eq!(
                completion.event.unwrap().kind,
                EventKind::RetryRequested,
                "{phase:?}"
            );
            assert_eq!(completion.record.next_attempt_at, Some(NOW), "{phase:?}");
        }
    }

    #[test]
    fn a_retry_does_not_lift_the_pause_after_failed_validations() {
        let mut before = record(Phase::Failed);
        before.failed_validations = 3;
        before.order_gate = OrderGate::Until(NOW + Duration::from_secs(3600));
        let told = told(Status::PendingDns, 4);
        let after = change(&context(&Policy::default()), &before, &told, &names(&told))
            .unwrap()
            .record;
        assert_eq!(after.failed_validations, 3);
        assert_eq!(after.order_gate, before.order_gate);
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
