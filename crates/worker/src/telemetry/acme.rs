//! Metrics of the CA: requests, the account, the clock, and the limits.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dps_application::ports::metrics::{AcmeResult, AcmeWait};
use dps_domain::limits::{Endpoint, LimitKind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::{CALLS, Durations};

/// By limit.
type Limits<M> = Family<[(&'static str, &'static str); 1], M>;
type Seconds = Gauge<f64, AtomicU64>;

/// The requests are of this process, the limits of the fleet.
#[derive(Debug, Clone)]
pub(super) struct AcmeMetrics {
    requests: Family<[(&'static str, &'static str); 2], Counter>,
    durations: Durations<1>,
    up: Seconds,
    pub(super) account_usable: Seconds,
    pub(super) clock_ahead: Seconds,
    pub(super) waits: Limits<Counter>,
    remaining: Limits<Gauge>,
    capacity: Limits<Gauge>,
    empty_in: Limits<Seconds>,
    pub(super) orders_waiting: Gauge,
    pub(super) order_queue: Seconds,
}

/// The state of a limit.
#[derive(Debug, Clone, Copy)]
pub struct LimitGauges {
    /// The limit.
    pub kind: LimitKind,
    /// Tokens that are left.
    pub remaining: u32,
    /// Tokens of a full bucket.
    pub capacity: u32,
    /// Seconds until it is empty at the rate of the last day; `None` while the rate is unknown.
    pub empty_in: Option<f64>,
}

const fn of_request(endpoint: Endpoint, result: AcmeResult) -> [(&'static str, &'static str); 2] {
    [("endpoint", endpoint.as_str()), ("result", result.as_str())]
}

impl AcmeMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Durations::new(
                &CALLS,
                Endpoint::ALL.map(|endpoint| [("endpoint", endpoint.as_str())]),
            ),
            up: Gauge::default(),
            account_usable: Gauge::default(),
            clock_ahead: Gauge::default(),
            waits: Limits::default(),
            remaining: Limits::default(),
            capacity: Limits::default(),
            empty_in: Limits::default(),
            orders_waiting: Gauge::default(),
            order_queue: Gauge::default(),
        };
        for unknown in [&metrics.up, &metrics.account_usable, &metrics.clock_ahead] {
            unknown.set(f64::NAN);
        }
        for endpoint in Endpoint::ALL {
            for result in AcmeResult::ALL {
                drop(
                    metrics
                        .requests
                        .get_or_create(&of_request(endpoint, result)),
                );
            }
        }
        let waits = LimitKind::ALL.map(AcmeWait::Limit);
        for wait in waits
            .into_iter()
            .chain([AcmeWait::BackOff, AcmeWait::Paused, AcmeWait::Frozen])
        {
            drop(metrics.waits.get_or_create(&[("limit", wait.label())]));
        }
        registry.register(
            "dps_acme_requests",
            "Requests that were sent to the CA, by endpoint and result",
            metrics.requests.clone(),
        );
        registry.register(
            "dps_acme_request_duration_seconds",
            "Duration of requests to the CA, those without an answer included",
            metrics.durations.clone(),
        );
        registry.register(
            "dps_acme_up",
            "Whether the CA answered this process's last request other than with a server error; NaN before the first",
            metrics.up.clone(),
        );
        registry.register(
            "dps_acme_account_usable",
            "Whether the CA took our account when this process last ordered; NaN before the first order",
            metrics.account_usable.clone(),
        );
        registry.register(
            "dps_clock_ahead_of_ca_seconds",
            "How far the clock of this machine is ahead of the CA's, within a second; NaN before its first answer",
            metrics.clock_ahead.clone(),
        );
        registry.register(
            "dps_acme_waits",
            "Times that a step waited instead of sending a request to the CA, by the limit that was used up",
            metrics.waits.clone(),
        );
        registry.register(
            "dps_acme_limit_remaining",
            "What the CA's limits of our account and address leave now; absent where there is no limit",
            metrics.remaining.clone(),
        );
        registry.register(
            "dps_acme_limit_capacity",
            "Tokens of the full bucket of such a limit",
            metrics.capacity.clone(),
        );
        registry.register(
            "dps_acme_limit_empty_in_seconds",
            "When such a limit is empty at the rate of the last day; +Inf if never, absent while the rate is unknown",
            metrics.empty_in.clone(),
        );
        registry.register(
            "dps_acme_orders_waiting",
            "First issuances that wait for the CA's limit of orders, counted up to 100000",
            metrics.orders_waiting.clone(),
        );
        registry.register(
            "dps_acme_order_queue_seconds",
            "How long the last of the waiting first issuances waits for the CA's limit of orders",
            metrics.order_queue.clone(),
        );
        metrics
    }

    pub(super) fn request(&self, endpoint: Endpoint, result: AcmeResult, took: Duration) {
        self.requests
            .get_or_create(&of_request(endpoint, result))
            .inc();
        let place = Endpoint::ALL.iter().position(|known| *known == endpoint);
        if let Some(place) = place {
            self.durations.observe(place, took);
        }
        self.up.set(if result.shows_it_works() { 1.0 } else { 0.0 });
    }

    pub(super) fn limit(&self, limit: &LimitGauges) {
        let label = [("limit", limit.kind.label())];
        self.remaining
            .get_or_create(&label)
            .set(limit.remaining.into());
        self.capacity
            .get_or_create(&label)
            .set(limit.capacity.into());
        if let Some(seconds) = limit.empty_in {
            self.empty_in.get_or_create(&label).set(seconds);
        }
    }
}
