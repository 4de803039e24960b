//! Time and randomness, so that tests control them.

use dps_domain::Timestamp;

/// The clock.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Draws random numbers.
pub trait Randomness: Send + Sync {
    /// Fills `bytes` from a cryptographically strong source.
    fn fill(&self, bytes: &mut [u8]);

    /// Ten random bytes, as the identifiers of `dps-domain` want them.
    fn id_bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        bytes
    }

    /// A number in `0.0..1.0`, for jitter.
    fn unit(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
