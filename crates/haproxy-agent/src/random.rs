//! Random names and jitter.

/// Sixteen random bytes in hex; a unique name.
pub(crate) fn name() -> String {
    dps_host::randomness::hex(16)
}

/// A random number in `0.0..=1.0`, for jitter.
pub(crate) fn unit() -> f64 {
    let mut bytes = [0; 4];
    dps_host::randomness::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
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
