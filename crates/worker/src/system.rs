//! The machine's clock and randomness for the application's ports.

use std::sync::LazyLock;

use dps_application::ports::{Clock, Randomness};
use dps_domain::Timestamp;
use dps_host::clock::{CarefulClock, SteadyClock};

/// The machine's clock, whose jumps are not believed at once. All of the process share one belief.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

static CAREFUL: LazyLock<CarefulClock> = LazyLock::new(CarefulClock::start);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(CAREFUL.now_unix_micros())
    }
}

/// A clock that never jumps, for what this process alone judges.
#[derive(Debug, Clone, Copy)]
pub struct ProcessClock(SteadyClock);

impl ProcessClock {
    /// Begins with the machine's time.
    pub fn start() -> Self {
        Self(SteadyClock::start())
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.now_unix_micros())
    }
}

/// The machine's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        dps_host::randomness::fill(bytes);
    }
}
