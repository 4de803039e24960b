//! The metrics of the service. No label per hostname, ever.

mod acme;
mod cabinet;
mod certificates;
mod edges;
mod fleet;
mod histogram;
mod lanes;
mod lookups;
#[cfg(test)]
mod reference_tests;
mod resolvers;
mod results;
mod steps;
mod store;
mod units;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dps_application::cabinet::health::CabinetStatus;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::fleet_view::FleetCounts;
use dps_application::ports::metrics::{
    AcmeMetrics as AcmePort, AcmeResult, AcmeWait, ClaimEvent, LocalParty, Milestone,
};
use dps_application::ports::store::WebhooksWaiting;
use dps_application::ports::{CabinetEvent, Metrics as MetricsPort};
use dps_application::resolvers::ResolverStatus;
use dps_application::survey::Survey;
use dps_domain::Timestamp;
use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use dps_domain::limits::Endpoint;
use dps_domain::pause::Pause;
use dps_domain::reachability::Reachability;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::acme::AcmeMetrics;
pub use self::acme::LimitGauges;
use self::cabinet::CabinetMetrics;
use self::certificates::CertificateMetrics;
use self::edges::EdgeGauges;
use self::fleet::FleetMetrics;
use self::lanes::LaneGauges;
pub use self::lookups::{LookupMetrics, Timed};
use self::resolvers::ResolverMetrics;
use self::results::{Results, count, label, results};
use self::steps::StepMetrics;
pub use self::store::StoreMetrics;
use self::units::{days_until, unix_seconds};
use self::webhooks::WebhookMetrics;

type ByParty = Family<[(&'static str, &'static str); 1], Counter>;

/// The service's metrics. Every service of a process has its own; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    verification: Results,
    issuance: Results,
    renewal: Results,
    renewal_info: Results,
    acme: AcmeMetrics,
    steps: StepMetrics,
    certificates: CertificateMetrics,
    fleet: FleetMetrics,
    lookups: LookupMetrics,
    store: StoreMetrics,
    expiry_days: Gauge<f64, AtomicU64>,
    outbox_waiting: Gauge<f64, AtomicU64>,
    agent_tls_not_after: Gauge<f64, AtomicU64>,
    lanes: LaneGauges,
    edge_filled: Results,
    edges: EdgeGauges,
    local_faults: ByParty,
    resolvers: ResolverMetrics,
    cabinet: CabinetMetrics,
    webhooks: WebhookMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counters at zero, no certificate known.
    pub fn new() -> Self {
        let [verification, issuance, renewal, renewal_info] = [(); 4].map(|()| results());
        let expiry_days = Gauge::<f64, AtomicU64>::default();
        expiry_days.set(f64::NAN);
        let outbox_waiting = Gauge::<f64, AtomicU64>::default();
        let agent_tls_not_after = Gauge::<f64, AtomicU64>::default();
        agent_tls_not_after.set(f64::NAN);
        let mut registry = Registry::default();
        registry.register(
            "domain_verification",
            "DNS checks that were answered: the name points at us, or does not; a domain that moved away counts once",
            verification.clone(),
        );
        registry.register(
            "acme_issuance",
            "First issuances that ended with a deployed certificate, and attempts that failed at the CA or an edge that answered",
            issuance.clone(),
        );
        registry.register(
            "renewal",
            "Renewals that ended with a deployed certificate, and attempts that failed at the CA or an edge that answered",
            renewal.clone(),
        );
        let acme = AcmeMetrics::register(&mut registry);
        let steps = StepMetrics::register(&mut registry);
        let certificates = CertificateMetrics::register(&mut registry);
        let fleet = FleetMetrics::register(&mut registry);
        let lookups = LookupMetrics::register(&mut registry);
        let store = StoreMetrics::register(&mut registry);
        registry.register(
            "dps_acme_renewal_info_polls",
            "Polls to the CA when to renew that were answered or failed",
            renewal_info.clone(),
        );
        registry.register(
            "certificate_expiry_days",
            "Days until the soonest end of validity among the certificates of domains that point at us; NaN without any",
            expiry_days.clone(),
        );
        let lanes = LaneGauges::register(&mut registry);
        registry.register(
            "dps_cabinet_outbox_waiting_seconds",
            "How long the oldest report has been waiting for the Cabinet; 0 without any",
            outbox_waiting.clone(),
        );
        registry.register(
            "dps_agent_tls_not_after_timestamp_seconds",
            "End of validity of the certificate that the service shows to agents, as a UNIX time; NaN without mutual TLS",
            agent_tls_not_after.clone(),
        );
        let edge_filled = results();
        registry.register(
            "dps_edge_reconcile_deployments",
            "Certificates that an edge lacked and was sent, by whether it took them",
            edge_filled.clone(),
        );
        let edges = EdgeGauges::register(&mut registry);
        let local_faults = register_local_faults(&mut registry);
        let resolvers = ResolverMetrics::register(&mut registry);
        let cabinet = CabinetMetrics::register(&mut registry);
        let webhooks = WebhookMetrics::register(&mut registry);
        registry.register(
            "dps_build",
            "The version of dps",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry: Arc::new(registry),
            verification,
            issuance,
            renewal,
            renewal_info,
            acme,
            steps,
            certificates,
            fleet,
            lookups,
            store,
            expiry_days,
            outbox_waiting,
            agent_tls_not_after,
            lanes,
            edge_filled,
            edges,
            local_faults,
            resolvers,
            cabinet,
            webhooks,
        }
    }

    /// Sets `dps_work_oldest_due_seconds` of a lane from the moment its next record is due.
    pub fn oldest_due(&self, lane: Lane, due: Option<Timestamp>, now: Timestamp) {
        self.lanes.oldest_due(lane, due, now);
    }

    /// Sets `certificate_expiry_days` from the soonest end of validity among the certificates of
    /// domains that point at us; negative once it has passed.
    pub fn certificate_expiry(&self, soonest: Option<Timestamp>, now: Timestamp) {
        self.expiry_days
            .set(soonest.map_or(f64::NAN, |soonest| days_until(soonest, now)));
    }

    /// Sets `agent_tls_not_after` from the end of validity of the certificate that we show to
    /// agents.
    pub fn agent_tls_not_after(&self, not_after: Timestamp) {
        self.agent_tls_not_after.set(unix_seconds(not_after));
    }

    /// Sets `dps_cabinet_outbox_waiting_seconds` from the moment since which the oldest report
    /// waits.
    pub fn outbox_waiting(&self, oldest: Option<Timestamp>, now: Timestamp) {
        let waiting = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        self.outbox_waiting.set(waiting);
    }

    /// Sets the gauges of one limit.
    pub fn limit(&self, limit: &LimitGauges) {
        self.acme.limit(limit);
    }

    /// Sets `dps_acme_orders_waiting`, and how long the last of them waits.
    pub fn orders_waiting(&self, waiting: u32, last: Duration) {
        self.acme.orders_waiting.set(waiting.into());
        self.acme.order_queue.set(last.as_secs_f64());
    }

    /// Sets the metrics of the served certificates.
    pub fn certificates(&self, survey: Survey) {
        self.certificates.set(survey);
    }

    /// Sets the numbers of domains by status and by failure code.
    pub fn fleet(&self, counted: &FleetCounts) {
        self.fleet.set(counted);
    }

    /// Sets the numbers of pauses of issuance.
    pub fn pauses(&self, pauses: &[Pause]) {
        self.fleet.set_pauses(pauses);
    }

    /// Sets `dps_renewal_freeze_until_timestamp_seconds`.
    pub fn freeze(&self, until: Option<Timestamp>) {
        self.fleet.set_freeze(until);
    }

    /// Sets `dps_secrets_under_old_keys`.
    pub fn secrets_under_old_keys(&self, secrets: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge needs no more")]
        let secrets = secrets as f64;
        self.certificates.secrets_under_old_keys.set(secrets);
    }

    /// The value of `dps_secrets_under_old_keys`; `None` before the first count.
    pub fn counted_secrets_under_old_keys(&self) -> Option<u64> {
        let counted = self.certificates.secrets_under_old_keys.get();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a number of rows, or NaN"
        )]
        let secrets = counted as u64;
        (!counted.is_nan()).then_some(secrets)
    }

    /// Sets `dps_store_up`.
    pub fn store_up(&self, is_up: bool) {
        self.store.up.set(if is_up { 1.0 } else { 0.0 });
    }

    /// The metrics of DNS lookups.
    pub const fn lookups(&self) -> &LookupMetrics {
        &self.lookups
    }

    /// The metrics of the CertificateStore.
    pub const fn store(&self) -> &StoreMetrics {
        &self.store
    }

    /// Sets the gauges of the edges in the fleet, and forgets those of others.
    pub fn edges(
        &self,
        members: &[&str],
        known: &[KnownEdge],
        is_live: impl Fn(Reachability) -> bool,
    ) {
        self.edges.set(members, known, is_live);
    }

    /// Sets `dps_dns_resolver_up` of each resolver.
    pub fn resolvers(&self, resolvers: &[ResolverStatus]) {
        self.resolvers.set(resolvers);
    }

    /// Sets the gauges of what this process knows of its dealings with the Cabinet.
    pub fn cabinet(&self, status: &CabinetStatus) {
        self.cabinet.set(status);
    }

    /// Sets the gauges of events from the receivers for which any wait.
    pub fn webhooks_waiting(&self, waiting: &[WebhooksWaiting], now: Timestamp) {
        self.webhooks.set(waiting, now);
    }

    /// Sets `dps_cabinet_outbox_reports`.
    pub fn outbox_reports(&self, reports: u32) {
        self.cabinet.reports.set(reports.into());
    }

    /// All metrics as `OpenMetrics` text.
    ///
    /// # Errors
    /// When a metric cannot be formatted.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl MetricsPort for Metrics {
    fn domain_verification(&self, success: bool) {
        count(&self.verification, success);
    }

    fn acme_issuance(&self, success: bool) {
        count(&self.issuance, success);
    }

    fn renewal(&self, success: bool) {
        count(&self.renewal, success);
    }

    fn acme_wait(&self, wait: AcmeWait) {
        self.acme
            .waits
            .get_or_create(&[("limit", wait.label())])
            .inc();
    }

    fn step(&self, lane: Lane, action: &Action, took: Duration) {
        self.steps.step(lane, action, took);
    }

    fn onboarding(&self, milestone: Milestone, since_intake: Duration) {
        self.steps.onboarding(milestone, since_intake);
    }

    fn acme_account(&self, is_usable: bool) {
        let usable = if is_usable { 1.0 } else { 0.0 };
        self.acme.account_usable.set(usable);
    }

    fn edge_filled(&self, applied: usize, refused: usize) {
        for (success, number) in [(true, applied), (false, refused)] {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            self.edge_filled
                .get_or_create(&label(success))
                .inc_by(number);
        }
    }

    fn renewal_info(&self, success: bool) {
        count(&self.renewal_info, success);
    }

    fn local_fault(&self, party: LocalParty) {
        self.local_faults
            .get_or_create(&[("party", party.as_str())])
            .inc();
    }

    fn resolver_failed(&self, resolver: SocketAddr) {
        self.resolvers.failed(resolver);
    }

    fn cabinet(&self, event: CabinetEvent) {
        self.cabinet.events.get_or_create(&cabinet::of(event)).inc();
    }

    fn claim(&self, event: ClaimEvent) {
        let claims = &self.cabinet.claims;
        claims.get_or_create(&cabinet::of_claim(event)).inc();
    }

    fn under_way(&self, lane: Lane, steps: usize) {
        self.lanes.under_way(lane, steps);
    }
}

impl AcmePort for Metrics {
    fn acme_request(&self, endpoint: Endpoint, result: AcmeResult, took: Duration) {
        self.acme.request(endpoint, result, took);
    }

    fn ca_clock(&self, ahead_seconds: f64) {
        self.acme.clock_ahead.set(ahead_seconds);
    }
}

/// A counter that shows every party from the beginning.
fn register_local_faults(registry: &mut Registry) -> ByParty {
    let local_faults = ByParty::default();
    for party in LocalParty::ALL {
        drop(local_faults.get_or_create(&[("party", party.as_str())]));
    }
    registry.register(
        "dps_local_faults",
        "Calls that our own machine could not make: no descriptor, memory, port or route",
        local_faults.clone(),
    );
    local_faults
}

#[cfg(test)]
mod tests {
    use dps_application::ports::fleet::Comparison;
    use dps_domain::limits::LimitKind;

    use super::*;

    fn has(metrics: &Metrics, line: &str) {
        let text = metrics.encode().unwrap();
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }

    #[test]
    fn the_names_are_the_agreed_ones_and_start_at_zero() {
        let metrics = Metrics::new();
        for name in [
            "domain_verification_total",
            "acme_issuance_total",
            "renewal_total",
            "dps_acme_renewal_info_polls_total",
        ] {
            has(&metrics, &format!("{name}{{result=\"success\"}} 0"));
            has(&metrics, &format!("{name}{{result=\"failed\"}} 0"));
        }
        has(&metrics, "certificate_expiry_days NaN");
        has(&metrics, "dps_cabinet_outbox_waiting_seconds 0.0");
        assert!(metrics.encode().unwrap().ends_with("# EOF\n"));
    }

    #[test]
    fn each_result_counts_on_its_own() {
        let metrics = Metrics::new();
        metrics.domain_verification(true);
        metrics.domain_verification(true);
        metrics.domain_verification(false);
        metrics.acme_issuance(false);
        metrics.acme_wait(AcmeWait::Limit(LimitKind::NewOrders));
        has(&metrics, "dps_acme_waits_total{limit=\"new_orders\"} 1");
        has(&metrics, "dps_acme_waits_total{limit=\"name_blocked\"} 0");
        metrics.clone().renewal(true);
        has(&metrics, "domain_verification_total{result=\"success\"} 2");
        has(&metrics, "domain_verification_total{result=\"failed\"} 1");
        has(&metrics, "acme_issuance_total{result=\"failed\"} 1");
        has(&metrics, "renewal_total{result=\"success\"} 1");
        has(&Metrics::new(), "renewal_total{result=\"success\"} 0");
    }

    #[test]
    fn the_ca_is_up_while_it_answers_whatever_it_says() {
        let metrics = Metrics::new();
        has(&metrics, "dps_acme_up NaN");
        for (result, up) in [
            (AcmeResult::Success, "1.0"),
            (AcmeResult::NoAnswer, "0.0"),
            (AcmeResult::Limited, "1.0"),
            (AcmeResult::ServerError, "0.0"),
            (AcmeResult::Refused, "1.0"),
        ] {
            metrics.acme_request(Endpoint::NewOrder, result, Duration::from_millis(20));
            has(&metrics, &format!("dps_acme_up {up}"));
            let result = result.as_str();
            has(
                &metrics,
                &format!("dps_acme_requests_total{{endpoint=\"new_order\",result=\"{result}\"}} 1"),
            );
        }
        has(
            &metrics,
            "dps_acme_request_duration_seconds_count{endpoint=\"new_order\"} 5",
        );
    }

    #[test]
    fn each_step_and_each_part_of_an_onboarding_has_its_own_duration() {
        let metrics = Metrics::new();
        metrics.step(Lane::Urgent, &Action::ProbeHttp, Duration::from_millis(7));
        metrics.onboarding(Milestone::Active, Duration::from_secs(20));
        has(
            &metrics,
            "dps_step_duration_seconds_bucket{le=\"0.01\",lane=\"urgent\",step=\"probe_http\"} 1",
        );
        has(
            &metrics,
            "dps_time_to_active_seconds_bucket{le=\"15.0\",step=\"active\"} 0",
        );
        has(
            &metrics,
            "dps_time_to_active_seconds_sum{step=\"active\"} 20.0",
        );
    }

    #[test]
    fn the_last_survey_replaces_the_one_before() {
        let metrics = Metrics::new();
        let mut survey = Survey::default();
        for in_last_place in [3, 1] {
            survey.by_share[1] = 1;
            survey.by_share[9] = in_last_place;
            survey.late_for_customers = in_last_place;
            metrics.certificates(survey.clone());
        }
        has(&metrics, "dps_certificate_remaining_ratio_count 2");
        has(&metrics, "dps_certificates_late_for_customers 1");
        has(
            &metrics,
            "dps_certificate_remaining_ratio_bucket{le=\"0.1\"} 1",
        );
        has(&metrics, "dps_renewal_info_fresh_ratio NaN");
        has(&metrics, "dps_renewal_info_overdue_ratio NaN");
        (survey.fresh, survey.overdue) = (4, 1);
        metrics.certificates(survey);
        has(&metrics, "dps_renewal_info_fresh_ratio 1.0");
        has(&metrics, "dps_renewal_info_overdue_ratio 0.25");
    }

    #[test]
    fn each_lane_shows_its_steps_under_way_and_the_wait_of_its_oldest_work() {
        let metrics = Metrics::new();
        has(&metrics, "dps_work_in_flight{lane=\"urgent\"} 0");
        metrics.under_way(Lane::Urgent, 3);
        has(&metrics, "dps_work_in_flight{lane=\"urgent\"} 3");
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let lane = Lane::Chronic;
        metrics.oldest_due(lane, Some(Timestamp::from_unix_seconds(1_799_999_990)), now);
        has(
            &metrics,
            "dps_work_oldest_due_seconds{lane=\"chronic\"} 10.0",
        );
        metrics.oldest_due(lane, Some(Timestamp::from_unix_seconds(1_800_000_001)), now);
        has(
            &metrics,
            "dps_work_oldest_due_seconds{lane=\"chronic\"} 0.0",
        );
        metrics.oldest_due(lane, None, now);
        has(
            &metrics,
            "dps_work_oldest_due_seconds{lane=\"chronic\"} 0.0",
        );
    }

    #[test]
    fn what_is_left_of_a_limit_appears_under_its_name_once_it_is_known() {
        let metrics = Metrics::new();
        assert!(
            !metrics
                .encode()
                .unwrap()
                .contains("dps_acme_limit_remaining{")
        );
        let left = |remaining, empty_in| LimitGauges {
            kind: LimitKind::NewOrders,
            remaining,
            capacity: 300,
            empty_in,
        };
        metrics.limit(&left(300, None));
        metrics.limit(&left(299, Some(f64::INFINITY)));
        for (name, value) in [
            ("remaining", "299"),
            ("capacity", "300"),
            ("empty_in_seconds", "inf"),
        ] {
            let line = format!("dps_acme_limit_{name}{{limit=\"new_orders\"}} {value}");
            has(&metrics, &line);
        }
    }

    #[test]
    fn each_edge_of_the_fleet_has_a_gauge_and_one_that_left_has_none() {
        let metrics = Metrics::new();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let edge = |name: &str| KnownEdge {
            approved_at: Some(Timestamp::EPOCH),
            name: name.to_owned(),
            reachability: Reachability::default(),
            problem: None,
            first_seen_at: now,
            listed_at: now,
            compared: Some(Comparison {
                at: now,
                certificates: 5,
                refused: 2,
                unknown: 1,
            }),
        };
        let known = [edge("http://one"), edge("http://two")];
        metrics.edges(&["http://one", "http://two"], &known, |_| false);
        has(&metrics, "dps_edge_live{edge=\"http://one\"} 0");
        has(
            &metrics,
            "dps_edge_certificates_expected{edge=\"http://two\"} 5",
        );
        has(
            &metrics,
            "dps_edge_certificates_refused{edge=\"http://two\"} 2",
        );
        has(
            &metrics,
            "dps_edge_certificates_unknown{edge=\"http://two\"} 1",
        );
        metrics.edges(&["http://one"], &known, |_| true);
        has(&metrics, "dps_edge_live{edge=\"http://one\"} 1");
        assert!(!metrics.encode().unwrap().contains("http://two"));
        metrics.edge_filled(7, 1);
        has(
            &metrics,
            "dps_edge_reconcile_deployments_total{result=\"success\"} 7",
        );
        has(
            &metrics,
            "dps_edge_reconcile_deployments_total{result=\"failed\"} 1",
        );
    }

    #[test]
    fn faults_of_our_own_machine_and_of_each_resolver_are_counted() {
        let metrics = Metrics::new();
        has(&metrics, "dps_local_faults_total{party=\"dns\"} 0");
        metrics.local_fault(LocalParty::Probe);
        has(&metrics, "dps_local_faults_total{party=\"probe\"} 1");
        metrics.local_fault(LocalParty::Cabinet);
        has(&metrics, "dps_local_faults_total{party=\"cabinet\"} 1");
        let address = SocketAddr::from(([192, 0, 2, 53], 53));
        let status = |problem: Option<&str>| ResolverStatus {
            address,
            problem: problem.map(str::to_owned),
        };
        metrics.resolvers(&[status(None)]);
        has(
            &metrics,
            "dps_dns_resolver_up{resolver=\"192.0.2.53:53\"} 1",
        );
        has(
            &metrics,
            "dps_dns_resolver_failures_total{resolver=\"192.0.2.53:53\"} 0",
        );
        metrics.resolver_failed(address);
        metrics.resolvers(&[status(Some("it does not answer"))]);
        has(
            &metrics,
            "dps_dns_resolver_up{resolver=\"192.0.2.53:53\"} 0",
        );
        has(
            &metrics,
            "dps_dns_resolver_failures_total{resolver=\"192.0.2.53:53\"} 1",
        );
    }

    #[test]
    fn the_expiry_is_in_days_even_when_it_has_passed() {
        let metrics = Metrics::new();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        metrics.certificate_expiry(
            Some(Timestamp::from_unix_seconds(1_800_000_000 + 36 * 3600)),
            now,
        );
        has(&metrics, "certificate_expiry_days 1.5");
        metrics.certificate_expiry(
            Some(Timestamp::from_unix_seconds(1_800_000_000 - 86_400)),
            now,
        );
        has(&metrics, "certificate_expiry_days -1.0");
        metrics.certificate_expiry(None, now);
        has(&metrics, "certificate_expiry_days NaN");
    }
}
