//! Random names and jitter.

use std::time::Duration;

/// Sixteen random bytes in hex; a name that nobody else uses.
pub(crate) fn name() -> String {
    dps_host::randomness::hex(16)
}

/// A random duration between the two.
pub(crate) fn jitter(least: Duration, most: Duration) -> Duration {
    let mut bytes = [0; 4];
    dps_host::randomness::fill(&mut bytes);
    let fraction = f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX);
    least + most.saturating_sub(least).mul_f64(fraction)
}
