//! The authoritative servers of a customer's zone: found by NS records, queried one by one.
//!
//! A customer controls the servers, their addresses and their answers. So the number of servers,
//! addresses and queries is bounded, all share one deadline, and addresses of our own networks are
//! not queried. Records of names outside the zone are not taken from its servers.

mod caa;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use dps_application::ports::AuthoritativeDns;
use dps_domain::Hostname;
use dps_domain::address::refused_kind;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{
    AuthoritativeView, DnsAnswer, MAX_NAME_SERVERS, MAX_SERVER_ADDRESSES, SkippedServer,
};
use dps_domain::ownership::{TxtAnswer, TxtObservation};
use futures_util::future::{join, join_all};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use ipnet::IpNet;
use tokio::time::Instant;

use super::chain::{Chain, Outcome, end_of, follow_chain, text};
use super::combine::combine;
use super::direct::{Exchange, NoAnswer, query};
use super::query::{Answer, Reply, Upstream};
use super::{DnsSettings, name, txt};

/// Names of name servers that are kept, to recognise the provider.
const MAX_KEPT_NAMES: usize = 8;
/// The port of name servers (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// Settings for authoritative servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritativeSettings {
    /// Their port; 53 everywhere but in a lab.
    pub port: u16,
    /// Whether servers at private, loopback and other special addresses are queried.
    pub allow_private: bool,
    /// More networks in which no server is queried.
    pub forbidden_networks: Vec<IpNet>,
}

impl Default for AuthoritativeSettings {
    fn default() -> Self {
        Self {
            port: DNS_PORT,
            allow_private: false,
            forbidden_networks: Vec::new(),
        }
    }
}

/// Finds authoritative servers through the recursive resolvers, and queries them.
pub struct AuthoritativeServers {
    resolvers: Vec<Upstream>,
    dns: DnsSettings,
    settings: AuthoritativeSettings,
}

impl AuthoritativeServers {
    /// Finds servers through the resolvers at these addresses.
    pub fn new(
        resolvers: impl IntoIterator<Item = SocketAddr>,
        dns: DnsSettings,
        settings: AuthoritativeSettings,
    ) -> Self {
        let upstream = |address| Upstream::new(address, dns);
        Self {
            resolvers: resolvers.into_iter().map(upstream).collect(),
            dns,
            settings,
        }
    }
}

#[async_trait]
impl AuthoritativeDns for AuthoritativeServers {
    async fn observe(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> AuthoritativeView {
        let Some((upstream, start)) = self.begin(host, resolver) else {
            return AuthoritativeView::default();
        };
        let Some(zone) = Zone::find(upstream, host, &start, deadline).await else {
            return AuthoritativeView::default();
        };
        let (servers, not_queried) = self.addresses(upstream, &zone, deadline).await;
        let walks = join_all(servers.iter().map(|server| async {
            let at = zone.at(*server, deadline);
            let of = |kind| self.walk_addresses(at, &start, kind);
            join(of(RecordType::A), of(RecordType::AAAA)).await
        }))
        .await;
        let beyond = beyond(upstream, &walks, deadline).await;
        let answers = servers.iter().zip(walks).map(|(server, (v4, v6))| {
            let v4 = v4.whole(RecordType::A, &beyond);
            combine(*server, v4, v6.whole(RecordType::AAAA, &beyond))
        });
        AuthoritativeView {
            answers: answers.collect(),
            zone: text(&zone.name),
            name_servers: zone.servers.iter().take(MAX_KEPT_NAMES).map(text).collect(),
            not_queried,
        }
    }

    async fn observe_proof(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<TxtObservation> {
        let (Some((upstream, start)), Some(owner)) = (self.begin(host, resolver), txt::owner(host))
        else {
            return vec![];
        };
        let Some(zone) = Zone::find(upstream, host, &start, deadline).await else {
            return vec![];
        };
        let (servers, _) = self.addresses(upstream, &zone, deadline).await;
        let observations = join_all(servers.iter().map(|server| async {
            let at = zone.at(*server, deadline);
            let walk = self.walk(at, Chain::from(&owner), RecordType::TXT, txt::at_the_end);
            let (chain, found) = walk.await;
            let answer = match found {
                Ok(Some(values)) => TxtAnswer::Values(values),
                // The record is an alias of one in another zone.
                Ok(None) => return None,
                Err(failed) => TxtAnswer::Failed(failed),
            };
            Some(TxtObservation {
                resolver: *server,
                answer,
                ttl: chain.ttl(),
            })
        }));
        observations.await.into_iter().flatten().collect()
    }

    async fn observe_caa(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<CaaObservation> {
        match self.begin(host, resolver) {
            Some((upstream, start)) => self.walk_tree(upstream, host, &start, deadline).await,
            None => vec![],
        }
    }
}

/// A zone, and the names of its servers.
struct Zone {
    name: Name,
    servers: Vec<Name>,
}

/// One server of a zone, and the end of the time for its answers.
#[derive(Clone, Copy)]
struct ZoneServer<'a> {
    server: SocketAddr,
    zone: &'a Name,
    deadline: Instant,
}

impl Zone {
    const fn at(&self, server: SocketAddr, deadline: Instant) -> ZoneServer<'_> {
        ZoneServer {
            server,
            zone: &self.name,
            deadline,
        }
    }

    /// The nearest of the zones of `host`. `start` is `host` in the form of the wire.
    async fn find(
        upstream: &Upstream,
        host: &Hostname,
        start: &Name,
        deadline: Instant,
    ) -> Option<Self> {
        let zones = Self::find_all(upstream, host, start, deadline).await;
        zones.into_iter().next()
    }

    /// The names at or above `host`, up to its registered domain, that have NS records; the nearest
    /// first.
    async fn find_all(
        upstream: &Upstream,
        host: &Hostname,
        start: &Name,
        deadline: Instant,
    ) -> Vec<Self> {
        let labels = usize::from(start.num_labels());
        let top = registered_labels(host, start);
        let names = (top..=labels).rev().map(|labels| start.trim_to(labels));
        let zones = join_all(names.map(|name| async move {
            let Reply::Answer(answer) = upstream.send(&name, RecordType::NS, deadline).await else {
                return None;
            };
            let servers = servers_of(&name, &answer);
            (!servers.is_empty()).then_some(Self { name, servers })
        }));
        zones.await.into_iter().flatten().collect()
    }
}

/// The number of labels of the registered domain of `host`.
fn registered_labels(host: &Hostname, start: &Name) -> usize {
    let labels = usize::from(start.num_labels());
    labels.min(host.registered_domain().split('.').count())
}

/// The servers that the answer names for this zone.
fn servers_of(zone: &Name, answer: &Answer) -> Vec<Name> {
    let records = answer.records.iter().filter(|record| record.name == *zone);
    let servers: BTreeSet<Name> = records
        .filter_map(|record| match &record.data {
            RData::NS(server) => Some(server.0.to_lowercase()),
            _ => None,
        })
        .collect();
    servers.into_iter().collect()
}

/// The walk at one server for one family.
enum Walk {
    Ended(Outcome),
    /// The chain so far, and the name outside the zone to which it leads.
    Left(Chain),
}

impl Walk {
    /// The walk with the part outside the zone.
    fn whole(self, kind: RecordType, beyond: &Beyond) -> Outcome {
        match self {
            Self::Ended(outcome) => outcome,
            Self::Left(chain) => {
                let Some(rest) = beyond.get(&(chain.end.clone(), kind)) else {
                    return chain.ends_with(DnsAnswer::Timeout);
                };
                let so_far = chain.ends_with(rest.answer.clone());
                Outcome {
                    chain: [so_far.chain, rest.chain.clone()].concat(),
                    more: rest.more,
                    ttl: so_far.ttl.max(rest.ttl),
                    ..so_far
                }
            }
        }
    }
}

/// The look-ups of names outside the zone, at a recursive resolver.
type Beyond = HashMap<(Name, RecordType), Outcome>;

async fn beyond(upstream: &Upstream, walks: &[(Walk, Walk)], deadline: Instant) -> Beyond {
    let left = |walk: &Walk, kind| match walk {
        Walk::Left(chain) => Some((chain.end.clone(), kind)),
        Walk::Ended(_) => None,
    };
    let names: BTreeSet<(Name, RecordType)> = walks
        .iter()
        .flat_map(|(v4, v6)| [left(v4, RecordType::A), left(v6, RecordType::AAAA)])
        .flatten()
        .collect();
    let look_ups = names.into_iter().map(|(name, kind)| async move {
        let outcome = follow_chain(upstream, &name, kind, deadline).await;
        ((name, kind), outcome)
    });
    join_all(look_ups).await.into_iter().collect()
}

impl AuthoritativeServers {
    /// The recursive resolver that finds the servers, and the name in the form of the wire.
    fn begin(&self, host: &Hostname, resolver: SocketAddr) -> Option<(&Upstream, Name)> {
        let mut upstreams = self.resolvers.iter();
        let upstream = upstreams.find(|upstream| upstream.address() == resolver)?;
        Some((upstream, name(host)?))
    }

    /// The addresses of the zone's servers that may be queried, and the others.
    async fn addresses(
        &self,
        upstream: &Upstream,
        zone: &Zone,
        deadline: Instant,
    ) -> (Vec<SocketAddr>, Vec<SkippedServer>) {
        let servers = zone.servers.iter().take(MAX_NAME_SERVERS);
        let found = join_all(servers.map(|server| async move {
            let of = |kind| follow_chain(upstream, server, kind, deadline);
            let (v4, v6) = join(of(RecordType::A), of(RecordType::AAAA)).await;
            chosen(&v4.answer, &v6.answer)
        }));
        let found: BTreeSet<IpAddr> = found.await.into_iter().flatten().collect();
        let (mut servers, mut not_queried) = (vec![], vec![]);
        for address in found {
            let (allow_private, forbidden) = (
                self.settings.allow_private,
                &self.settings.forbidden_networks,
            );
            match refused_kind(address, allow_private, forbidden) {
                None => servers.push(SocketAddr::new(address, self.settings.port)),
                Some(kind) => not_queried.push(SkippedServer { address, kind }),
            }
        }
        (servers, not_queried)
    }

    /// Walks the chain at one server for the addresses of one family.
    async fn walk_addresses(&self, at: ZoneServer<'_>, host: &Name, kind: RecordType) -> Walk {
        match self.walk(at, Chain::from(host), kind, end_of).await {
            (chain, Ok(Some(end))) => Walk::Ended(chain.ends(end)),
            (chain, Ok(None)) => Walk::Left(chain),
            (chain, Err(failed)) => Walk::Ended(chain.ends_with(failed)),
        }
    }

    /// Follows a chain at one server until `at_end` finds its result in an answer; `None` if the
    /// chain leaves the zone.
    async fn walk<T>(
        &self,
        at: ZoneServer<'_>,
        mut chain: Chain,
        kind: RecordType,
        at_end: impl Fn(&Name, &Answer, bool) -> Option<T>,
    ) -> (Chain, Result<Option<T>, DnsAnswer>) {
        let exchange = Exchange {
            query_timeout: self.dns.query_timeout,
            randomize_case: self.dns.randomize_case,
            deadline: at.deadline,
        };
        let (server, zone) = (at.server, at.zone);
        while zone.zone_of(&chain.end) {
            let before = chain.hops.len();
            let answer = match query(server, &chain.end, kind, exchange).await {
                Ok(response) => match usable(response.metadata.response_code) {
                    Ok(()) if response.metadata.authoritative => {
                        let mut answer = Answer::from(response);
                        answer.records.retain(|record| zone.zone_of(&record.name));
                        answer
                    }
                    // It does not serve the zone, or not any more.
                    Ok(()) => return (chain, Err(DnsAnswer::Refused)),
                    Err(failed) => return (chain, Err(failed)),
                },
                Err(failed) => return (chain, Err(failed.into())),
            };
            if chain.follow(&answer).is_err() {
                return (chain, Err(DnsAnswer::Loop));
            }
            let stuck = chain.hops.len() == before;
            if zone.zone_of(&chain.end)
                && let Some(found) = at_end(&chain.end, &answer, stuck)
            {
                return (chain, Ok(Some(found)));
            }
        }
        (chain, Ok(None))
    }
}

const fn usable(code: ResponseCode) -> Result<(), DnsAnswer> {
    match code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(()),
        ResponseCode::ServFail => Err(DnsAnswer::ServFail),
        _ => Err(DnsAnswer::Refused),
    }
}

impl From<NoAnswer> for DnsAnswer {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            // A machine without IPv6 asks the servers that have IPv4.
            NoAnswer::Timeout | NoAnswer::Unroutable => Self::Timeout,
            NoAnswer::Unreadable => Self::Refused,
            NoAnswer::Local(detail) => Self::Local { detail },
        }
    }
}

/// The addresses of one server that are used: one of each family if it has both.
fn chosen(v4: &DnsAnswer, v6: &DnsAnswer) -> Vec<IpAddr> {
    let of = |answer: &DnsAnswer| match answer {
        DnsAnswer::Addresses(found) => found.iter().copied().collect::<Vec<_>>(),
        _ => vec![],
    };
    let (v4, v6) = (of(v4), of(v6));
    let first = v4.first().into_iter().chain(v6.first());
    let second = v4.iter().skip(1).chain(v6.iter().skip(1));
    let all = first.chain(second).copied();
    all.take(MAX_SERVER_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_of_a_server_are_used_and_one_of_each_family_if_it_has_both() {
        let of = |texts: &[&str]| {
            DnsAnswer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
        };
        let used = |v4: &DnsAnswer, v6: &DnsAnswer| -> Vec<String> {
            chosen(v4, v6).iter().map(ToString::to_string).collect()
        };
        let (v4, v6) = (
            of(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
            of(&["2001:db8::1"]),
        );
        assert_eq!(used(&v4, &v6), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(used(&v4, &DnsAnswer::NoData), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(used(&DnsAnswer::Timeout, &v6), ["2001:db8::1"]);
        assert!(used(&DnsAnswer::NxDomain, &DnsAnswer::NxDomain).is_empty());
    }
}
