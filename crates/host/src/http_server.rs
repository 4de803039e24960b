//! An HTTP/1.1 server within bounds that no client can stretch, plain or over mutual TLS.
//!
//! Connections are bounded per listener and per client address. Connections that are not
//! authenticated yet have a small pool and a short timeout of their own. At a bound, the connection
//! that has been idle longest is closed, so a flood of idle connections keeps no client out. All
//! bounds are in [`ServerLimits`].

mod limits;
mod place;
mod register;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::limits::ServerLimits;
use self::place::{Connections, Place, UnderWay};
pub(crate) use self::register::Peer;
use self::register::Stage;
use crate::log_throttle::lock;
use crate::mutual_tls::ServerTls;
use crate::process;

/// The address at the other end of a request's connection: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// The connection that a request came by: an extension of every request.
#[derive(Clone)]
pub(crate) struct ClientConnection(Arc<Place>);

impl ClientConnection {
    /// Delays the answer. Meanwhile the connection makes room for a newcomer before any other of
    /// its client; the delay ends at once then.
    pub(crate) async fn delay_answer(&self, delay: Duration) {
        self.0.set_stage(Stage::Delayed);
        tokio::select! {
            () = self.0.evicted.cancelled() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for an evicted connection to finish sending the answer before.
const EVICTION_GRACE: Duration = Duration::from_millis(250);

/// Connections that may wait in the kernel's queue to be accepted, as far as the system allows it
/// (`net.core.somaxconn`, 4096 by default). When it is full, a client tries again after a second or
/// more, so it must hold a flood and those beside it.
const QUEUE: u32 = 4096;

/// Listens for [`serve`].
///
/// # Errors
/// When the address is taken, or not one of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Serves until `stop` fires; then idle connections are closed at once and running requests may
/// finish within their bound. How long a request may take and how large its body may be is for the
/// routes to say.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    serve_any(listener, None, routes, limits, stop).await;
}

/// Works as [`serve`], over TLS, for clients with a certificate that `tls` accepts.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    serve_any(listener, Some(tls), routes, limits, stop).await;
}

async fn serve_any(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let wanted = limits.connections;
    let limits = limits.at_most(process::descriptors_of_a_listener());
    if limits.connections < wanted {
        tracing::warn!(
            address = listener.local_addr().ok().map(tracing::field::display),
            connections = limits.connections,
            wanted,
            remedy = "raise LimitNOFILE",
            "http.connections_lowered"
        );
    }
    let connections = TaskTracker::new();
    let server = Server {
        tls,
        routes,
        limits,
        stop: stop.clone(),
        open: Connections::new(limits),
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = server.accept(&listener, &connections) => {}
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(open = connections.len(), "http.requests_cut_off");
    }
}

/// The parts that every connection of a listener needs.
#[derive(Clone)]
struct Server {
    tls: Option<Arc<ServerTls>>,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
    open: Connections,
}

impl Server {
    async fn accept(&self, listener: &TcpListener, connections: &TaskTracker) {
        while let Ok(permit) = Arc::clone(&self.open.permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, client)) => {
                    let Some(place) = self.open.admit(client, permit) else {
                        continue;
                    };
                    let made_room = place.made_room;
                    connections.spawn(self.clone().meet(stream, client, place));
                    if made_room {
                        // In a flood, requests that have arrived go before more of the flood.
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "http.accept_failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The handshake, if there is to be one, then all requests.
    async fn meet(self, stream: TcpStream, client: SocketAddr, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "http.nodelay_failed");
        }
        let Some(tls) = &self.tls else {
            return self.converse(stream, client, place).await;
        };
        let handshake =
            tokio::time::timeout(self.limits.handshake_timeout, tls.acceptor().accept(stream));
        tokio::select! {
            biased;
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => {
                    place.set_stage(Stage::Idle);
                    self.converse(stream, client, place).await;
                }
                Ok(Err(error)) => {
                    if let Some(count) = lock(&self.open.refusals).is_due(Instant::now()) {
                        tracing::info!(%client, %error, count, "tls.client_refused");
                    }
                }
                Err(_) => tracing::debug!(%client, "tls.handshake_timed_out"),
            },
            () = place.evicted.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// All requests of one connection.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        client: SocketAddr,
        place: Place,
    ) {
        let place = Arc::new(place);
        let routes = TowerToHyperService::new(self.routes);
        let busy = Arc::clone(&place);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ClientAddress(client));
            request
                .extensions_mut()
                .insert(ClientConnection(Arc::clone(&busy)));
            let under_way = UnderWay::begin(&busy);
            let answer = routes.call(request);
            async move {
                let answer = answer.await;
                drop(under_way);
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut first_head = std::pin::pin!(tokio::time::sleep(self.limits.handshake_timeout));
        let (mut expects_first_head, mut is_stopping) = (true, false);
        let ended = loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => break ended,
                () = place.evicted.cancelled() => {
                    if place.stage() == Some(Stage::Unproven) {
                        return;
                    }
                    // The answer to the last request may not have been sent completely.
                    connection.as_mut().graceful_shutdown();
                    match tokio::time::timeout(EVICTION_GRACE, connection.as_mut()).await {
                        Ok(ended) => break ended,
                        Err(_) => return,
                    }
                }
                () = self.stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = first_head.as_mut(), if expects_first_head => {
                    if place.stage() == Some(Stage::Unproven) {
                        tracing::debug!(%client, "http.request_timed_out");
                        return;
                    }
                    expects_first_head = false;
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "http.connection_failed");
        }
    }
}
