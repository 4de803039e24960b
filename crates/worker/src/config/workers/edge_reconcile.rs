//! Section `Workers:EdgeReconcile`: comparisons of the edges with the store.

use std::time::Duration;

use dps_application::{FleetPolicy, Policy};
use dps_host::HumanDuration;
use serde::{Deserialize, Serialize};

use super::super::report::Report;

/// Compares each edge with the desired certificates and deploys those that it lacks. An edge that
/// is new or returns is compared at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EdgeReconcile {
    /// Time between two comparisons of an edge, 1 s to 30 days.
    pub interval: HumanDuration,
    /// Time between two health checks of each edge, 100 ms to 5 min.
    pub check_interval: HumanDuration,
    /// Missing certificates sent to an edge per second, 1 to 10,000.
    pub certificates_per_second: u32,
}

impl Default for EdgeReconcile {
    fn default() -> Self {
        let fleet = Policy::default().fleet;
        Self {
            interval: fleet.interval.into(),
            check_interval: fleet.check_interval.into(),
            certificates_per_second: fleet.certificates_per_second,
        }
    }
}

impl EdgeReconcile {
    pub(super) fn policy(&self, find_interval: HumanDuration) -> FleetPolicy {
        FleetPolicy {
            check_interval: self.check_interval.get(),
            interval: self.interval.get(),
            certificates_per_second: self.certificates_per_second,
            find_interval: find_interval.get(),
        }
    }

    pub(super) fn check(&self, report: &mut Report) {
        let name = "Workers:EdgeReconcile";
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(30 * 24 * 3600);
        report.duration(&format!("{name}:Interval"), self.interval, bounds);
        let bounds =
            HumanDuration::from(Duration::from_millis(100))..=HumanDuration::from_secs(300);
        report.duration(
            &format!("{name}:CheckInterval"),
            self.check_interval,
            bounds,
        );
        let rate = self.certificates_per_second;
        report.count(&format!("{name}:CertificatesPerSecond"), rate, 1..=10_000);
    }
}
