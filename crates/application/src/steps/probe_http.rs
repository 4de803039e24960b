//! Does our responder answer at every address that the name publishes, through the real path?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use dps_domain::dns::{DnsVerdict, MAX_ADDRESSES, stray_addresses};
use dps_domain::probe::{self, ProbeObservation};
use dps_domain::{Event, EventKind, Failure};
use futures_util::future::join_all;
use serde_json::json;

use super::check_dns::{keep_addresses, moved_away, nothing_new, observe_dns};
use super::context::StepContext;
use super::edges;
use super::edges::Unreached;
use super::fault::Fault;
use crate::ports::edge::EdgeDisposition;
use crate::ports::metrics::LocalParty;
use crate::service::Service;
use dps_domain::outcome::{Outcome, Then};

pub(super) async fn probe_http(context: &StepContext<'_>) -> Outcome {
    match probe(context).await {
        Ok(probed) => Outcome::Moved {
            event: Event::HttpReady,
            kind: match probed.reached {
                Reached::AllBut { .. } => EventKind::HttpReady,
                Reached::NotFromHere => EventKind::HttpInconclusive,
            },
            detail: json!({
                "addresses": probed.addresses.iter().take(MAX_ADDRESSES).collect::<Vec<_>>(),
            }),
        },
        Err(Unready::Failed { failure, then }) => {
            nothing_new(context, &failure).unwrap_or_else(|| Outcome::failed(failure, then))
        }
        Err(Unready::Local { party, detail }) => context.local_fault(party, &detail),
    }
}

/// Nothing at the name's addresses keeps the CA from our responder, as far as can be seen.
pub(super) struct Probed {
    /// The name's addresses.
    addresses: BTreeSet<IpAddr>,
    /// Whether our responder was seen there.
    pub(super) reached: Reached,
}

/// Where our responder was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// At every address, but for those of ours at which an unreachable edge is.
    AllBut {
        /// How many edges were unreachable.
        unreachable: usize,
    },
    /// Nowhere, since the service cannot reach even edges that work: hairpin NAT, or DNS of its
    /// own. The CA may well reach them.
    NotFromHere,
}

/// Why our responder was not seen at every address.
pub(super) enum Unready {
    /// Something of the catalogue.
    Failed {
        /// The failure.
        failure: Failure,
        /// The consequence.
        then: Then,
    },
    /// Our own machine could not query the DNS.
    Local {
        /// Whom it could not call.
        party: LocalParty,
        /// The system's reason.
        detail: String,
    },
}

/// Checks DNS again, and fetches our random token from every address.
pub(super) async fn probe(context: &StepContext<'_>) -> Result<Probed, Unready> {
    let (verdict, views) = observe_dns(context, context.dns_budget()).await;
    let unready = |failure, then| {
        keep_addresses(context, &views);
        Unready::Failed { failure, then }
    };
    let (addresses, ours, more) = match verdict {
        DnsVerdict::PointsAtUs {
            addresses,
            edges,
            more,
            ..
        } => (addresses, edges, more),
        DnsVerdict::NotReady(failure) if failure.counts_against_domain() => {
            return Err(unready(moved_away(context, failure), Then::RecheckDns));
        }
        DnsVerdict::NotReady(failure) => return Err(unready(failure, Then::Retry)),
        DnsVerdict::Local { detail } => {
            let party = LocalParty::Dns;
            return Err(Unready::Local { party, detail });
        }
    };
    if more > 0 || addresses.len() > MAX_ADDRESSES {
        let stray = addresses.into_iter().skip(MAX_ADDRESSES).collect();
        // Not back to the DNS check, which has nothing against them: passing it would count as
        // progress.
        return Err(unready(stray_addresses(&stray, more), Then::Retry));
    }
    let reached = probe_all(context, &addresses, &ours)
        .await
        .map_err(|stopped| match stopped {
            Stopped::Failed(failure, then) => unready(failure, then),
            Stopped::Local { party, detail } => Unready::Local { party, detail },
        })?;
    Ok(Probed { addresses, reached })
}

/// Why not every address could be called, or not every one is ours.
enum Stopped {
    Failed(Failure, Then),
    Local { party: LocalParty, detail: String },
}

impl From<Unreached> for Stopped {
    fn from(unreached: Unreached) -> Self {
        let then = unreached.then();
        match unreached.error().disposition() {
            EdgeDisposition::Local => Self::Local {
                party: LocalParty::Edge,
                detail: unreached.error().detail().to_owned(),
            },
            EdgeDisposition::Unreachable
            | EdgeDisposition::Refused
            | EdgeDisposition::Superseded => Self::Failed(unreached.into_failure(), then),
        }
    }
}

async fn probe_all(
    context: &StepContext<'_>,
    addresses: &BTreeSet<IpAddr>,
    ours: &BTreeSet<IpAddr>,
) -> Result<Reached, Stopped> {
    let service = context.service;
    let fetch = Fetch::new(service);
    let published = edges::publish(service, &fetch.token, &fetch.body).await;
    let published = published
        .map_err(|error| Stopped::Failed(Fault::from(error).into_failure(), Then::Retry))?;
    let unreachable = published?;
    let seen = fetch.from(context, addresses).await;
    context.evidence.probes(&seen);
    let verdict = match probe::local_fault(&seen) {
        Some(detail) => Err(Stopped::Local {
            party: LocalParty::Probe,
            detail: detail.to_owned(),
        }),
        None => probe::verdict(&seen, ours, unreachable)
            .map(|()| Reached::AllBut { unreachable })
            .map_err(|failure| Stopped::Failed(failure, Then::Retry)),
    };
    let verdict = match verdict {
        Err(stopped @ Stopped::Failed(..))
            if unreachable == 0 && probe::is_unanswered(&seen, ours) =>
        {
            if fetch.finds_no_edge(context, &seen, ours).await {
                Ok(Reached::NotFromHere)
            } else {
                Err(stopped)
            }
        }
        verdict => verdict,
    };
    edges::withdraw(service, &fetch.token).await;
    verdict
}

/// A random token and the answer that only our responder knows.
struct Fetch {
    token: String,
    body: String,
}

impl Fetch {
    fn new(service: &Service) -> Self {
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
    async fn from(
        &self,
        context: &StepContext<'_>,
        addresses: impl IntoIterator<Item = &IpAddr>,
    ) -> Vec<ProbeObservation> {
        let (service, host) = (context.service, &context.record.hostname);
        let fetches = addresses.into_iter().map(|address| async {
            let answer = service
                .probe
                .probe(host, *address, &self.token, &self.body)
                .await;
            ProbeObservation {
                address: *address,
                answer,
            }
        });
        join_all(fetches).await
    }

    /// Whether no edge of ours can be reached from here, although every edge works. Then only the
    /// service's place keeps it from them. `seen` is known already.
    async fn finds_no_edge(
        &self,
        context: &StepContext<'_>,
        seen: &[ProbeObservation],
        ours: &BTreeSet<IpAddr>,
    ) -> bool {
        let is_known = |address: &&IpAddr| seen.iter().any(|seen| seen.address == **address);
        let unknown = ours
            .iter()
            .filter(|address| !is_known(address))
            .take(MAX_ADDRESSES);
        let more = self.from(context, unknown).await;
        let unanswered = !ours.is_empty() && (more.is_empty() || probe::is_unanswered(&more, ours));
        if !unanswered || !edges::all_work(context.service).await {
            return false;
        }
        tracing::warn!(
            domain.id = %context.record.id, domain.hostname = %context.record.hostname,
            addresses = ?ours, "probe.edges_out_of_reach"
        );
        true
    }
}
