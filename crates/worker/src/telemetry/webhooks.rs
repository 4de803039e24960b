//! Metrics of webhooks.

use std::sync::atomic::AtomicU64;

use dps_application::ports::store::WebhooksWaiting;
use dps_application::ports::webhooks::{WebhookMetrics as Port, WebhookResult};
use dps_domain::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::results::Results;

/// The deliveries of this process, and the events that wait for the receivers of its settings.
#[derive(Debug, Clone, Default)]
pub(super) struct WebhookMetrics {
    deliveries: Results,
    events_waiting: Gauge,
    waiting_seconds: Gauge<f64, AtomicU64>,
}

impl WebhookMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for result in WebhookResult::ALL {
            drop(metrics.deliveries.get_or_create(&of(result)));
        }
        registry.register(
            "dps_webhook_deliveries",
            "Tries to deliver an event to a receiver, and events that were given up",
            metrics.deliveries.clone(),
        );
        registry.register(
            "dps_webhook_events_waiting",
            "Events that wait for receivers, counted up to 100000 for each",
            metrics.events_waiting.clone(),
        );
        registry.register(
            "dps_webhook_waiting_seconds",
            "For how long the oldest event has been waiting for its receiver; 0 without one",
            metrics.waiting_seconds.clone(),
        );
        metrics
    }

    /// Sets the gauges from the receivers for which anything waits.
    pub(super) fn set(&self, waiting: &[WebhooksWaiting], now: Timestamp) {
        let events: i64 = waiting.iter().map(|of_one| i64::from(of_one.events)).sum();
        self.events_waiting.set(events);
        let oldest = waiting.iter().map(|of_one| of_one.oldest).min();
        let seconds = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        self.waiting_seconds.set(seconds);
    }
}

const fn of(result: WebhookResult) -> [(&'static str, &'static str); 1] {
    [("result", result.as_str())]
}

impl Port for Metrics {
    fn webhooks(&self, result: WebhookResult, number: u64) {
        let deliveries = &self.webhooks.deliveries;
        deliveries.get_or_create(&of(result)).inc_by(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauges_show_all_events_and_the_oldest() {
        let metrics = WebhookMetrics::register(&mut Registry::default());
        let at = Timestamp::from_unix_seconds;
        let waiting = |events, oldest| WebhooksWaiting {
            receiver: String::new(),
            events,
            oldest: at(oldest),
        };
        metrics.set(&[waiting(3, 950), waiting(4, 940)], at(1_000));
        assert_eq!(metrics.events_waiting.get(), 7);
        assert!((metrics.waiting_seconds.get() - 60.0).abs() < 1e-9);
        metrics.set(&[], at(1_000));
        assert_eq!(metrics.events_waiting.get(), 0);
        assert!(metrics.waiting_seconds.get().abs() < 1e-9);
    }
}
