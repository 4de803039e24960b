//! The task that owns the [`Edge`]: jobs come in through a bounded queue, and between them it watches HAProxy.

use std::time::Duration;

use dps_agent_api::Applied;
use dps_domain::{Hostname, with_causes};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Edge, Refusal};
use crate::disk::StoredCertificate;
use crate::metrics::Metrics;

/// Jobs that may wait. Beyond it callers wait for room, within their own time limit.
const QUEUE: usize = 64;

enum Job {
    Apply(Box<StoredCertificate>, oneshot::Sender<Result<Applied, Refusal>>),
    Remove(Hostname, oneshot::Sender<Result<(), Refusal>>),
}

/// Hands jobs to the writer. A job that was taken is finished even if its caller has gone.
#[derive(Debug, Clone)]
pub(crate) struct EdgeHandle(mpsc::Sender<Job>);

impl EdgeHandle {
    /// Has a certificate served.
    pub(crate) async fn apply(&self, stored: StoredCertificate) -> Result<Applied, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(Job::Apply(Box::new(stored), reply))
            .await
            .map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)?
    }

    /// Has a hostname served no more.
    pub(crate) async fn remove(&self, hostname: Hostname) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(Job::Remove(hostname, reply))
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

/// Starts the writer.
pub(crate) fn start(edge: Edge, watch_interval: Duration) -> (EdgeHandle, Writer) {
    let (sender, jobs) = mpsc::channel(QUEUE);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(edge, jobs, watch_interval, stop.clone()));
    (EdgeHandle(sender), Writer { task, stop })
}

async fn run(
    mut edge: Edge,
    mut jobs: mpsc::Receiver<Job>,
    watch_interval: Duration,
    stop: CancellationToken,
) {
    let mut watch = interval(watch_interval);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            job = jobs.recv() => match job {
                Some(job) => work(&mut edge, job).await,
                None => return,
            },
            _ = watch.tick() => edge.watch().await,
        }
    }
    jobs.close();
    while let Some(job) = jobs.recv().await {
        work(&mut edge, job).await;
    }
}

async fn work(edge: &mut Edge, job: Job) {
    match job {
        // A caller that has gone before its job began does not want it any more: it will ask again.
        Job::Apply(_, reply) if reply.is_closed() => {}
        Job::Apply(stored, reply) => {
            let hostname = stored.hostname.clone();
            let started = Instant::now();
            let result = edge.apply(*stored).await;
            record_apply(&edge.metrics, &hostname, &result, started.elapsed());
            reply.send(result).ok();
        }
        Job::Remove(hostname, reply) => {
            let result = edge.remove(&hostname).await;
            match &result {
                Ok(()) => {
                    edge.metrics.removed.inc();
                    tracing::info!(%hostname, "removed");
                }
                Err(refusal) => tracing::warn!(%hostname, reason = %with_causes(refusal), "not removed"),
            }
            reply.send(result).ok();
        }
    }
}

fn record_apply(metrics: &Metrics, hostname: &Hostname, result: &Result<Applied, Refusal>, took: Duration) {
    metrics.apply_seconds.observe(took.as_secs_f64());
    match result {
        Ok(applied) => {
            metrics.count_applied(applied.outcome);
            let (fingerprint, generation) = (&applied.fingerprint, applied.generation);
            tracing::info!(%hostname, %fingerprint, generation, outcome = ?applied.outcome, ?took, "applied");
        }
        Err(refusal) => {
            let code = refusal.problem().code;
            metrics.count_refused(code);
            tracing::warn!(%hostname, %code, reason = %with_causes(refusal), "not applied");
        }
    }
}

impl Edge {
    /// A light look, and a repair if HAProxy is another process than before.
    async fn watch(&mut self) {
        // The reason is remembered and logged already.
        self.ensure_known().await.ok();
    }
}
