//! The lease loop of the lanes that draw from one pool of permits: lease as many due records as
//! there are permits for them, step each.

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

use super::run_step::{give_back, lease, next_due, run_consecutive_steps, step_all};
use crate::engine::wake::{WakeSignal, Waker};
use crate::ports::store::{Lease, StoreError};
use crate::service::Service;

/// Between two looks at work that is due and cannot be had, because another replica has just locked
/// it.
const BREATH: Duration = Duration::from_millis(20);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Runs the lanes of the pool until `shutdown`, then waits for the steps under way.
pub(crate) async fn run(service: Arc<Service>, pool: Pool, shutdown: CancellationToken) {
    let mut lanes = Lanes::new(&pool);
    let mut steps = JoinSet::new();
    // Apart from `pause`, which begins anew whenever a signal is rung: in a lane that nobody rings
    // for, work must not wait for the others to fall silent.
    let period = service.policy.poll_interval;
    let mut poll_interval = tokio::time::interval_at(Instant::now() + period, period);
    poll_interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        while steps.try_join_next().is_some() {}
        let pause = match lanes
            .lease(&service, &mut steps, &mut poll_interval, &shutdown)
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
            _ = poll_interval.tick() => lanes.look_everywhere(),
            index = lanes.wait(&service.waker) => lanes.queues[index].hungry = true,
            // A permit that is free again is of no use while nobody waits for one.
            () = lanes.ended.notified(), if lanes.is_hungry() => {}
            () = tokio::time::sleep(pause) => lanes.look_everywhere(),
        }
    }
    while steps.join_next().await.is_some() {}
}

/// The lanes of one pool, in the order in which they are served.
struct Lanes {
    permits: usize,
    guaranteed: Vec<usize>,
    queues: Vec<Queue>,
    /// Rung whenever a permit is free again.
    ended: Arc<Notify>,
}

/// What is known of the work that waits in one lane.
struct Queue {
    lane: Lane,
    /// The place of its share in the pool.
    share: usize,
    under_way: Arc<AtomicUsize>,
    /// Whether there may be due work that nobody leased yet.
    hungry: bool,
    /// When there will be, as far as was seen last; at least [`BREATH`] after that.
    next_due: Option<Timestamp>,
}

impl Queue {
    /// The moment at which the lane is looked at although nobody rings; `None` waits for the
    /// periodic pass.
    fn wakes_at(&self) -> Option<Timestamp> {
        // Nobody waits for a look at a live domain: those that come due until the next periodic
        // pass are leased together, in one transaction instead of one each.
        self.next_due.filter(|_| self.lane != Lane::Recheck)
    }
}

impl Lanes {
    fn new(pool: &Pool) -> Self {
        let queue = |share, lane| Queue {
            lane,
            share,
            under_way: Arc::default(),
            hungry: true,
            next_due: None,
        };
        let queues = pool.shares.iter().enumerate();
        Self {
            permits: pool.permits,
            guaranteed: pool.shares.iter().map(|share| share.guaranteed).collect(),
            queues: queues
                .flat_map(|(index, share)| share.lanes.iter().map(move |lane| queue(index, *lane)))
                .collect(),
            ended: Arc::default(),
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

    /// Leases what is due and may be stepped now, and starts the steps.
    async fn lease(
        &mut self,
        service: &Arc<Service>,
        steps: &mut JoinSet<()>,
        poll: &mut Interval,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            // A backlog of quick steps keeps this loop going for as long as it lasts. Work that
            // becomes due in a lane above is noticed between two of its grants.
            self.notice_due(service, poll);
            let Some((index, permits)) = self.next_grant() else {
                break;
            };
            let queue = &mut self.queues[index];
            let (leases, deadline) = lease(service, queue.lane, permits).await?;
            queue.hungry = leases.len() == permits;
            let begun = leases.into_iter().map(|lease| {
                let permit = UnderWay::begin(service, queue.lane, &queue.under_way, &self.ended);
                (lease, permit)
            });
            // Looks at live domains are little work each, and many: they share a task, and the
            // transactions in which they are recorded.
            if queue.lane == Lane::Recheck {
                let begun: Vec<(Lease, UnderWay)> = begun.collect();
                if !begun.is_empty() {
                    spawn(steps, service, (queue.lane, shutdown), begun, deadline);
                }
            } else {
                begun.for_each(|one| {
                    spawn(steps, service, (queue.lane, shutdown), vec![one], deadline);
                });
            }
            if !queue.hungry {
                let soonest = service.now() + BREATH;
                let due = next_due(service, queue.lane).await?;
                queue.next_due = due.map(|due| due.max(soonest));
            }
        }
        Ok(())
    }

    /// Marks the lanes in which work may have become due since they were looked at, without
    /// waiting.
    fn notice_due(&mut self, service: &Service, poll: &mut Interval) {
        if poll.tick().now_or_never().is_some() {
            return self.look_everywhere();
        }
        let now = service.now();
        for queue in &mut self.queues {
            let is_due = queue.wakes_at().is_some_and(|due| due <= now);
            queue.hungry |= service.waker.take_notified(WakeSignal::Lane(queue.lane)) || is_due;
        }
    }

    fn look_everywhere(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.hungry = true);
    }

    fn is_hungry(&self) -> bool {
        self.queues.iter().any(|queue| queue.hungry)
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
                hungry: queues().any(|queue| queue.hungry),
            }
        };
        let shares: Vec<PoolShare> = self.guaranteed.iter().enumerate().map(share).collect();
        let (granted, permits) = shares::next_grant(self.permits, &shares)?;
        let first = self
            .queues
            .iter()
            .position(|queue| queue.share == granted && queue.hungry)?;
        Some((first, permits))
    }

    /// How long to wait when nobody rings, and no step ends that somebody waits for.
    fn pause(&self, service: &Service) -> Duration {
        let now = service.now();
        let until_due = |queue: &Queue| {
            // The end of a step wakes who waits for a permit.
            let due = queue.wakes_at().filter(|_| !queue.hungry)?;
            Some(due.since(now).max(BREATH))
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

/// Starts a task for what was leased.
fn spawn(
    steps: &mut JoinSet<()>,
    service: &Arc<Service>,
    (lane, shutdown): (Lane, &CancellationToken),
    mut begun: Vec<(Lease, UnderWay)>,
    deadline: Instant,
) {
    let (service, shutdown) = (Arc::clone(service), shutdown.clone());
    // On the heap by itself: the task, which the runtime moves and wants to be aligned, stays
    // small.
    steps.spawn(Box::pin(async move {
        if shutdown.is_cancelled() {
            for (lease, _permit) in begun {
                give_back(&service, lane, lease).await;
            }
        } else if begun.len() > 1 {
            step_all(&service, lane, begun, deadline).await;
        } else if let Some((lease, _permit)) = begun.pop() {
            run_consecutive_steps(&service, lane, (lease, deadline), &shutdown).await;
        }
    }));
}

/// The permit of a step under way and of those that follow it. It is given back when dropped, also
/// by a panic.
struct UnderWay {
    service: Arc<Service>,
    lane: Lane,
    count: Arc<AtomicUsize>,
    ended: Arc<Notify>,
}

impl UnderWay {
    fn begin(
        service: &Arc<Service>,
        lane: Lane,
        count: &Arc<AtomicUsize>,
        ended: &Arc<Notify>,
    ) -> Self {
        let now = count.fetch_add(1, Ordering::SeqCst) + 1;
        service.metrics.under_way(lane, now);
        Self {
            service: Arc::clone(service),
            lane,
            count: Arc::clone(count),
            ended: Arc::clone(ended),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.count.fetch_sub(1, Ordering::SeqCst) - 1;
        self.service.metrics.under_way(self.lane, now);
        self.ended.notify_one();
    }
}
