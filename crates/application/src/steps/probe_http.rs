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
use dps_domain::outcome::{Outcome, Then};

pub(super) async fn probe_http(context: &StepContext<'_>) -> Outcome {
    match probe(context).await {
        Ok(Probed { addresses, .. }) => Outcome::Moved {
            event: Event::HttpReady,
            kind: EventKind::HttpReady,
            detail: json!({ "addresses": addresses.iter().take(MAX_ADDRESSES).collect::<Vec<_>>() }),
        },
        Err(Unready::Failed { failure, then }) => {
            nothing_new(context, &failure).unwrap_or_else(|| Outcome::failed(failure, then))
        }
        Err(Unready::Local { party, detail }) => context.local_fault(party, &detail),
    }
}

/// Our responder was seen.
pub(super) struct Probed {
    /// At these addresses, but for those of ours at which an unreachable edge is.
    addresses: BTreeSet<IpAddr>,
    /// How many edges were unreachable.
    pub(super) unreachable: usize,
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
    let unreachable =
        probe_all(context, &addresses, &ours)
            .await
            .map_err(|stopped| match stopped {
                Stopped::Failed(failure, then) => unready(failure, then),
                Stopped::Local { party, detail } => Unready::Local { party, detail },
            })?;
    Ok(Probed {
        addresses,
        unreachable,
    })
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
) -> Result<usize, Stopped> {
    let service = context.service;
    let mut random = [0; 32];
    service.randomness.fill(&mut random);
    let hex = random.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (token, body) = (
        format!("probe-{}", &hex[..32]),
        format!("dps-probe.{}", &hex[32..]),
    );
    let published = edges::publish(service, &token, &body).await;
    let published = published
        .map_err(|error| Stopped::Failed(Fault::from(error).into_failure(), Then::Retry))?;
    let unreachable = published?;
    let host = &context.record.hostname;
    let seen: Vec<ProbeObservation> = join_all(addresses.iter().map(|address| async {
        ProbeObservation {
            address: *address,
            answer: service.probe.probe(host, *address, &token, &body).await,
        }
    }))
    .await;
    edges::withdraw(service, &token).await;
    context.evidence.probes(&seen);
    if let Some(detail) = probe::local_fault(&seen) {
        return Err(Stopped::Local {
            party: LocalParty::Probe,
            detail: detail.to_owned(),
        });
    }
    probe::verdict(&seen, ours, unreachable)
        .map_err(|failure| Stopped::Failed(failure, Then::Retry))?;
    Ok(unreachable)
}
