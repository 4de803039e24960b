//! A relay in front of Pebble that notes which names are ordered.
//!
//! Pebble's log says that an order was added, but never for which name. The relay ends TLS, passes
//! every byte on unchanged and reads along. A `POST` to the new-order URL carries the names in its
//! signed payload (RFC 8555 §7.4). The status of the reply shows whether the order was made. A
//! request with a refused nonce does not count.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::LabError;
use crate::tls::ServerIdentity;

/// Where Pebble takes new orders.
const NEW_ORDER: &[u8] = b"POST /order-plz ";
/// Longest request read along; ACME requests are a few kilobytes.
const MAX_REQUEST: usize = 256 * 1024;
/// `HTTP/1.1 201`: what must be seen of a reply.
const STATUS_LENGTH: usize = 12;

/// How many orders were made, by name.
pub(super) type Orders = Arc<Mutex<HashMap<String, usize>>>;

/// Whether every request is refused.
type Refuses = Arc<AtomicBool>;

/// The answer to a request that is refused.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// A running relay. Dropping it closes its connections.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    orders: Orders,
    refuses: Refuses,
    _task: JoinSet<()>,
}

impl Relay {
    /// Listens on a port of 127.0.0.1 as `identity` and passes everything to `target`.
    pub(super) async fn start(
        identity: &ServerIdentity,
        client: Arc<ClientConfig>,
        target: SocketAddr,
    ) -> Result<Self, LabError> {
        let acceptor = TlsAcceptor::from(identity.server_config()?);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(LabError::io("bind the relay"))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let orders = Orders::default();
        let refuses = Refuses::default();
        let mut task = JoinSet::new();
        task.spawn(serve(
            listener,
            acceptor,
            TlsConnector::from(client),
            target,
            (Arc::clone(&orders), Arc::clone(&refuses)),
        ));
        Ok(Self {
            address,
            orders,
            refuses,
            _task: task,
        })
    }

    /// Whether every request is refused from now on.
    pub(super) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(super) fn orders_for(&self, host: &str) -> usize {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders
            .get(&host.to_ascii_lowercase())
            .copied()
            .unwrap_or_default()
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    target: SocketAddr,
    (orders, refuses): (Orders, Refuses),
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        let listener = Listener {
            orders: Arc::clone(&orders),
            refuses: Arc::clone(&refuses),
            ..Listener::default()
        };
        connections.spawn(async move {
            // Broken connections are the business of those at their ends.
            let _ = client.set_nodelay(true);
            let Ok(client) = acceptor.accept(client).await else {
                return;
            };
            let Ok(server) = TcpStream::connect(target).await else {
                return;
            };
            let _ = server.set_nodelay(true);
            let Ok(server) = connector
                .connect(ServerName::from(target.ip()), server)
                .await
            else {
                return;
            };
            let _ = pass(client, server, listener).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Copies both ways until one side ends.
async fn pass(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    mut listener: Listener,
) -> std::io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &from_client[..read?];
                if !bytes.is_empty() && listener.refuses.load(Ordering::Relaxed) {
                    client.write_all(REFUSAL).await?;
                    return client.shutdown().await;
                }
                listener.hear_client(bytes);
                server.write_all(bytes).await?;
                server.flush().await?;
                if bytes.is_empty() { return Ok(()); }
            }
            read = server.read(&mut from_server) => {
                let bytes = &from_server[..read?];
                listener.hear_server(bytes);
                client.write_all(bytes).await?;
                client.flush().await?;
                if bytes.is_empty() { return Ok(()); }
            }
        }
    }
}

/// Reads along one connection, whose requests and replies alternate.
#[derive(Debug, Default)]
struct Listener {
    orders: Orders,
    refuses: Refuses,
    request: Vec<u8>,
    ordered: Option<Vec<String>>,
    reply: Vec<u8>,
}

impl Listener {
    fn hear_client(&mut self, bytes: &[u8]) {
        if self.request.len() + bytes.len() > MAX_REQUEST {
            self.request.clear();
        }
        self.request.extend_from_slice(bytes);
        while let Some((head, body)) = request_lengths(&self.request) {
            let request: Vec<u8> = self.request.drain(..head + body).collect();
            self.reply.clear();
            self.ordered = request
                .starts_with(NEW_ORDER)
                .then(|| ordered_names(&request[head..]))
                .flatten();
        }
    }

    fn hear_server(&mut self, bytes: &[u8]) {
        if self.ordered.is_none() {
            return;
        }
        self.reply.extend_from_slice(bytes);
        if self.reply.len() < STATUS_LENGTH {
            return;
        }
        let names = self.ordered.take().unwrap_or_default();
        if self.reply[..STATUS_LENGTH].ends_with(b" 201") {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            for name in names {
                *orders.entry(name).or_default() += 1;
            }
        }
    }
}

/// Lengths of head and body of the first request, once it is there as a whole.
fn request_lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let body = length
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= head + body).then_some((head, body))
}

/// The names in a flattened JWS (RFC 7515 §7.2.2) whose payload is a new order.
fn ordered_names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Jws {
        payload: String,
    }
    #[derive(Deserialize)]
    struct NewOrder {
        identifiers: Vec<Identifier>,
    }
    #[derive(Deserialize)]
    struct Identifier {
        value: String,
    }
    let jws: Jws = serde_json::from_slice(body).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jws.payload).ok()?;
    let order: NewOrder = serde_json::from_slice(&payload).ok()?;
    Some(
        order
            .identifiers
            .into_iter()
            .map(|identifier| identifier.value.to_ascii_lowercase())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_order() -> Vec<u8> {
        let payload = BASE64_URL_SAFE_NO_PAD
            .encode(r#"{"identifiers":[{"type":"dns","value":"Shop.test"}]}"#);
        let body = format!(r#"{{"protected":"e30","payload":"{payload}","signature":""}}"#);
        format!(
            "POST /order-plz HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn count(replies: &[&str]) -> usize {
        let mut listener = Listener::default();
        for reply in replies {
            // In pieces, as a network may deliver it.
            new_order()
                .chunks(7)
                .for_each(|piece| listener.hear_client(piece));
            reply
                .as_bytes()
                .chunks(5)
                .for_each(|piece| listener.hear_server(piece));
        }
        let orders = listener.orders.lock().unwrap();
        orders.get("shop.test").copied().unwrap_or_default()
    }

    #[test]
    fn an_order_counts_when_it_was_made_and_not_when_its_nonce_was_refused() {
        assert_eq!(
            count(&[
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "HTTP/1.1 201 Created\r\n\r\n"
            ]),
            1
        );
        assert_eq!(
            count(&[
                "HTTP/1.1 201 Created\r\n\r\n",
                "HTTP/1.1 201 Created\r\n\r\n"
            ]),
            2
        );
        assert_eq!(count(&["HTTP/1.1 429 Too Many Requests\r\n\r\n"]), 0);
    }
}
