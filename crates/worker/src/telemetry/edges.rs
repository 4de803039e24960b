//! Metrics of each edge of the fleet.

use dps_application::ports::fleet::KnownEdge;
use dps_domain::Timestamp;
use dps_domain::reachability::Reachability;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// By edge. Fleets are small, and their names are the operator's.
type ByEdge = Family<[(&'static str, String); 1], Gauge>;

/// The gauges of the edges.
#[derive(Debug, Clone, Default)]
pub(super) struct EdgeGauges {
    live: ByEdge,
    certificates: ByEdge,
    refused: ByEdge,
    unknown: ByEdge,
    compared_at: ByEdge,
}

impl EdgeGauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        for (name, help, family) in [
            (
                "dps_edge_live",
                "1 for an edge that certificates and challenges are waited for, 0 for one that is left out until it returns",
                &gauges.live,
            ),
            (
                "dps_edge_certificates_expected",
                "Certificates that the edge should have held when it was last compared",
                &gauges.certificates,
            ),
            (
                "dps_edge_certificates_refused",
                "Of these, those that it would not take",
                &gauges.refused,
            ),
            (
                "dps_edge_certificates_unknown",
                "Certificates that it held then and that we know nothing of",
                &gauges.unknown,
            ),
            (
                "dps_edge_compared_timestamp_seconds",
                "End of the edge's last comparison with the store; before the first, when it joined the fleet",
                &gauges.compared_at,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        gauges
    }

    /// Sets the gauges of the edges in the fleet, and forgets those of others.
    pub(super) fn set(
        &self,
        members: &[&str],
        known: &[KnownEdge],
        is_live: impl Fn(Reachability) -> bool,
    ) {
        for family in [
            &self.live,
            &self.certificates,
            &self.refused,
            &self.unknown,
            &self.compared_at,
        ] {
            family.clear();
        }
        for edge in known
            .iter()
            .filter(|edge| members.contains(&edge.name.as_str()))
        {
            let label = [("edge", edge.name.clone())];
            let set = |family: &ByEdge, value: u64| {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                family.get_or_create(&label).set(value);
            };
            set(&self.live, is_live(edge.reachability).into());
            // An edge that is never compared must not hide behind an absent gauge.
            let joined = edge
                .first_seen_at
                .max(edge.approved_at.unwrap_or(Timestamp::EPOCH));
            let compared_at = edge
                .compared
                .as_ref()
                .map_or(joined, |compared| compared.at);
            let at = compared_at.unix_seconds().max(0).unsigned_abs();
            set(&self.compared_at, at);
            if let Some(compared) = &edge.compared {
                set(&self.certificates, compared.certificates);
                set(&self.refused, compared.refused);
                set(&self.unknown, compared.unknown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_was_never_compared_shows_when_it_joined_the_fleet() {
        let at = Timestamp::from_unix_seconds;
        for (approved_at, joined) in [
            (None, 1_000),
            (Some(at(10)), 1_000),
            (Some(at(2_000)), 2_000),
        ] {
            let gauges = EdgeGauges::default();
            let edge = KnownEdge {
                name: "http://one".to_owned(),
                reachability: Reachability::default(),
                problem: None,
                first_seen_at: at(1_000),
                listed_at: at(5_000),
                approved_at,
                compared: None,
            };
            gauges.set(&["http://one"], &[edge], |_| true);
            let label = [("edge", "http://one".to_owned())];
            assert_eq!(
                gauges.compared_at.get(&label).map(|gauge| gauge.get()),
                Some(joined)
            );
            assert!(gauges.certificates.get(&label).is_none());
        }
    }
}
