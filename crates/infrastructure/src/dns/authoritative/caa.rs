//! The CAA records of a name and of every name above it, at the servers of their zones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dps_domain::Hostname;
use dps_domain::caa::{CaaAnswer, CaaLookup, CaaObservation};
use dps_domain::dns::DnsAnswer;
use futures_util::future::join_all;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::Instant;

use super::{AuthoritativeServers, Zone, registered_labels};
use crate::dns::caa::{at_the_end, one};
use crate::dns::chain::{Chain, follow, text};
use crate::dns::name;
use crate::dns::query::Upstream;

/// Names that are looked up at the servers, from the hostname to its registered domain. A hostname
/// with more labels is left to the resolvers.
const MAX_NAMES: usize = 6;
/// Zones through which the aliases of one name are followed at their servers. The resolver follows
/// the rest.
const MAX_ZONES: usize = 3;
/// Names outside a zone that are followed, where its servers disagree.
const MAX_ENDS: usize = 2;

/// A zone, and the servers that may be queried for it.
struct ServedZone {
    zone: Zone,
    servers: Vec<SocketAddr>,
}

/// The answer of one server: where its chain led, and the records there. `None` if the chain leaves
/// the zone.
struct ServerReply {
    server: SocketAddr,
    chain: Chain,
    found: Result<Option<CaaAnswer>, DnsAnswer>,
}

impl AuthoritativeServers {
    /// Queries each name at or above `host` at the servers of its zone; none if no zone is known.
    pub(super) async fn walk_tree(
        &self,
        upstream: &Upstream,
        host: &Hostname,
        start: &Name,
        deadline: Instant,
    ) -> Vec<CaaObservation> {
        let labels = usize::from(start.num_labels());
        let top = registered_labels(host, start);
        if labels - top >= MAX_NAMES {
            return vec![];
        }
        let zones = Zone::find_all(upstream, host, start, deadline).await;
        if zones.is_empty() {
            return vec![];
        }
        let zones = zones
            .into_iter()
            .map(|zone| self.serve(upstream, zone, deadline));
        let zones = join_all(zones).await;
        let names = (top..=labels).rev().map(|labels| start.trim_to(labels));
        let of_names = join_all(names.map(|name| {
            let mut at_or_above = zones
                .iter()
                .filter(|served| served.zone.name.zone_of(&name));
            let nearest = at_or_above.next().cloned();
            self.look_up_name(upstream, name, nearest, deadline)
        }));
        // The servers of a top-level domain are not the customer's.
        let above = (1..top).rev().map(|labels| start.trim_to(labels));
        let above = join_all(above.map(|name| one(upstream, name, deadline)));
        let (of_names, above) = tokio::join!(of_names, above);
        let above = above.into_iter().map(|lookup| (upstream.address(), lookup));
        by_server(of_names.into_iter().flatten().chain(above))
    }

    async fn serve(&self, upstream: &Upstream, zone: Zone, deadline: Instant) -> Arc<ServedZone> {
        let (servers, _) = self.addresses(upstream, &zone, deadline).await;
        Arc::new(ServedZone { zone, servers })
    }

    /// Queries one name at the servers of its zone, and follows aliases to the servers of theirs.
    async fn look_up_name(
        &self,
        upstream: &Upstream,
        name: Name,
        zone: Option<Arc<ServedZone>>,
        deadline: Instant,
    ) -> Vec<(SocketAddr, CaaLookup)> {
        let mut open = Vec::from_iter(zone.map(|zone| (Chain::from(&name), zone)));
        let (mut lookups, mut rest) = (Vec::new(), Vec::new());
        for _ in 0..MAX_ZONES {
            let replies = open.drain(..).map(|(chain, zone)| async move {
                self.query_servers(&chain, &zone, deadline).await
            });
            let mut outside = BTreeMap::new();
            for reply in join_all(replies).await.into_iter().flatten() {
                let answer = match reply.found {
                    Ok(Some(answer)) => answer,
                    Ok(None) => {
                        outside.insert(reply.chain.end.clone(), reply.chain);
                        continue;
                    }
                    Err(failed) => CaaAnswer::Failed(failed),
                };
                lookups.push((reply.server, lookup(&name, reply.chain, answer)));
            }
            let zones = outside.into_values().take(MAX_ENDS).map(|chain| async {
                let zone = self.zone_of(upstream, &chain.end, deadline).await;
                (chain, zone)
            });
            for (chain, zone) in join_all(zones).await {
                match zone.filter(|served| !served.servers.is_empty()) {
                    Some(zone) => open.push((chain, zone)),
                    None => rest.push(chain),
                }
            }
        }
        rest.extend(open.into_iter().map(|(chain, _)| chain));
        let of_name = &name;
        let rest = join_all(rest.into_iter().map(|chain| async move {
            let kind = RecordType::CAA;
            let (beyond, found) = follow(upstream, &chain.end, kind, deadline, at_the_end).await;
            let ttl = chain.ttl().max(beyond.ttl());
            let answer = found.unwrap_or_else(CaaAnswer::Failed);
            let so_far = lookup(of_name, chain, answer);
            let whole = CaaLookup {
                chain: [so_far.chain, beyond.hops].concat(),
                ttl,
                ..so_far
            };
            (upstream.address(), whole)
        }));
        lookups.extend(rest.await);
        lookups
    }

    /// The zone of a name to which an alias leads; `None` if it is not known.
    async fn zone_of(
        &self,
        upstream: &Upstream,
        end: &Name,
        deadline: Instant,
    ) -> Option<Arc<ServedZone>> {
        let host = Hostname::parse(&text(end)).ok()?;
        let zone = Zone::find(upstream, &host, &name(&host)?, deadline).await?;
        Some(self.serve(upstream, zone, deadline).await)
    }

    /// Follows a chain at each server of a zone.
    async fn query_servers(
        &self,
        chain: &Chain,
        served: &ServedZone,
        deadline: Instant,
    ) -> Vec<ServerReply> {
        let replies = served.servers.iter().map(|server| async move {
            let at = served.zone.at(*server, deadline);
            let walk = self.walk(at, chain.clone(), RecordType::CAA, at_the_end);
            let (chain, found) = walk.await;
            ServerReply {
                server: *server,
                chain,
                found,
            }
        });
        join_all(replies).await
    }
}

fn lookup(name: &Name, chain: Chain, answer: CaaAnswer) -> CaaLookup {
    CaaLookup {
        name: text(name),
        ttl: chain.ttl(),
        chain: chain.hops,
        answer,
    }
}

/// The look-ups of each server, in the order of the names.
fn by_server(lookups: impl Iterator<Item = (SocketAddr, CaaLookup)>) -> Vec<CaaObservation> {
    let mut servers: BTreeMap<SocketAddr, Vec<CaaLookup>> = BTreeMap::new();
    for (server, lookup) in lookups {
        servers.entry(server).or_default().push(lookup);
    }
    let observation = |(resolver, lookups)| CaaObservation { resolver, lookups };
    servers.into_iter().map(observation).collect()
}
