//! Finds the edges by DNS: an agent for each SRV record of a name, or for each of its addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::edge::DirectoryError;
use dps_application::ports::{Edge, EdgeDirectory};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;
use url::{Host, Url};

use crate::dns::DnsSettings;
use crate::dns::query::{Reply, Upstream};

/// More agents than this are taken for a mistake in the DNS.
const MAX_EDGES: usize = 256;

/// Under which records of a name the agents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryRecords {
    /// SRV (RFC 2782): each target with its port. Priority and weight do not matter: all of them
    /// are edges.
    Services,
    /// A and AAAA: each address, with this port.
    Addresses(u16),
}

/// Where the agents are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorySettings {
    /// The name, such as `_haproxy-agent._tcp.edges.internal`.
    pub name: String,
    /// Its records.
    pub records: DirectoryRecords,
    /// `https` or `http`.
    pub scheme: String,
    /// The queried resolver; the first name server of this machine if none is given.
    pub resolver: Option<SocketAddr>,
    /// Domain names in lower case; an agent whose host is one of them or below one needs no
    /// approval.
    pub allowed_suffixes: Vec<String>,
}

/// Makes an edge of an agent's URL.
pub type Connect = Box<dyn Fn(Url) -> Result<Arc<dyn Edge>, String> + Send + Sync>;

/// The directory of edges in the DNS.
pub struct DnsDirectory {
    upstream: Upstream,
    total_timeout: Duration,
    name: Name,
    settings: DirectorySettings,
    connect: Connect,
    /// Edges keep their connections from one read to the next.
    edges: Mutex<BTreeMap<Url, Arc<dyn Edge>>>,
}

impl DnsDirectory {
    /// A directory that makes edges with `connect`. Nothing is queried before the first read.
    pub fn new(
        settings: DirectorySettings,
        dns: DnsSettings,
        connect: Connect,
    ) -> Result<Self, DirectoryError> {
        let mut name = Name::from_ascii(&settings.name)
            .map_err(|error| DirectoryError(format!("{} is no name: {error}", settings.name)))?;
        name.set_fqdn(true);
        let resolver = match settings.resolver {
            Some(resolver) => resolver,
            None => name_server()?,
        };
        Ok(Self {
            upstream: Upstream::new(resolver, dns),
            total_timeout: dns.total_timeout,
            name,
            settings,
            connect,
            edges: Mutex::default(),
        })
    }

    async fn query(&self, kind: RecordType) -> Result<Vec<Record>, DirectoryError> {
        let name = &self.settings.name;
        let resolver = self.upstream.address();
        let deadline = Instant::now() + self.total_timeout;
        match self.upstream.send(&self.name, kind, deadline).await {
            Reply::Answer(answer) => Ok(answer.records),
            Reply::ServFail | Reply::Refused => Err(DirectoryError(format!(
                "{resolver} answers no query for {name}"
            ))),
            Reply::Timeout => Err(DirectoryError(format!("{resolver} does not answer"))),
            Reply::Local(detail) => Err(DirectoryError(format!(
                "our own machine could not ask {resolver}: {detail}"
            ))),
        }
    }

    async fn urls(&self) -> Result<Vec<Url>, DirectoryError> {
        let scheme = &self.settings.scheme;
        let url = |host: String, port: u16| Url::parse(&format!("{scheme}://{host}:{port}")).ok();
        Ok(match self.settings.records {
            DirectoryRecords::Services => {
                let records = self.query(RecordType::SRV).await?;
                let services = records.iter().filter_map(|record| match &record.data {
                    RData::SRV(service) if !service.target.is_root() => Some(service),
                    _ => None,
                });
                let host = |name: &Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
                services
                    .filter_map(|service| url(host(&service.target), service.port))
                    .collect()
            }
            DirectoryRecords::Addresses(port) => {
                let (v4, v6) =
                    tokio::join!(self.query(RecordType::A), self.query(RecordType::AAAA));
                let (v4, v6) = (v4?, v6?);
                let addresses = v4
                    .iter()
                    .chain(&v6)
                    .filter_map(|record| match &record.data {
                        RData::A(address) => Some(IpAddr::V4(address.0)),
                        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                        _ => None,
                    });
                addresses
                    .filter_map(|address| url(host_of(address), port))
                    .collect()
            }
        })
    }

    fn edge(&self, url: &Url) -> Option<Arc<dyn Edge>> {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(edge) = edges.get(url) {
            return Some(Arc::clone(edge));
        }
        match (self.connect)(url.clone()) {
            Ok(edge) => {
                edges.insert(url.clone(), Arc::clone(&edge));
                Some(edge)
            }
            Err(error) => {
                tracing::error!(edge.url = %url, error, "edge.unusable");
                None
            }
        }
    }
}

/// As an address stands in a URL.
fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The first name server of this machine.
fn name_server() -> Result<SocketAddr, DirectoryError> {
    let unusable = |what: &str| {
        DirectoryError(format!(
            "this machine's resolver configuration {what}; set HAProxyAgent:Discovery:Resolver"
        ))
    };
    let (config, _) = hickory_resolver::system_conf::read_system_conf()
        .map_err(|error| unusable(&format!("cannot be read: {error}")))?;
    let server = config.name_servers().first();
    server
        .map(|server| SocketAddr::new(server.ip, 53))
        .ok_or_else(|| unusable("names no server"))
}

#[async_trait]
impl EdgeDirectory for DnsDirectory {
    async fn find(&self) -> Result<Vec<Arc<dyn Edge>>, DirectoryError> {
        let mut urls = self.urls().await?;
        urls.sort();
        urls.dedup();
        let name = &self.settings.name;
        if urls.is_empty() {
            // A fleet does not vanish from one moment to the next; a zone does.
            return Err(DirectoryError(format!("{name} has no records")));
        }
        if urls.len() > MAX_EDGES {
            return Err(DirectoryError(format!(
                "{name} names {} agents, more than {MAX_EDGES}",
                urls.len()
            )));
        }
        let found: Vec<Arc<dyn Edge>> = urls.iter().filter_map(|url| self.edge(url)).collect();
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.retain(|url, _| urls.contains(url));
        Ok(found)
    }

    fn is_allowed(&self, name: &str) -> bool {
        let Ok(url) = Url::parse(name) else {
            return false;
        };
        // An address is below no name.
        let Some(Host::Domain(host)) = url.host() else {
            return false;
        };
        let is_below = |suffix: &String| {
            let above = host.strip_suffix(suffix.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        self.settings.allowed_suffixes.iter().any(is_below)
    }

    fn recall(&self, name: &str) -> Option<Arc<dyn Edge>> {
        self.edge(&Url::parse(name).ok()?)
    }
}
