//! The smallest HTTPS client that can show whether an edge works.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::client_config;
use super::leaf::{Leaf, handshake};
use crate::LabError;

/// More than any reply the lab expects; all beyond is cut.
const MAX_REPLY: u64 = 1024 * 1024;
/// How long the whole reply may take.
const REPLY_BOUND: Duration = Duration::from_secs(10);

/// A reply over HTTPS, with the certificate of the server that sent it.
#[derive(Debug, Clone)]
pub struct HttpsReply {
    /// The status code.
    pub status: u16,
    /// Status line and header fields as they came.
    pub head: String,
    /// The body in its transfer coding, with invalid UTF-8 replaced.
    pub body: String,
    /// The certificate that the server presented.
    pub leaf: Leaf,
}

/// `GET path` from `host` at `address` on a new connection, as `curl --cacert root --resolve
/// host:port:address` does.
///
/// # Errors
/// As [`super::served_leaf`], and [`LabError::Invalid`] when the reply is not HTTP.
pub async fn https_get(
    address: SocketAddr,
    host: &str,
    path: &str,
    root_pem: &str,
) -> Result<HttpsReply, LabError> {
    let (mut stream, leaf) = handshake(address, host, &client_config(root_pem)?).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut reply = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.take(MAX_REPLY).read_to_end(&mut reply).await
    };
    let done = tokio::time::timeout(REPLY_BOUND, exchange).await;
    let done = done.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    match done {
        // Servers that close without a TLS goodbye are common; what came counts.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            return Err(LabError::io(format!("get https://{host}{path}"))(error));
        }
        _ => {}
    }
    let text = String::from_utf8_lossy(&reply);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_ref(), ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| LabError::invalid("the reply", "it is not HTTP"))?;
    Ok(HttpsReply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
        leaf,
    })
}
