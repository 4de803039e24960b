//! Takes domains in from the Cabinet: by its change feed when it offers one, else by polling the
//! pending statuses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::record::align::{
    AlignContext, Occasion, after_predecessor, arrival, change, is_known, take_down_of,
};
use dps_domain::record::names::{Names, shown};
use dps_domain::{DomainId, EventKind, Failure, Phase, Status, Timestamp, with_causes};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::{CursorTrail, FeedPace, FeedPage, LIST_PAUSE};
use super::{brake, resync};
use crate::engine::run_step::Wakes;
use crate::ports::CabinetEvent;
use crate::ports::cabinet::{CabinetDomain, CabinetError, CabinetFault, CabinetPage};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{DomainRecord, NameHold, RecordWrite, StoreError};
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
    let mut completion = match change(&context, &record, domain, &names) {
        Ok(Some(completion)) => completion,
        Ok(None) => return Ok(Written::Nothing),
        Err(error) => {
            tracing::error!(domain.id = %record.id, domain.hostname = %record.hostname, %error, "intake.illegal");
            return Ok(Written::Nothing);
        }
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
