//! Metrics of each lane.

use std::sync::atomic::AtomicU64;

use dps_domain::Timestamp;
use dps_domain::lane::Lane;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type ByLane<G> = Family<[(&'static str, &'static str); 1], G>;

/// The gauges of the lanes: steps under way, and for how long work has been due.
#[derive(Debug, Clone, Default)]
pub(super) struct LaneGauges {
    in_flight: ByLane<Gauge>,
    oldest_due: ByLane<Gauge<f64, AtomicU64>>,
}

impl LaneGauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        for lane in Lane::ALL {
            drop(gauges.in_flight.get_or_create(&of(lane)));
        }
        registry.register(
            "dps_work_in_flight",
            "Steps under way in this process",
            gauges.in_flight.clone(),
        );
        registry.register(
            "dps_work_oldest_due_seconds",
            "For how long the work that is due longest in a lane has been waiting; 0 when nothing is due",
            gauges.oldest_due.clone(),
        );
        gauges
    }

    pub(super) fn under_way(&self, lane: Lane, steps: usize) {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        self.in_flight.get_or_create(&of(lane)).set(steps);
    }

    pub(super) fn oldest_due(&self, lane: Lane, due: Option<Timestamp>, now: Timestamp) {
        let waiting = due.map_or(0.0, |due| now.since(due).as_secs_f64());
        self.oldest_due.get_or_create(&of(lane)).set(waiting);
    }
}

const fn of(lane: Lane) -> [(&'static str, &'static str); 1] {
    [("lane", lane.as_str())]
}
