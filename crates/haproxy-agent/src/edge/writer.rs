//! The task that owns the [`Edge`]: jobs come in through a bounded queue, those that wait are
//! worked together, and between them it watches HAProxy.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::{Hostname, with_causes};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::apply::Verdict;
use super::{Candidate, Edge, Refusal, Removal, burst_span};
use crate::disk::{Disk, StoredCertificate};
use crate::metrics::Metrics;

/// Jobs that may wait. Beyond it callers wait for room, within their own time limit.
const QUEUE: usize = 512;
/// Largest number of jobs in a burst. It is enough to share the cost of a sync and of the crt-list.
/// A single call in the middle of a mass deployment waits for less than a second.
const BURST: usize = 256;

enum Job {
    Apply(Box<Candidate>, Instant, oneshot::Sender<Verdict>),
    Remove(Removal, oneshot::Sender<Removed>),
}

/// The result of a removal.
type Removed = Result<(), Arc<Refusal>>;

impl Job {
    fn hostname(&self) -> &Hostname {
        match self {
            Self::Apply(candidate, ..) => candidate.hostname(),
            Self::Remove(removal, _) => &removal.hostname,
        }
    }
}

/// Hands jobs to the writer. A job that was taken is finished even if its caller has gone.
#[derive(Debug, Clone)]
pub(crate) struct EdgeHandle {
    jobs: mpsc::Sender<Job>,
    disk: Disk,
}

impl EdgeHandle {
    /// Works out what can be worked out without waiting.
    pub(crate) fn prepare(&self, stored: StoredCertificate) -> Result<Candidate, Refusal> {
        Ok(Candidate::new(stored, &self.disk)?)
    }

    /// Has a certificate served.
    pub(crate) async fn apply(&self, candidate: Candidate) -> Verdict {
        self.begin_apply(candidate).await?.await
    }

    /// Takes a place in the queue; the verdict is awaited apart, so that many can take places one
    /// after the other.
    pub(crate) async fn begin_apply(
        &self,
        candidate: Candidate,
    ) -> Result<impl Future<Output = Verdict> + use<>, Arc<Refusal>> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Apply(Box::new(candidate), Instant::now(), reply);
        self.jobs.send(job).await.map_err(|_| Refusal::Stopping)?;
        Ok(async { answer.await.map_err(|_| Refusal::Stopping)? })
    }

    /// Has a hostname served no more.
    pub(crate) async fn remove(&self, removal: Removal) -> Removed {
        let (reply, answer) = oneshot::channel();
        self.jobs
            .send(Job::Remove(removal, reply))
            .await
            .map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)?
    }
}

/// The writer's task.
pub(crate) struct Writer {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Writer {
    /// Takes no more jobs, works those that were taken, and ends.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.task.await.ok();
    }
}

/// How often the writer checks HAProxy by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    /// Whether it is still the same process.
    pub(crate) watch: Duration,
    /// Whether it still has everything.
    pub(crate) audit: Duration,
}

/// Starts the writer.
pub(crate) fn start(edge: Edge, rounds: Rounds) -> (EdgeHandle, Writer) {
    let (jobs, queue) = mpsc::channel(QUEUE);
    let stop = CancellationToken::new();
    let disk = edge.disk.clone();
    let task = tokio::spawn(run(edge, queue, rounds, stop.clone()));
    (EdgeHandle { jobs, disk }, Writer { task, stop })
}

async fn run(
    mut edge: Edge,
    mut queue: mpsc::Receiver<Job>,
    rounds: Rounds,
    stop: CancellationToken,
) {
    let mut watch = interval(rounds.watch);
    let mut audit = interval_at(Instant::now() + rounds.audit, rounds.audit);
    for rounds in [&mut watch, &mut audit] {
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Before the jobs: it is rare, and a mass deployment must not put it off for ever.
            _ = audit.tick() => edge.audit().await,
            job = queue.recv() => match job {
                Some(job) => {
                    work_all(&mut edge, job, &mut queue).await;
                    // Jobs without end must not put this off for ever.
                    if edge.is_restore_pending() {
                        edge.catch_up().await;
                    }
                }
                None => return,
            },
            // The reason of a failure is remembered and logged already.
            _ = watch.tick() => drop(edge.ensure_known().await),
            () = std::future::ready(()), if edge.is_restore_pending() => edge.catch_up().await,
        }
    }
    queue.close();
    while let Some(job) = queue.recv().await {
        work_all(&mut edge, job, &mut queue).await;
    }
}

/// Works a job and all that wait after it, in bursts. No hostname comes twice in a burst, so that
/// jobs for the same hostname keep their order. Ends when nothing waits, or after one burst that
/// nothing had to be put off from.
async fn work_all(edge: &mut Edge, first: Job, queue: &mut mpsc::Receiver<Job>) {
    let mut next = Some(first);
    while let Some(job) = next {
        let (burst, left) = gather(job, queue);
        work(edge, burst).await;
        next = left;
    }
}

/// The jobs that can be worked together, and the first that cannot.
fn gather(first: Job, queue: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let mut hostnames = HashSet::from([first.hostname().clone()]);
    let mut burst = vec![first];
    while burst.len() < BURST {
        let Ok(job) = queue.try_recv() else { break };
        if !hostnames.insert(job.hostname().clone()) {
            return (burst, Some(job));
        }
        burst.push(job);
    }
    (burst, None)
}

async fn work(edge: &mut Edge, burst: Vec<Job>) {
    let (mut removals, mut applies) = (Vec::new(), Vec::new());
    for job in burst {
        match job {
            // A caller that has gone before its job began does not want it any more: it will ask
            // again.
            Job::Apply(_, _, reply) if reply.is_closed() => {}
            Job::Apply(candidate, since, reply) => applies.push((*candidate, since, reply)),
            Job::Remove(removal, reply) => removals.push((removal, reply)),
        }
    }
    if !removals.is_empty() {
        work_removals(edge, removals).await;
    }
    if !applies.is_empty() {
        work_applies(edge, applies).await;
    }
}

async fn work_removals(edge: &mut Edge, removals: Vec<(Removal, oneshot::Sender<Removed>)>) {
    let (removals, replies): (Vec<_>, Vec<_>) = removals.into_iter().unzip();
    let span = burst_span(removals.iter().map(|removal| &removal.hostname));
    let results = edge.remove_all(&removals).instrument(span).await;
    for ((removal, reply), result) in removals.iter().zip(replies).zip(results) {
        let hostname = &removal.hostname;
        match &result {
            Ok(()) => {
                edge.metrics.removed.inc();
                tracing::info!(domain.hostname = %hostname, "certificate.removed");
            }
            Err(refusal) => {
                let code = refusal.problem().code;
                edge.metrics.count_refused(code);
                tracing::warn!(domain.hostname = %hostname, %code, reason = %with_causes(&**refusal), "certificate.remove_failed");
            }
        }
        reply.send(result).ok();
    }
}

async fn work_applies(
    edge: &mut Edge,
    applies: Vec<(Candidate, Instant, oneshot::Sender<Verdict>)>,
) {
    let (mut candidates, mut callers) = (Vec::new(), Vec::new());
    for (candidate, since, reply) in applies {
        callers.push((candidate.hostname().clone(), since, reply));
        candidates.push(candidate);
    }
    edge.metrics.observe_burst(candidates.len());
    let span = burst_span(callers.iter().map(|(hostname, ..)| hostname));
    let verdicts = edge.apply_all(candidates).instrument(span).await;
    for ((hostname, since, reply), verdict) in callers.into_iter().zip(verdicts) {
        record_apply(&edge.metrics, &hostname, &verdict, since.elapsed());
        reply.send(verdict).ok();
    }
}

fn record_apply(metrics: &Metrics, hostname: &Hostname, verdict: &Verdict, took: Duration) {
    metrics.apply_seconds.observe(took.as_secs_f64());
    match verdict {
        Ok(applied) => {
            metrics.count_applied(applied.outcome);
            let (fingerprint, generation) = (&applied.fingerprint, applied.generation);
            tracing::info!(domain.hostname = %hostname, %fingerprint, generation, outcome = ?applied.outcome, ?took, "certificate.applied");
        }
        Err(refusal) => {
            let code = refusal.problem().code;
            metrics.count_refused(code);
            tracing::warn!(domain.hostname = %hostname, %code, reason = %with_causes(&**refusal), "certificate.apply_failed");
        }
    }
}
