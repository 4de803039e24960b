//! Compares `docs/reference/metrics.md` with the registry and with the scopes that are listed here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dps_application::ports::Metrics as _;
use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_application::ports::fleet_view::FleetCounts;
use dps_application::ports::metrics::{AcmeMetrics as _, AcmeResult, Milestone};
use dps_application::resolvers::ResolverStatus;
use dps_application::survey::Survey;
use dps_domain::Timestamp;
use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use dps_domain::limits::{Endpoint, LimitKind};
use dps_domain::reachability::Reachability;
use dps_store::{Operation, OperationTimes as _};

use super::{LimitGauges, Metrics};

const REWRITE: &str = "DPS_REWRITE_METRICS";
const HEAD: &str = "# Metrics of the service

`/metrics` of `dps run` and `dps standalone`. `DPS_REWRITE_METRICS=1 cargo test -p dps-worker --lib metrics_reference`
writes this list. [OPERATIONS.md](../OPERATIONS.md) says what each means, and what to do.

- *Process*: each replica counts its own work. *Fleet*: read from the store, so every replica shows the same value.
- *Over replicas*: how to make one value of those of all replicas. A rate comes first, as in `sum(rate(…[5m]))`.
- The seed's four names are the first four. `certificate_expiry_days` is in days, not in seconds, against the rules of
  Prometheus. Names of ours begin with `dps_`.
- Durations and shares are histograms with fixed buckets. No label has a value per hostname or tenant.

| Metric | Type | Labels | Of | Over replicas |
| --- | --- | --- | --- | --- |
";

/// The scope of a metric, and how its values at all replicas are aggregated.
#[derive(Clone, Copy)]
enum Scope {
    /// Each replica counts its own.
    Process(&'static str),
    /// Every replica shows the same value.
    Fleet(&'static str),
}
use Scope::{Fleet, Process};

const SUM: Scope = Process("`sum`");
const MAX: Scope = Fleet("`max`");
const EACH: Scope = Process("by `instance`");

/// In the order of the document.
const METRICS: [(&str, &str, Scope); 58] = [
    ("domain_verification_total", "`result`", SUM),
    ("acme_issuance_total", "`result`", SUM),
    ("renewal_total", "`result`", SUM),
    ("certificate_expiry_days", "", Fleet("`min`")),
    ("dps_domains", "`status`", MAX),
    ("dps_failures", "`code`", MAX),
    ("dps_paused_domains", "`order`", MAX),
    ("dps_issuance_pauses", "`scope`", MAX),
    ("dps_renewal_freeze_until_timestamp_seconds", "", EACH),
    ("dps_domains_counted_timestamp_seconds", "", MAX),
    (
        "dps_certificate_remaining_ratio",
        "",
        Fleet("`max by (le)`"),
    ),
    ("dps_certificates_late_for_customers", "", MAX),
    ("dps_paused_renewals_late", "", MAX),
    ("dps_certificates_surveyed_timestamp_seconds", "", MAX),
    ("dps_time_to_active_seconds", "`step`", SUM),
    ("dps_step_duration_seconds", "`lane`, `step`", SUM),
    ("dps_work_in_flight", "`lane`", SUM),
    ("dps_work_oldest_due_seconds", "`lane`", MAX),
    ("dps_acme_up", "", Process("`max`")),
    ("dps_acme_account_usable", "", Process("`max`")),
    ("dps_acme_requests_total", "`endpoint`, `result`", SUM),
    ("dps_acme_request_duration_seconds", "`endpoint`", SUM),
    ("dps_acme_waits_total", "`limit`", SUM),
    ("dps_acme_limit_remaining", "`limit`", MAX),
    ("dps_acme_limit_capacity", "`limit`", MAX),
    ("dps_acme_limit_empty_in_seconds", "`limit`", Fleet("`min`")),
    ("dps_acme_orders_waiting", "", MAX),
    ("dps_acme_order_queue_seconds", "", MAX),
    ("dps_acme_renewal_info_polls_total", "`result`", SUM),
    ("dps_renewal_info_fresh_ratio", "", MAX),
    ("dps_renewal_info_overdue_ratio", "", MAX),
    ("dps_clock_ahead_of_ca_seconds", "", EACH),
    ("dps_edge_live", "`edge`", Fleet("`min`")),
    ("dps_edge_certificates_expected", "`edge`", MAX),
    ("dps_edge_certificates_refused", "`edge`", MAX),
    ("dps_edge_certificates_unknown", "`edge`", MAX),
    ("dps_edge_compared_timestamp_seconds", "`edge`", MAX),
    ("dps_edge_reconcile_deployments_total", "`result`", SUM),
    ("dps_agent_tls_not_after_timestamp_seconds", "", EACH),
    ("dps_cabinet_up", "", Process("`max`")),
    (
        "dps_cabinet_last_intake_timestamp_seconds",
        "",
        Process("`max`"),
    ),
    ("dps_cabinet_events_total", "`event`", SUM),
    ("dps_cabinet_outbox_reports", "", MAX),
    ("dps_cabinet_outbox_waiting_seconds", "", MAX),
    ("dps_cabinet_items_unusable", "", Process("`max`")),
    ("dps_removals_held", "", Process("`max`")),
    ("dps_claims_total", "`event`", SUM),
    ("dps_webhook_deliveries_total", "`result`", SUM),
    ("dps_webhook_events_waiting", "", MAX),
    ("dps_webhook_waiting_seconds", "", MAX),
    ("dps_dns_lookup_duration_seconds", "`operation`", SUM),
    ("dps_dns_resolver_up", "`resolver`", EACH),
    ("dps_dns_resolver_failures_total", "`resolver`", SUM),
    ("dps_store_up", "", EACH),
    ("dps_store_duration_seconds", "`operation`", SUM),
    ("dps_secrets_under_old_keys", "", MAX),
    ("dps_local_faults_total", "`party`", SUM),
    ("dps_build_info", "`version`", EACH),
];

/// Metrics that all have a value, since those without one are not shown.
fn fed() -> Metrics {
    let (metrics, second) = (Metrics::new(), Duration::from_secs(1));
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    metrics.step(Lane::Renewal, &Action::ProbeHttp, second);
    metrics.onboarding(Milestone::Active, second);
    metrics.acme_request(Endpoint::NewOrder, AcmeResult::Success, second);
    metrics.oldest_due(Lane::Renewal, None, now);
    metrics.certificates(Survey::default());
    metrics.pauses(&[]);
    metrics.fleet(&FleetCounts {
        counted_at: now,
        counts: vec![],
    });
    metrics.limit(&LimitGauges {
        kind: LimitKind::NewOrders,
        remaining: 1,
        capacity: 2,
        empty_in: Some(3.0),
    });
    metrics.lookups.0.observe(0, second);
    metrics.store().took(Operation::Read, second);
    metrics.resolvers(&[ResolverStatus {
        address: SocketAddr::from(([192, 0, 2, 53], 53)),
        problem: None,
    }]);
    let edge = KnownEdge {
        name: "http://one".to_owned(),
        reachability: Reachability::default(),
        problem: None,
        first_seen_at: now,
        listed_at: now,
        approved_at: Some(now),
        compared: Some(Comparison {
            at: now,
            certificates: 1,
            refused: 0,
            unknown: 0,
        }),
    };
    metrics.edges(&["http://one"], &[edge], |_| true);
    metrics
}

/// The type of every registered metric, by its name in the Prometheus format.
fn registered() -> BTreeMap<String, String> {
    let text = fed().encode().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types = types.filter_map(|rest| rest.split_once(' '));
    let named = |(name, kind): (&str, &str)| match kind {
        "counter" => (format!("{name}_total"), kind.to_owned()),
        "info" => (format!("{name}_info"), "gauge".to_owned()),
        _ => (name.to_owned(), kind.to_owned()),
    };
    types.map(named).collect()
}

#[test]
fn metrics_reference_is_what_is_registered() {
    let mut registered = registered();
    let mut document = HEAD.to_owned();
    for (name, labels, scope) in METRICS {
        let kind = registered
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is not registered"));
        let (of, over) = match scope {
            Process(over) => ("process", over),
            Fleet(over) => ("fleet", over),
        };
        let row = format!("| `{name}` | {kind} | {labels} | {of} | {over} |");
        writeln!(document, "{}", row.replace("|  |", "| |")).unwrap();
    }
    assert!(registered.is_empty(), "not in the list: {registered:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        kept, document,
        "run this test with {REWRITE}=1 and review the difference"
    );
}
