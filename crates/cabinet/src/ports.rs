//! Time and randomness, as arguments.

use std::fmt;

use dps_domain::{DomainId, Timestamp};

type Now = dyn Fn() -> Timestamp + Send + Sync;
type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Where the Cabinet takes the time and random numbers from.
pub struct Ports {
    now: Box<Now>,
    random: Box<Fill>,
}

impl Ports {
    /// The given clock, and a source that fills a buffer with random bytes.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Box::new(now),
            random: Box::new(random),
        }
    }

    /// The clock and the random numbers of this machine.
    pub fn system() -> Self {
        Self::new(
            || Timestamp::from_unix_micros(dps_host::clock::now_unix_micros()),
            dps_host::randomness::fill,
        )
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) fn new_id(&self) -> DomainId {
        let mut random = [0; 10];
        (self.random)(&mut random);
        DomainId::new(self.now(), random)
    }

    /// 128 random bits.
    pub(crate) fn random_bits(&self) -> u128 {
        let mut random = [0; 16];
        (self.random)(&mut random);
        u128::from_be_bytes(random)
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}
