//! Where HAProxy's Runtime API listens.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A `stats socket` of HAProxy: a UNIX socket, or `tcp:host:port` (loopback only, anyone who can
/// connect is admin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A UNIX socket's path.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// The text names no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a socket such as /run/haproxy/agent.sock, or an address such as tcp:127.0.0.1:9999")]
pub struct EndpointError;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Endpoint {
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(address) = text.strip_prefix("tcp:") {
            let (host, port) = address.rsplit_once(':').ok_or(EndpointError)?;
            if host.is_empty() || port.parse::<u16>().is_err() {
                return Err(EndpointError);
            }
            return Ok(Self::Tcp(address.to_owned()));
        }
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.is_empty() {
            Err(EndpointError)
        } else {
            Ok(Self::Unix(path.into()))
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_paths_or_host_and_port() {
        assert_eq!(
            "/run/h.sock".parse(),
            Ok(Endpoint::Unix("/run/h.sock".into()))
        );
        assert_eq!(
            "unix:/run/h.sock".parse(),
            Ok(Endpoint::Unix("/run/h.sock".into()))
        );
        assert_eq!(
            "tcp:127.0.0.1:9999".parse(),
            Ok(Endpoint::Tcp("127.0.0.1:9999".to_owned()))
        );
        for bad in ["", "unix:", "tcp:", "tcp:host", "tcp::1", "tcp:host:port"] {
            assert_eq!(bad.parse::<Endpoint>(), Err(EndpointError), "{bad}");
        }
    }
}
