//! The machine's clock and randomness behind the application's ports.

use dps_application::ports::{Clock, Randomness};
use dps_domain::Timestamp;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(dps_host::clock::now_unix_micros())
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
