//! Moments and times in the units of the metrics.

use dps_domain::Timestamp;

const MICROS_PER_DAY: f64 = 86_400_000_000.0;

/// A moment as a UNIX time in seconds.
pub(super) fn unix_seconds(moment: Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge in seconds does not need microseconds"
    )]
    let micros = moment.unix_micros() as f64;
    micros / 1e6
}

/// Days from `now` until `moment`; negative once it has passed.
pub(super) fn days_until(moment: Timestamp, now: Timestamp) -> f64 {
    let micros = moment.unix_micros().saturating_sub(now.unix_micros());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge in days does not need microseconds"
    )]
    let micros = micros as f64;
    micros / MICROS_PER_DAY
}
