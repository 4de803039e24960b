//! Does our responder answer at every address that the name publishes, through the real path?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use dps_domain::dns::DnsVerdict;
use dps_domain::probe::{self, ProbeObservation};
use dps_domain::{Event, Failure};
use futures_util::future::join_all;
use serde_json::json;

use super::check_dns::{departed, instruction_addresses, look, nothing_new};
use super::{Fault, Outcome, StepContext, Then, edges};

/// More addresses than any edge fleet publishes under one name; a customer's list beyond it is not connected to.
const MAX_ADDRESSES: usize = 64;

pub(super) async fn probe_http(context: &StepContext<'_>) -> Outcome {
    match probe(context).await {
        Ok(Probed { addresses, .. }) => Outcome::Moved {
            event: Event::HttpReady,
            kind: "http.ready",
            detail: json!({ "addresses": addresses }),
        },
        Err(Unready {
            failure,
            then,
            edge_addresses,
        }) => nothing_new(context, &failure)
            .unwrap_or_else(|| context.failed_with(failure, then, &edge_addresses)),
    }
}

/// Our responder was seen.
pub(super) struct Probed {
    /// At these addresses, but for those of ours at which an absent edge is.
    addresses: BTreeSet<IpAddr>,
    /// How many edges were absent.
    pub(super) absent: usize,
}

/// Why our responder was not seen at every address.
pub(super) struct Unready {
    pub(super) failure: Failure,
    then: Then,
    /// What the customer's instruction may name.
    edge_addresses: Vec<IpAddr>,
}

/// Looks at DNS again, and fetches a random token of ours from every address.
pub(super) async fn probe(context: &StepContext<'_>) -> Result<Probed, Unready> {
    let (verdict, views) = look(context).await;
    let unready = |failure, then| Unready {
        failure,
        then,
        edge_addresses: instruction_addresses(context, &views),
    };
    let (addresses, ours) = match verdict {
        DnsVerdict::PointsAtUs { addresses, edges } => (addresses, edges),
        DnsVerdict::NotReady(failure) if failure.counts_against_domain() => {
            return Err(unready(departed(context, failure), Then::RecheckDns));
        }
        DnsVerdict::NotReady(failure) => return Err(unready(failure, Then::Retry)),
    };
    if addresses.len() > MAX_ADDRESSES {
        let stray = addresses.into_iter().skip(MAX_ADDRESSES).collect();
        // Not back to the DNS check, which has nothing against them: passing it would count as progress.
        return Err(unready(Failure::DnsStrayAddress { stray }, Then::Retry));
    }
    let absent = probe_all(context, &addresses, &ours)
        .await
        .map_err(|(failure, then)| unready(failure, then))?;
    Ok(Probed { addresses, absent })
}

async fn probe_all(
    context: &StepContext<'_>,
    addresses: &BTreeSet<IpAddr>,
    ours: &BTreeSet<IpAddr>,
) -> Result<usize, (Failure, Then)> {
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
    let published = published.map_err(|error| (Fault::from(error).into_failure(), Then::Retry))?;
    let absent = published.map_err(|unreached| {
        let then = unreached.then();
        (unreached.into_failure(), then)
    })?;
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
    probe::verdict(&seen, ours, absent).map_err(|failure| (failure, Then::Retry))?;
    Ok(absent)
}
