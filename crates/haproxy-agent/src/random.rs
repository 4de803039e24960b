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

/// So many different numbers below `bound`, or all of them if they are fewer, in no order.
pub(crate) fn sample(bound: usize, count: usize) -> Vec<usize> {
    if bound <= count {
        return (0..bound).collect();
    }
    let mut chosen = std::collections::BTreeSet::new();
    while chosen.len() < count {
        let mut bytes = [0; 8];
        dps_host::randomness::fill(&mut bytes);
        chosen.insert(usize::from_le_bytes(bytes) % bound);
    }
    chosen.into_iter().collect()
}
