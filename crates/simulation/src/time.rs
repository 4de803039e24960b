//! Virtual time and seeded randomness.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_application::ports::{Clock, Randomness};
use dps_domain::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

/// When every run begins.
pub const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// How far into the run a moment is: small enough to be kept for a million domains.
pub(crate) fn since(time: Timestamp) -> Duration {
    time.since(EPOCH)
}

/// The time that is true in the simulated world: that of tokio's paused clock.
#[derive(Debug, Clone, Copy)]
pub struct WorldTime {
    start: Instant,
}

impl WorldTime {
    /// The world begins now.
    pub fn begin() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        EPOCH + self.elapsed()
    }

    /// A moment of the run, for tokio.
    pub fn at(&self, since_start: Duration) -> Instant {
        self.start + since_start
    }
}

impl Clock for WorldTime {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

/// The time that is true for the models: [`WorldTime`] in a run, a clock moved by hand in tests.
#[derive(Clone)]
pub struct TrueTime(Arc<dyn Clock>);

impl TrueTime {
    /// The time of this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl fmt::Debug for TrueTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("TrueTime")
            .field(&self.now())
            .finish()
    }
}

impl From<WorldTime> for TrueTime {
    fn from(time: WorldTime) -> Self {
        Self::new(Arc::new(time))
    }
}

/// The wall clock of one replica, which may be wrong.
#[derive(Debug)]
pub struct ReplicaClock {
    time: WorldTime,
    wrong_by_micros: AtomicI64,
}

impl ReplicaClock {
    /// A clock that is right.
    pub fn new(time: WorldTime) -> Arc<Self> {
        Arc::new(Self {
            time,
            wrong_by_micros: AtomicI64::new(0),
        })
    }

    /// Sets it wrong by so much, in microseconds.
    pub fn set_wrong_by(&self, micros: i64) {
        self.wrong_by_micros.store(micros, Ordering::Relaxed);
    }
}

impl Clock for ReplicaClock {
    fn now(&self) -> Timestamp {
        let wrong = self.wrong_by_micros.load(Ordering::Relaxed);
        Timestamp::from_unix_micros(self.time.now().unix_micros().saturating_add(wrong))
    }
}

/// Random numbers that are the same in every run with the same seed.
#[derive(Debug)]
pub struct Seeded(Mutex<StdRng>);

impl Seeded {
    /// Those of `seed`, for one `purpose`.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mixed = seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(Mutex::new(StdRng::seed_from_u64(mixed)))
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&self, bound: u64) -> u64 {
        let drawn = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u64();
        drawn % bound.max(1)
    }

    /// A number of whole seconds below `span`, or zero.
    pub fn within(&self, span: Duration) -> Duration {
        Duration::from_secs(self.below(span.as_secs().max(1)))
    }

    /// Says yes with this probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.unit() < probability
    }
}

impl Randomness for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(bytes);
    }
}
