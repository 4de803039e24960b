//! Sockets of the name server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::answer::{Role, answer};
use super::zone::{Fault, Zone};
use crate::LabError;

/// UDP payload a client accepts that announces none (RFC 1035 §4.2.1).
const PLAIN_UDP_PAYLOAD: u16 = 512;
/// How long a TCP connection may stay without a query.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// How often another port is tried when the kernel's choice for UDP is taken for TCP.
const PORT_TRIES: usize = 50;

/// A running name server. Dropping it closes its sockets.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    zone: Zone,
    _tasks: JoinSet<()>,
}

impl DnsServer {
    /// Answers from `zone` at `address`, UDP and TCP; with port 0 on any port free for both.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub async fn start(address: SocketAddr, zone: Zone) -> Result<Self, LabError> {
        Self::start_as(Role::Recursive, address, zone).await
    }

    /// As [`Self::start`], but answers as the authoritative server of the zones in `zone`: names
    /// with NS records and all below them.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_authoritative(address: SocketAddr, zone: Zone) -> Result<Self, LabError> {
        Self::start_as(Role::Authoritative, address, zone).await
    }

    async fn start_as(role: Role, address: SocketAddr, zone: Zone) -> Result<Self, LabError> {
        let (udp, tcp) = bind_both(address)
            .await
            .map_err(LabError::io(format!("bind DNS at {address}")))?;
        let address = udp
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, zone.clone(), role));
        tasks.spawn(serve_tcp(tcp, zone.clone(), role));
        Ok(Self {
            address,
            zone,
            _tasks: tasks,
        })
    }

    /// As [`Self::start`] on any port of 127.0.0.1, with a new zone.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_local() -> Result<Self, LabError> {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), Zone::new()).await
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The data it answers from.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

async fn bind_both(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: UdpSocket, zone: Zone, role: Role) {
    let socket = Arc::new(socket);
    let mut answers = JoinSet::new();
    let mut packet = vec![0; usize::from(u16::MAX)];
    loop {
        // An error here is a client that went away (ICMP); the next one may be well.
        let Ok((length, client)) = socket.recv_from(&mut packet).await else {
            continue;
        };
        let Ok(request) = Message::from_vec(&packet[..length]) else {
            continue;
        };
        let (socket, zone) = (Arc::clone(&socket), zone.clone());
        answers.spawn(async move {
            let (response, fault) = answer(&request, &zone, role);
            if let Some(bytes) = delayed(fit_udp(&request, &response, fault), fault).await {
                let _ = socket.send_to(&bytes, client).await;
            }
        });
        while answers.try_join_next().is_some() {}
    }
}

/// Cuts what does not fit into the client's datagram.
fn fit_udp(request: &Message, response: &Message, fault: Option<Fault>) -> Option<Vec<u8>> {
    let room = request.edns.as_ref().map_or(PLAIN_UDP_PAYLOAD, |edns| {
        edns.max_payload().max(PLAIN_UDP_PAYLOAD)
    });
    let bytes = response.to_vec().ok()?;
    if fault == Some(Fault::Truncated) || bytes.len() > usize::from(room) {
        return response.truncate().to_vec().ok();
    }
    Some(bytes)
}

/// The packet at the time the fault wants it; `None` for never.
async fn delayed(packet: Option<Vec<u8>>, fault: Option<Fault>) -> Option<Vec<u8>> {
    match fault {
        Some(Fault::Unanswered) => return None,
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    packet
}

/// More addresses than this are written by hand: the library stops compressing names after some,
/// and thousands would not fit.
const MANY_ANSWERS: usize = 200;

/// The response as bytes. Many addresses of the name asked for take 16 or 28 bytes each, as from a
/// server of others.
fn encoded(response: &Message) -> Option<Vec<u8>> {
    let are_addresses = response
        .answers
        .iter()
        .all(|record| record.data.ip_addr().is_some());
    if response.answers.len() <= MANY_ANSWERS || !are_addresses {
        return response.to_vec().ok();
    }
    let mut head = response.clone();
    head.answers.clear();
    head.edns = None;
    let mut bytes = head.to_vec().ok()?;
    for record in &response.answers {
        let data = match record.data.ip_addr()? {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The name of the question (RFC 1035 §4.1.4).
        bytes.extend([0xc0, 12]);
        bytes.extend(u16::from(record.record_type()).to_be_bytes());
        bytes.extend(u16::from(record.dns_class).to_be_bytes());
        bytes.extend(record.ttl.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        bytes.extend(data);
    }
    let count = u16::try_from(response.answers.len()).ok()?;
    bytes[6..8].copy_from_slice(&count.to_be_bytes());
    Some(bytes)
}

async fn serve_tcp(listener: TcpListener, zone: Zone, role: Role) {
    let mut clients = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        clients.spawn(serve_stream(stream, zone.clone(), role));
        while clients.try_join_next().is_some() {}
    }
}

/// Queries of one connection, in order, each after its length (RFC 1035 §4.2.2).
async fn serve_stream(mut stream: TcpStream, zone: Zone, role: Role) {
    while let Ok(Ok(length)) = tokio::time::timeout(TCP_IDLE, stream.read_u16()).await {
        let mut packet = vec![0; usize::from(length)];
        let read = tokio::time::timeout(TCP_IDLE, stream.read_exact(&mut packet)).await;
        if !matches!(read, Ok(Ok(_))) {
            return;
        }
        let Ok(request) = Message::from_vec(&packet) else {
            return;
        };
        let (response, fault) = answer(&request, &zone, role);
        let Some(bytes) = delayed(encoded(&response), fault).await else {
            // No answer: the client gives up first, or the idle bound ends the connection.
            continue;
        };
        let Ok(length) = u16::try_from(bytes.len()) else {
            return;
        };
        if stream
            .write_all(&[&length.to_be_bytes()[..], &bytes].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}
