//! One query to one authoritative server, without recursion (RFC 1034 §4.3.1).
//!
//! Customers choose these servers. Each exchange has a socket of its own, and takes one answer of
//! the queried server to the query sent.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::local_fault::local_fault;
use crate::spans::{self, in_span};

/// The largest UDP payload that we take: fits a network without fragmentation.
const UDP_PAYLOAD: u16 = 1232;
/// Packets over UDP for one query.
const UDP_TRIES: u32 = 2;

/// Settings of the exchange with one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// For one query over one transport.
    pub(super) query_timeout: Duration,
    /// As in [`super::DnsSettings`].
    pub(super) randomize_case: bool,
    /// When all queries end.
    pub(super) deadline: Instant,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Nothing in time, or nothing listens.
    Timeout,
    /// A packet that cannot be read.
    Unreadable,
    /// No network towards the address, such as IPv6 on a machine that has none.
    Unroutable,
    /// Our own machine failed.
    Local(String),
}

/// Sends one query: over UDP, and over TCP if the answer is truncated or in another case.
pub(super) async fn query(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    exchange: Exchange,
) -> Result<DnsResponse, NoAnswer> {
    let span = spans::dns_lookup(server, name, kind);
    in_span(span, with_and_without_edns(server, name, kind, exchange)).await
}

async fn with_and_without_edns(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    exchange: Exchange,
) -> Result<DnsResponse, NoAnswer> {
    let response = over_both(server, name, kind, exchange, true).await?;
    match response.metadata.response_code {
        // A server that does not take EDNS (RFC 6891 §7).
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS => {
            over_both(server, name, kind, exchange, false).await
        }
        _ => Ok(response),
    }
}

async fn over_both(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    exchange: Exchange,
    with_edns: bool,
) -> Result<DnsResponse, NoAnswer> {
    let request = request(name, kind, exchange.randomize_case, with_edns);
    let packet = request.to_vec().map_err(|_| NoAnswer::Unreadable)?;
    let by_udp = over_udp(server, &request, &packet, exchange).await?;
    if let Some(response) = by_udp {
        return Ok(response);
    }
    let latest = exchange.latest();
    timeout_at(latest, over_tcp(server, &request, &packet))
        .await
        .map_err(|_| NoAnswer::Timeout)?
}

impl Exchange {
    fn latest(&self) -> Instant {
        self.deadline.min(Instant::now() + self.query_timeout)
    }
}

fn request(name: &Name, kind: RecordType, randomize_case: bool, with_edns: bool) -> Message {
    let mut name = name.clone();
    if randomize_case {
        name.randomize_label_case();
    }
    let mut request = Message::query();
    request.metadata.recursion_desired = false;
    request.add_query(Query::query(name, kind));
    if with_edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        request.set_edns(edns);
    }
    request
}

/// The answer over UDP; `None` if it must be fetched over TCP.
async fn over_udp(
    server: SocketAddr,
    request: &Message,
    packet: &[u8],
    exchange: Exchange,
) -> Result<Option<DnsResponse>, NoAnswer> {
    let own: SocketAddr = if server.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(own).await.map_err(|error| failed(&error))?;
    socket
        .connect(server)
        .await
        .map_err(|error| failed(&error))?;
    let (latest, mut buffer) = (exchange.latest(), vec![0; usize::from(UDP_PAYLOAD)]);
    for _ in 0..UDP_TRIES {
        socket.send(packet).await.map_err(|error| failed(&error))?;
        let resend = latest.min(Instant::now() + exchange.query_timeout / UDP_TRIES);
        while let Ok(received) = timeout_at(resend, socket.recv(&mut buffer)).await {
            let length = received.map_err(|error| failed(&error))?;
            match read(request, &buffer[..length]) {
                Received::Whole(response) => return Ok(Some(response)),
                Received::InPart => return Ok(None),
                // Forged, or late: the true answer may follow.
                Received::Stranger => {}
            }
        }
    }
    Err(NoAnswer::Timeout)
}

async fn over_tcp(
    server: SocketAddr,
    request: &Message,
    packet: &[u8],
) -> Result<DnsResponse, NoAnswer> {
    let length = u16::try_from(packet.len()).map_err(|_| NoAnswer::Unreadable)?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let framed = [&length.to_be_bytes()[..], packet].concat();
        stream.write_all(&framed).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<Vec<u8>> = exchange.await;
    let answer = answer.map_err(|error| failed(&error))?;
    let response = DnsResponse::from_buffer(answer).map_err(|_| NoAnswer::Unreadable)?;
    let asked = &request.queries;
    let is_ours = response.metadata.id == request.metadata.id && response.queries == *asked;
    if is_ours && !response.metadata.truncation {
        Ok(response)
    } else {
        Err(NoAnswer::Unreadable)
    }
}

/// A packet that came to our socket.
enum Received {
    Whole(DnsResponse),
    /// Truncated, or without the case of our query.
    InPart,
    /// Not the answer to our query.
    Stranger,
}

fn read(request: &Message, packet: &[u8]) -> Received {
    let Ok(response) = DnsResponse::from_buffer(packet.to_vec()) else {
        return Received::Stranger;
    };
    let ([asked], [answered]) = (request.queries.as_slice(), response.queries.as_slice()) else {
        return Received::Stranger;
    };
    if response.metadata.id != request.metadata.id || asked != answered {
        return Received::Stranger;
    }
    if response.metadata.truncation || !asked.name().eq_case(answered.name()) {
        return Received::InPart;
    }
    Received::Whole(response)
}

fn failed(error: &io::Error) -> NoAnswer {
    match error.kind() {
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => NoAnswer::Unroutable,
        _ if is_unknown_family(error) => NoAnswer::Unroutable,
        _ => local_fault(error).map_or(NoAnswer::Timeout, NoAnswer::Local),
    }
}

fn is_unknown_family(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT)
}
