//! Fetches a token as a CA would, from the service or from the edges.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use dps_domain::dns::MAX_ADDRESSES;
use dps_domain::policy::Vantage;
use dps_domain::probe::{self, ProbeAnswer, ProbeObservation};
use futures_util::future::join_all;

use super::Observer;
use crate::edges::partition::{all_work, bounded, live};
use crate::ports::edge::EdgeProbe;
use crate::service::Service;

/// How many edges probe each address.
const MAX_VANTAGES: usize = 3;

/// A random token and the answer that only our responder knows.
pub(crate) struct Fetch {
    pub(crate) token: String,
    pub(crate) body: String,
}

impl Fetch {
    pub(crate) fn new(service: &Service) -> Self {
        let mut random = [0; 32];
        service.randomness.fill(&mut random);
        let hex = random.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self {
            token: format!("probe-{}", &hex[..32]),
            body: format!("dps-probe.{}", &hex[32..]),
        }
    }

    /// Fetches the token from each address at once.
    pub(crate) async fn from(
        &self,
        observer: &Observer<'_>,
        addresses: impl IntoIterator<Item = &IpAddr>,
    ) -> Vec<ProbeObservation> {
        let fetches = addresses.into_iter().map(|address| async {
            ProbeObservation {
                address: *address,
                answer: self.at(observer, *address).await,
            }
        });
        join_all(fetches).await
    }

    async fn at(&self, observer: &Observer<'_>, address: IpAddr) -> ProbeAnswer {
        let (service, host) = (observer.service, &observer.record.hostname);
        let by_edges = match service.policy.probe.vantage {
            Vantage::Service => None,
            Vantage::Edges => self.by_edges(observer, address).await,
        };
        match by_edges {
            Some(answer) => answer,
            None => {
                let probe = &service.probe;
                probe.probe(host, address, &self.token, &self.body).await
            }
        }
    }

    /// The answer that says most, of those that some edges got; `None` if no edge can probe.
    async fn by_edges(&self, observer: &Observer<'_>, address: IpAddr) -> Option<ProbeAnswer> {
        let (service, host) = (observer.service, &observer.record.hostname);
        // The service's rules about addresses hold wherever a probe is sent from.
        if let Some(kind) = service.probe.forbids(address) {
            return Some(ProbeAnswer::Forbidden { kind });
        }
        let edges = live(service).await;
        let probes = edges.iter().take(MAX_VANTAGES).map(|edge| {
            let probe = edge.probe(host, address, &self.token, &self.body);
            bounded(service, edge, probe)
        });
        let mut answers = Vec::new();
        for (edge, result) in edges.iter().zip(join_all(probes).await) {
            let problem = match result {
                Ok(EdgeProbe::Answered(answer)) => {
                    answers.push(answer);
                    continue;
                }
                Ok(EdgeProbe::Unsupported) => "the agent is too old to probe".to_owned(),
                Err(error) => error.detail().to_owned(),
            };
            tracing::warn!(edge.name = edge.name(), problem, "probe.vantage_unusable");
        }
        probe::best_answer(answers)
    }

    /// Whether no edge of ours can be reached from here, although every edge works. Then only the
    /// service's place keeps it from them. `seen` is known already.
    pub(crate) async fn finds_no_edge(
        &self,
        observer: &Observer<'_>,
        seen: &[ProbeObservation],
        ours: &BTreeSet<IpAddr>,
    ) -> bool {
        let is_known = |address: &&IpAddr| seen.iter().any(|seen| seen.address == **address);
        let unknown = ours
            .iter()
            .filter(|address| !is_known(address))
            .take(MAX_ADDRESSES);
        let more = self.from(observer, unknown).await;
        let unanswered = !ours.is_empty() && (more.is_empty() || probe::is_unanswered(&more, ours));
        if !unanswered || !all_work(observer.service).await {
            return false;
        }
        tracing::warn!(
            domain.id = %observer.record.id, domain.hostname = %observer.record.hostname,
            addresses = ?ours, "probe.edges_out_of_reach"
        );
        true
    }
}
