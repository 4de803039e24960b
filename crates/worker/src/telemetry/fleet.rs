//! The number of domains by status and by failure code, as one replica counted them for all.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use dps_application::ports::fleet_view::FleetCounts;
use dps_domain::action::ActionScope;
use dps_domain::pause::Pause;
use dps_domain::{FailureCode, Status, Timestamp};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::units::unix_seconds;

type ByWord = Family<[(&'static str, &'static str); 1], Gauge>;

/// All of the fleet.
#[derive(Debug, Clone)]
pub(super) struct FleetMetrics {
    domains: ByWord,
    failures: ByWord,
    paused: ByWord,
    pauses: ByWord,
    freeze_until: Gauge<f64, AtomicU64>,
    counted_at: Gauge<f64, AtomicU64>,
}

impl FleetMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            domains: ByWord::default(),
            failures: ByWord::default(),
            paused: ByWord::default(),
            pauses: ByWord::default(),
            freeze_until: Gauge::default(),
            counted_at: Gauge::default(),
        };
        metrics.counted_at.set(f64::NAN);
        registry.register(
            "dps_domains",
            "Domains by status, as of the last count; absent before the first",
            metrics.domains.clone(),
        );
        registry.register(
            "dps_failures",
            "Domains by the code of their last failure, as of the last count; absent before the first",
            metrics.failures.clone(),
        );
        registry.register(
            "dps_paused_domains",
            "Domains whose order waits for the end of a pause of issuance, as of the last count; absent before the first",
            metrics.paused.clone(),
        );
        registry.register(
            "dps_issuance_pauses",
            "Pauses of issuance in force, by what they cover; counted up to 1000",
            metrics.pauses.clone(),
        );
        registry.register(
            "dps_renewal_freeze_until_timestamp_seconds",
            "End of the freeze of renewals in force, as a UNIX time; 0 without one",
            metrics.freeze_until.clone(),
        );
        registry.register(
            "dps_domains_counted_timestamp_seconds",
            "When the domains were last counted; NaN before the first time",
            metrics.counted_at.clone(),
        );
        metrics
    }

    /// Shows every status and code, so that one without domains goes down to 0.
    pub(super) fn set(&self, counted: &FleetCounts) {
        let (mut by_status, mut by_code) = (BTreeMap::new(), BTreeMap::new());
        for count in &counted.counts {
            *by_status.entry(count.state.status.as_str()).or_insert(0) += count.domains;
            if let Some(code) = count.state.code {
                *by_code.entry(code).or_insert(0) += count.domains;
            }
        }
        for status in Status::ALL.map(Status::as_str) {
            let domains = by_status.get(status).copied().unwrap_or(0);
            let gauge = self.domains.get_or_create(&[("status", status)]);
            gauge.set(i64::try_from(domains).unwrap_or(i64::MAX));
        }
        for code in FailureCode::ALL {
            let domains: u64 = by_code.get(code).copied().unwrap_or(0);
            let gauge = self.failures.get_or_create(&[("code", code.as_str())]);
            gauge.set(i64::try_from(domains).unwrap_or(i64::MAX));
        }
        let paused = (counted.counts.iter())
            .filter(|count| count.state.code == Some(FailureCode::IssuancePaused));
        let (mut first, mut renewals) = (0, 0);
        for count in paused {
            let of = if count.state.status == Status::Active {
                &mut renewals
            } else {
                &mut first
            };
            *of += count.domains;
        }
        for (order, domains) in [("first", first), ("renewal", renewals)] {
            let gauge = self.paused.get_or_create(&[("order", order)]);
            gauge.set(i64::try_from(domains).unwrap_or(i64::MAX));
        }
        self.counted_at.set(unix_seconds(counted.counted_at));
    }

    /// Shows the end of the freeze in force.
    pub(super) fn set_freeze(&self, until: Option<Timestamp>) {
        self.freeze_until.set(until.map_or(0.0, unix_seconds));
    }

    /// Shows the number of pauses of each scope.
    pub(super) fn set_pauses(&self, pauses: &[Pause]) {
        for scope in [ActionScope::All, ActionScope::Tenant, ActionScope::Domain] {
            let found = pauses.iter().filter(|pause| pause.scope.kind() == scope);
            let gauge = self.pauses.get_or_create(&[("scope", scope.as_str())]);
            gauge.set(i64::try_from(found.count()).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::failure::Actor;
    use dps_domain::fleet::{DomainState, StateCount};
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn each_status_and_code_is_summed_and_goes_back_to_zero() {
        let mut registry = Registry::default();
        let metrics = FleetMetrics::register(&mut registry);
        let count = |status, code, domains| StateCount {
            state: DomainState {
                status,
                actor: Some(Actor::Customer),
                code,
            },
            domains,
        };
        let missing = Some(FailureCode::DnsNxdomain);
        let counts = vec![
            count(Status::PendingDns, missing, 3),
            count(Status::PendingDns, None, 2),
            count(Status::Active, missing, 1),
        ];
        let counted_at = Timestamp::from_unix_seconds(1_800_000_000);
        metrics.set(&FleetCounts { counted_at, counts });
        let shown = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        for line in [
            "dps_domains{status=\"PendingDns\"} 5",
            "dps_domains{status=\"Failed\"} 0",
            "dps_failures{code=\"DNS_NXDOMAIN\"} 4",
            "dps_domains_counted_timestamp_seconds 1800000000.0",
        ] {
            let text = shown();
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        for (until, line) in [(Some(counted_at), "1800000000.0"), (None, "0.0")] {
            metrics.set_freeze(until);
            let line = format!("dps_renewal_freeze_until_timestamp_seconds {line}\n");
            assert!(shown().contains(&line), "{line}");
        }
        let counts = vec![];
        metrics.set(&FleetCounts { counted_at, counts });
        assert!(shown().contains("dps_failures{code=\"DNS_NXDOMAIN\"} 0\n"));
    }
}
