//! The lease loop of the lanes that share one pool of permits. It leases as many due records as
//! there are permits, and runs a step of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_domain::lane::Lane;
use dps_domain::policy::Pool;
use dps_domain::shares::{self, PoolShare};
use dps_domain::{Timestamp, with_causes};
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::run_step::{lease, next_due, release_unused, run_consecutive_steps, step_all};
use crate::ports::WakeSignal;
use crate::ports::store::{Lease, StoreError};
use crate::service::Service;
use crate::wake::Waker;

/// Retry delay when the due rows are locked by another replica.
const LOCKED_RETRY_DELAY: Duration = Duration::from_millis(20);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Runs the lanes of the pool until `shutdown`, then waits for the steps under way.
pub(crate) async fn run(service: Arc<Service>, pool: Pool, shutdown: CancellationToken) {
    let mut lanes = Lanes::new(&pool);
    let mut steps = JoinSet::new();
    // A timer of its own: `pause` restarts at every signal, so busy lanes could postpone the poll
    // of a quiet lane without limit.
    let period = service.policy.poll_interval;
    let mut poll_interval = tokio::time::interval_at(Instant::now() + period, period);
    poll_interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        while steps.try_join_next().is_some() {}
        let pause = match lanes
            .start_due_steps(&service, &mut steps, &mut poll_interval, &shutdown)
            .await
        {
            Ok(()) => lanes.pause(&service),
            Err(error) => {
                tracing::error!(lanes = %lanes.names(), error = %with_causes(&error), "store.failed");
                poll_interval.reset_after(STORE_PAUSE);
                STORE_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = poll_interval.tick() => lanes.mark_all_lanes(),
            index = lanes.wait(&service.waker) => lanes.queues[index].may_have_due = true,
            // A released permit matters only while a lane waits for one.
            () = lanes.permit_released.notified(), if lanes.may_have_due() => {}
            () = tokio::time::sleep(pause) => lanes.mark_all_lanes(),
        }
    }
    while steps.join_next().await.is_some() {}
}

/// The lanes of one pool, in the order in which they are served.
struct Lanes {
    permits: usize,
    guaranteed: Vec<usize>,
    queues: Vec<Queue>,
    /// Notified when a permit is released.
    permit_released: Arc<Notify>,
}

/// The state of one lane of the pool.
struct Queue {
    lane: Lane,
    /// The place of its share in the pool.
    share: usize,
    under_way: Arc<AtomicUsize>,
    /// Whether the lane may hold due records that are not leased.
    may_have_due: bool,
    /// The earliest time of the next acquisition, as of the last query; at least
    /// [`LOCKED_RETRY_DELAY`] after it. `None` if the lane is empty or was not queried yet.
    next_due: Option<Timestamp>,
}

impl Queue {
    /// Returns when to query the lane without a signal; `None`: at the next poll.
    fn wakes_at(&self) -> Option<Timestamp> {
        // A recheck may wait for the poll. Rechecks that are due by then share one transaction.
        self.next_due.filter(|_| self.lane != Lane::Recheck)
    }
}

impl Lanes {
    fn new(pool: &Pool) -> Self {
        let queue = |share, lane| Queue {
            lane,
            share,
            under_way: Arc::default(),
            may_have_due: true,
            next_due: None,
        };
        let queues = pool.shares.iter().enumerate();
        Self {
            permits: pool.permits,
            guaranteed: pool.shares.iter().map(|share| share.guaranteed).collect(),
            queues: queues
                .flat_map(|(index, share)| share.lanes.iter().map(move |lane| queue(index, *lane)))
                .collect(),
            permit_released: Arc::default(),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self
            .queues
            .iter()
            .map(|queue| queue.lane.as_str())
            .collect();
        names.join(", ")
    }

    /// Leases due records as far as there are permits, and starts their steps.
    async fn start_due_steps(
        &mut self,
        service: &Arc<Service>,
        steps: &mut JoinSet<()>,
        poll: &mut Interval,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            // During a backlog this loop does not return to `run`. Check signals and due times
            // before each grant, so that lanes of higher priority are served.
            self.notice_due(service, poll);
            let Some((index, permits)) = self.next_grant() else {
                break;
            };
            let queue = &mut self.queues[index];
            let (leases, deadline) = lease(service, queue.lane, permits).await?;
            queue.may_have_due = leases.len() == permits;
            let begun = leases.into_iter().map(|lease| {
                let permit =
                    StepPermit::begin(service, queue.lane, &queue.under_way, &self.permit_released);
                (lease, permit)
            });
            // Rechecks are short and numerous: one task runs them and writes them together.
            if queue.lane == Lane::Recheck {
                let begun: Vec<(Lease, StepPermit)> = begun.collect();
                if !begun.is_empty() {
                    spawn(steps, service, queue.lane, shutdown, begun, deadline);
                }
            } else {
                begun.for_each(|one| {
                    spawn(steps, service, queue.lane, shutdown, vec![one], deadline);
                });
            }
            if !queue.may_have_due {
                let soonest = service.now() + LOCKED_RETRY_DELAY;
                let due = next_due(service, queue.lane).await?;
                queue.next_due = due.map(|due| due.max(soonest));
            }
        }
        Ok(())
    }

    /// Marks the lanes in which work may have become due since the last query, without waiting.
    fn notice_due(&mut self, service: &Service, poll: &mut Interval) {
        if poll.tick().now_or_never().is_some() {
            return self.mark_all_lanes();
        }
        let now = service.now();
        for queue in &mut self.queues {
            let is_due = queue.wakes_at().is_some_and(|due| due <= now);
            queue.may_have_due |=
                service.waker.take_notified(WakeSignal::Lane(queue.lane)) || is_due;
        }
    }

    fn mark_all_lanes(&mut self) {
        self.queues
            .iter_mut()
            .for_each(|queue| queue.may_have_due = true);
    }

    fn may_have_due(&self) -> bool {
        self.queues.iter().any(|queue| queue.may_have_due)
    }

    /// Which lane may lease next, and how many records.
    fn next_grant(&self) -> Option<(usize, usize)> {
        let share = |(index, guaranteed): (usize, &usize)| {
            let queues = || self.queues.iter().filter(move |queue| queue.share == index);
            PoolShare {
                guaranteed: *guaranteed,
                held: queues()
                    .map(|queue| queue.under_way.load(Ordering::SeqCst))
                    .sum(),
                may_have_due: queues().any(|queue| queue.may_have_due),
            }
        };
        let shares: Vec<PoolShare> = self.guaranteed.iter().enumerate().map(share).collect();
        let (granted, permits) = shares::next_grant(self.permits, &shares)?;
        let first = self
            .queues
            .iter()
            .position(|queue| queue.share == granted && queue.may_have_due)?;
        Some((first, permits))
    }

    /// Returns how long to wait without a signal and without a released permit.
    fn pause(&self, service: &Service) -> Duration {
        let now = service.now();
        let until_due = |queue: &Queue| {
            // A lane that waits for a permit is woken when one is released.
            let due = queue.wakes_at().filter(|_| !queue.may_have_due)?;
            Some(due.since(now).max(LOCKED_RETRY_DELAY))
        };
        let soonest = self.queues.iter().filter_map(until_due).min();
        soonest.unwrap_or(service.policy.poll_interval)
    }

    /// Waits until the signal of a lane is set; returns the lane's place.
    async fn wait(&self, waker: &Waker) -> usize {
        let signals = self
            .queues
            .iter()
            .map(|queue| Box::pin(waker.wait(WakeSignal::Lane(queue.lane))));
        select_all(signals).await.1
    }
}

/// Starts a task for leased records.
fn spawn(
    steps: &mut JoinSet<()>,
    service: &Arc<Service>,
    lane: Lane,
    shutdown: &CancellationToken,
    mut begun: Vec<(Lease, StepPermit)>,
    deadline: Instant,
) {
    let (service, shutdown) = (Arc::clone(service), shutdown.clone());
    // On the heap by itself: the task, which the runtime moves and wants to be aligned, stays
    // small.
    steps.spawn(Box::pin(async move {
        if shutdown.is_cancelled() {
            for (lease, _permit) in begun {
                release_unused(&service, lane, lease).await;
            }
        } else if begun.len() > 1 {
            step_all(&service, lane, begun, deadline).await;
        } else if let Some((lease, _permit)) = begun.pop() {
            run_consecutive_steps(&service, lane, lease, deadline, &shutdown).await;
        }
    }));
}

/// The permit of a step and its consecutive steps. It is released when dropped, also by a panic.
struct StepPermit {
    service: Arc<Service>,
    lane: Lane,
    count: Arc<AtomicUsize>,
    permit_released: Arc<Notify>,
}

impl StepPermit {
    fn begin(
        service: &Arc<Service>,
        lane: Lane,
        count: &Arc<AtomicUsize>,
        permit_released: &Arc<Notify>,
    ) -> Self {
        let now = count.fetch_add(1, Ordering::SeqCst) + 1;
        service.metrics.under_way(lane, now);
        Self {
            service: Arc::clone(service),
            lane,
            count: Arc::clone(count),
            permit_released: Arc::clone(permit_released),
        }
    }
}

impl Drop for StepPermit {
    fn drop(&mut self) {
        let now = self.count.fetch_sub(1, Ordering::SeqCst) - 1;
        self.service.metrics.under_way(self.lane, now);
        self.permit_released.notify_one();
    }
}
