//! Metrics of the Cabinet.

use std::sync::atomic::AtomicU64;

use dps_application::cabinet::health::CabinetStatus;
use dps_application::ports::CabinetEvent;
use dps_application::ports::metrics::ClaimEvent;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::units::unix_seconds;

/// By event.
type Events = Family<[(&'static str, &'static str); 1], Counter>;

/// Of this process, but for the reports, which are those of all replicas.
#[derive(Debug, Clone)]
pub(super) struct CabinetMetrics {
    pub(super) events: Events,
    pub(super) claims: Events,
    up: Gauge<f64, AtomicU64>,
    last_intake: Gauge<f64, AtomicU64>,
    pub(super) reports: Gauge,
    items_refused: Gauge,
    removals_held: Gauge,
}

pub(super) const fn of(event: CabinetEvent) -> [(&'static str, &'static str); 1] {
    [("event", event.as_str())]
}

pub(super) const fn of_claim(event: ClaimEvent) -> [(&'static str, &'static str); 1] {
    [("event", event.as_str())]
}

impl CabinetMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            events: Events::default(),
            claims: Events::default(),
            up: Gauge::default(),
            last_intake: Gauge::default(),
            reports: Gauge::default(),
            items_refused: Gauge::default(),
            removals_held: Gauge::default(),
        };
        for event in CabinetEvent::ALL {
            drop(metrics.events.get_or_create(&of(event)));
        }
        for event in ClaimEvent::ALL {
            drop(metrics.claims.get_or_create(&of_claim(event)));
        }
        registry.register(
            "dps_claims",
            "Claims of hostnames that another tenant has or had, and claims that lost to a proof",
            metrics.claims.clone(),
        );
        metrics.up.set(f64::NAN);
        metrics.last_intake.set(f64::NAN);
        registry.register(
            "dps_cabinet_events",
            "Refused items, refused names, version conflicts and refused reports",
            metrics.events.clone(),
        );
        registry.register(
            "dps_cabinet_up",
            "Whether the Cabinet answered this process's last call; NaN before the first",
            metrics.up.clone(),
        );
        registry.register(
            "dps_cabinet_last_intake_timestamp_seconds",
            "When this process last took in all that the Cabinet offers, or began to before the first time; NaN before both",
            metrics.last_intake.clone(),
        );
        registry.register(
            "dps_cabinet_outbox_reports",
            "Reports that wait for the Cabinet, counted up to 100000",
            metrics.reports.clone(),
        );
        registry.register(
            "dps_cabinet_items_unusable",
            "Items of the Cabinet that cannot be used at present, counted up to 1000",
            metrics.items_refused.clone(),
        );
        registry.register(
            "dps_removals_held",
            "Removals that wait for an operator, counted up to 1000",
            metrics.removals_held.clone(),
        );
        metrics
    }

    pub(super) fn set(&self, status: &CabinetStatus) {
        if let Some(is_up) = status.is_up {
            self.up.set(if is_up { 1.0 } else { 0.0 });
        }
        // An item that stops the intake across a restart must not hide behind an unknown time.
        if let Some(at) = status.last_good_pass.or(status.began) {
            self.last_intake.set(unix_seconds(at));
        }
        let refused = status.refused.as_ref().map_or(0, |(_, number)| *number);
        self.items_refused
            .set(i64::try_from(refused).unwrap_or(i64::MAX));
        self.removals_held
            .set(i64::try_from(status.held_removals).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::Timestamp;

    use super::*;

    #[test]
    fn an_intake_that_never_ended_shows_when_it_began() {
        let metrics = CabinetMetrics::register(&mut Registry::default());
        let mut status = CabinetStatus {
            is_up: Some(true),
            began: None,
            last_good_pass: None,
            problem: None,
            refused: None,
            held_removals: 0,
            drops_proofs: false,
        };
        metrics.set(&status);
        assert!(metrics.last_intake.get().is_nan());
        for (began, last_good_pass, shown) in
            [(1_000, None, 1_000.0), (1_000, Some(1_500), 1_500.0)]
        {
            status.began = Some(Timestamp::from_unix_seconds(began));
            status.last_good_pass = last_good_pass.map(Timestamp::from_unix_seconds);
            metrics.set(&status);
            assert!((metrics.last_intake.get() - shown).abs() < 1e-9);
        }
    }
}
