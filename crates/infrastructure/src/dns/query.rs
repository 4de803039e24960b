//! One query to one resolver, with its whole answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::DnsSettings;
use super::sockets::{LocalFaults, Sockets};
use crate::spans;

/// The reply to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// NOERROR or NXDOMAIN, with the records of the answer section.
    Answer(Answer),
    /// SERVFAIL.
    ServFail,
    /// REFUSED, another error code, or a packet that cannot be read.
    Refused,
    /// Nothing in time.
    Timeout,
    /// Our own machine could not send the query.
    Local(String),
}

/// Whether the resolver validates the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validation {
    /// As it is set up.
    Usual,
    /// Not at all: the CD bit is set (RFC 4035 §3.2.2).
    Disabled,
}

/// The parts of an answer that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The answer section, in the order of the packet.
    pub(crate) records: Vec<Record>,
    /// NXDOMAIN. It speaks of the last name of the chain (RFC 6604 §3).
    pub(crate) name_missing: bool,
    /// An SOA record came along: the end of the chain is known to hold nothing of the type asked
    /// (RFC 2308 §2.2).
    pub(crate) conclusive: bool,
    /// The owner of that SOA record: the zone that the answer is about (RFC 2308 §3).
    pub(crate) zone: Option<Name>,
    /// The longest time for which a cache may keep a part of the answer, in seconds; `None` if
    /// unknown. RFC 2308 §5 sets it for a negative answer.
    pub(crate) ttl: Option<u32>,
}

impl From<DnsResponse> for Answer {
    fn from(response: DnsResponse) -> Self {
        let of_records = response.answers.iter().map(|record| record.ttl).max();
        Self {
            name_missing: response.response_code == ResponseCode::NXDomain,
            conclusive: response.soa().is_some(),
            zone: response.soa().map(|soa| soa.name().clone()),
            ttl: of_records.max(response.negative_ttl()),
            records: response.into_message().answers,
        }
    }
}

/// The way to one resolver. Holds no cache; equal queries at the same moment share one packet.
pub(crate) struct Upstream {
    pool: NameServerPool<Sockets>,
    /// For resolvers that do not take EDNS: apart, so that no query shares a packet with one
    /// that has it.
    plain_pool: NameServerPool<Sockets>,
    faults: LocalFaults,
    address: SocketAddr,
    /// The longest time of one query.
    longest: Duration,
    randomize_case: bool,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr, settings: DnsSettings) -> Self {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
        // Negative answers are results, and are used as they are.
        let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
        let mut options = ResolverOpts::default();
        options.timeout = settings.query_timeout;
        options.num_concurrent_reqs = 1;
        options.max_active_requests = settings.max_active_requests;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let tls = TlsConfig::new().expect("plain DNS needs no TLS set-up that could fail");
        let context = Arc::new(PoolContext::new(options, tls));
        // Room for a second transport after a truncated answer.
        let longest = settings.query_timeout * 2;
        let faults = LocalFaults::new(longest);
        let pool = || {
            NameServerPool::from_config(
                [server.clone()],
                Arc::clone(&context),
                Sockets::noting(faults.clone()),
            )
        };
        Self {
            pool: pool(),
            plain_pool: pool(),
            faults,
            address,
            longest,
            randomize_case: settings.randomize_case,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks once; follows nothing. Comes back by `deadline` at the latest.
    pub(crate) async fn send(&self, name: &Name, kind: RecordType, deadline: Instant) -> Reply {
        self.send_with(name, kind, Validation::Usual, deadline)
            .await
    }

    /// Whether the query failed because the resolver could not validate the answer (RFC 4035
    /// §4.7): it succeeds with checking disabled, and fails again without.
    pub(super) async fn is_bogus(&self, name: &Name, kind: RecordType, deadline: Instant) -> bool {
        let unchecked = self.send_with(name, kind, Validation::Disabled, deadline);
        // A server that failed for a moment succeeds the second time.
        matches!(unchecked.await, Reply::Answer(_))
            && self.send(name, kind, deadline).await == Reply::ServFail
    }

    async fn send_with(
        &self,
        name: &Name,
        kind: RecordType,
        validation: Validation,
        deadline: Instant,
    ) -> Reply {
        let span = spans::dns_lookup(self.address, name, kind);
        let begin = Instant::now();
        let latest = deadline.min(begin + self.longest);
        let query = timeout_at(latest, self.look_up(name, kind, validation));
        let reply = match query.instrument(span.clone()).await {
            Ok(Ok(response)) => Reply::Answer(Answer::from(response)),
            Ok(Err(error)) => self.understand(name, kind, error, begin),
            Err(_) => self.unanswered(begin),
        };
        if !matches!(reply, Reply::Answer(_)) {
            spans::record_error(&span);
        }
        reply
    }

    /// Sends a query again without EDNS when the resolver does not take it (RFC 6891 §7).
    async fn look_up(
        &self,
        name: &Name,
        kind: RecordType,
        validation: Validation,
    ) -> Result<DnsResponse, NetError> {
        let request = |mut options: DnsRequestOptions| {
            options.case_randomization = self.randomize_case;
            let query = Query::query(name.clone(), kind);
            let mut request = DnsRequest::from_query(query, options);
            request.metadata.checking_disabled = validation == Validation::Disabled;
            request
        };
        let answer = self.pool.send(request(DnsRequestOptions::default()));
        match answer.first_answer().await {
            Err(NetError::Dns(DnsError::ResponseCode(
                ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS,
            ))) => {
                let mut plain = DnsRequestOptions::default();
                plain.use_edns = false;
                self.plain_pool.send(request(plain)).first_answer().await
            }
            answered => answered,
        }
    }

    /// No answer came: an outage of the resolver, unless our own sockets failed meanwhile.
    fn unanswered(&self, begin: Instant) -> Reply {
        self.faults
            .since(begin)
            .map_or(Reply::Timeout, Reply::Local)
    }

    fn understand(&self, name: &Name, kind: RecordType, error: NetError, begin: Instant) -> Reply {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(found)) => Reply::Answer(Answer {
                records: Vec::new(),
                name_missing: found.response_code == ResponseCode::NXDomain,
                conclusive: true,
                zone: found.soa.map(|soa| soa.name.clone()),
                ttl: found.negative_ttl,
            }),
            NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Reply::ServFail,
            NetError::Timeout | NetError::Busy | NetError::NoConnections | NetError::Io(_) => {
                tracing::debug!(dns.resolver = %self.address, dns.name = %name, dns.kind = %kind, %error, "dns.no_answer");
                self.unanswered(begin)
            }
            error => {
                tracing::debug!(dns.resolver = %self.address, dns.name = %name, dns.kind = %kind, %error, "dns.refused");
                Reply::Refused
            }
        }
    }
}
