//! The HTTP probe: fetches a challenge token as a CA would, from an address that the customer
//! chose.
//!
//! Customers decide where their names point, so [`HttpProber`] treats every address and every byte
//! as hostile. It connects to exactly the given address, after [`refused_kind`] accepted it, and
//! never resolves, redirects or reuses anything. It sends one request per connection; head, body,
//! connecting and the whole exchange are bounded. The result is an answer about that address, never
//! an error. The service and the agents use it, so that both judge alike.

mod answer;
pub mod local_fault;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use dps_domain::Hostname;
use dps_domain::address::refused_kind;
use dps_domain::probe::ProbeAnswer;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use dps_agent_api::CHALLENGE_PATH_PREFIX;

use self::local_fault::local_fault;

/// The port a CA connects to (RFC 8555 §8.3).
const HTTP_PORT: u16 = 80;
/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header fields of an answer.
const MAX_HEADERS: usize = 64;

/// Settings of the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The port; 80 everywhere but in a lab.
    pub port: u16,
    /// Whether private, loopback and other special addresses may be connected to. Only for a lab or
    /// an intranet.
    pub allow_private: bool,
    /// More networks that are never connected to, such as the operator's own public ones.
    pub forbidden_networks: Vec<IpNet>,
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For the whole exchange, connecting included.
    pub total_timeout: Duration,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            port: HTTP_PORT,
            allow_private: false,
            forbidden_networks: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            // A CA gives up after about ten seconds.
            total_timeout: Duration::from_secs(10),
        }
    }
}

/// The HTTP probe over plain HTTP/1.1.
#[derive(Debug, Clone)]
pub struct HttpProber {
    settings: ProbeSettings,
}

/// Why there is no answer to judge.
enum Broken {
    /// Refused, reset, or closed before a whole head.
    Connection,
    /// No network towards the address, such as IPv6 on a machine that has none.
    Network,
    /// Something else than HTTP/1 came back, or a head beyond all bounds.
    NotHttp,
    /// Not in time.
    Time,
    /// Our own machine failed.
    Local(String),
}

impl HttpProber {
    /// A probe with these settings.
    pub const fn new(settings: ProbeSettings) -> Self {
        Self { settings }
    }

    async fn exchange(
        &self,
        host: &Hostname,
        to: SocketAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        let Some(request) = self.request(host, token) else {
            // Tokens are ours and base64url; another one names no path, which no server could
            // answer.
            return ProbeAnswer::Status(400);
        };
        let stream = match self.connect(to).await {
            Ok(stream) => stream,
            Err(broken) => return broken.into(),
        };
        match fetch(stream, request).await {
            // The driver must live until the body is read.
            Ok((response, _driver)) => answer::judge(response, expected).await,
            Err(broken) => broken.into(),
        }
    }

    async fn connect(&self, to: SocketAddr) -> Result<TcpStream, Broken> {
        let stream = timeout(self.settings.connect_timeout, TcpStream::connect(to))
            .await
            .map_err(|_| Broken::Time)?
            .map_err(|error| Broken::from_connect(&error, to, has_route))?;
        // The kernel turns some addresses into others, such as 0.0.0.0 into loopback: what was
        // vetted must be what is reached.
        match stream.peer_addr() {
            Ok(peer) if peer == to => Ok(stream),
            Ok(_) => Err(Broken::Connection),
            Err(error) => Err(Broken::from_io(&error)),
        }
    }

    fn request(&self, host: &Hostname, token: &str) -> Option<Request<Empty<Bytes>>> {
        let authority = if self.settings.port == HTTP_PORT {
            host.to_string()
        } else {
            format!("{host}:{}", self.settings.port)
        };
        Request::get(format!("{CHALLENGE_PATH_PREFIX}{token}"))
            .header(http::header::HOST, authority)
            .header(
                http::header::USER_AGENT,
                concat!("dps/", env!("CARGO_PKG_VERSION"), " (http-probe)"),
            )
            .header(http::header::ACCEPT, "*/*")
            .header(http::header::CONNECTION, "close")
            .body(Empty::new())
            .ok()
    }
}

impl HttpProber {
    /// Why the address is not connected to; `None` if it is.
    pub fn forbids(&self, address: IpAddr) -> Option<&'static str> {
        let settings = &self.settings;
        refused_kind(
            address,
            settings.allow_private,
            &settings.forbidden_networks,
        )
    }

    /// `GET /.well-known/acme-challenge/{token}` with `Host: host` at `address`; returns whether
    /// the body is `expected`.
    pub async fn probe(
        &self,
        host: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        if let Some(kind) = self.forbids(address) {
            return ProbeAnswer::Forbidden { kind };
        }
        let to = SocketAddr::new(address, self.settings.port);
        timeout(
            self.settings.total_timeout,
            self.exchange(host, to, token, expected),
        )
        .await
        .unwrap_or(ProbeAnswer::Timeout)
    }
}

/// Sends the request and reads the head of the answer. The returned set drives the connection;
/// dropping it closes the socket.
async fn fetch(
    stream: TcpStream,
    request: Request<Empty<Bytes>>,
) -> Result<(Response<Incoming>, JoinSet<hyper::Result<()>>), Broken> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Broken::from_hyper(&error))?;
    let answer = sender.send_request(request);
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    match answer.await {
        Ok(response) => Ok((response, driver)),
        // The connection failed before it took the request; only the driver knows why.
        Err(error) if error.is_canceled() => Err(match driver.join_next().await {
            Some(Ok(Err(cause))) => Broken::from_hyper(&cause),
            _ => Broken::Connection,
        }),
        Err(error) => Err(Broken::from_hyper(&error)),
    }
}

/// Whether our own machine knows a way to the address. Nothing is sent.
fn has_route(to: SocketAddr) -> bool {
    let from: SocketAddr = if to.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    UdpSocket::bind(from)
        .and_then(|socket| socket.connect(to))
        .is_ok()
}

impl Broken {
    fn from_connect(
        error: &io::Error,
        to: SocketAddr,
        has_route: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        // A router on the way may say so too, and then it is the address that cannot be reached.
        if error.kind() == io::ErrorKind::NetworkUnreachable && has_route(to) {
            return Self::Connection;
        }
        // A machine without IPv6 has no address to connect from, or does not know the family.
        let has_no_ipv6 = error.kind() == io::ErrorKind::AddrNotAvailable
            || Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT);
        if to.is_ipv6() && has_no_ipv6 {
            return Self::Network;
        }
        Self::from_io(error)
    }

    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Time,
            io::ErrorKind::NetworkUnreachable => Self::Network,
            _ => local_fault(error).map_or(Self::Connection, Self::Local),
        }
    }

    fn from_hyper(error: &hyper::Error) -> Self {
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                return Self::from_io(io);
            }
            cause = inner.source();
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Self::Connection
        } else {
            Self::NotHttp
        }
    }
}

impl From<Broken> for ProbeAnswer {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Connection => Self::Refused,
            Broken::Network => Self::Unroutable,
            Broken::NotHttp => Self::WrongBody { server: None },
            Broken::Time => Self::Timeout,
            Broken::Local(detail) => Self::Local { detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_cannot_be_reached_is_our_own_fault_only_without_a_route() {
        let unreachable = io::Error::from_raw_os_error(Errno::NETUNREACH.raw_os_error());
        let to = SocketAddr::from(([8, 8, 8, 8], 80));
        let answer =
            |has_route| ProbeAnswer::from(Broken::from_connect(&unreachable, to, |_| has_route));
        assert_eq!(answer(true), ProbeAnswer::Refused);
        assert_eq!(answer(false), ProbeAnswer::Unroutable);
        assert!(has_route(SocketAddr::from(([127, 0, 0, 1], 80))));
    }
}
