//! Serving HTTP/1.1 with bounds that no client can stretch, plain or over TLS in which the client shows a certificate.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::mutual_tls::ServerTls;

/// The bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections served at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a client may take for the TLS handshake, and for the head of a request, the wait between two requests included.
    pub head_timeout: Duration,
    /// Longest head of a request, in bytes; at least 8192.
    pub head_bytes: usize,
    /// How long running requests may take to finish after the stop.
    pub drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head_timeout: Duration::from_secs(30),
            head_bytes: 16 * 1024,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` fires; then idle connections are closed at once and running requests may finish within their bound.
/// How long a request may take and how large its body may be is for the routes to say.
pub async fn serve(listener: TcpListener, routes: Router, limits: ServerLimits, stop: CancellationToken) {
    serve_any(listener, None, routes, limits, stop).await;
}

/// As [`serve`], over TLS to clients that show a certificate which `tls` believes.
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
    let connections = TaskTracker::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept((&listener, tls.as_ref()), &routes, limits, &connections, &stop) => {}
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "requests were still running when the server stopped"
        );
    }
}

async fn accept(
    (listener, tls): (&TcpListener, Option<&Arc<ServerTls>>),
    routes: &Router,
    limits: ServerLimits,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = meet(stream, tls.cloned(), routes.clone(), limits, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The handshake, if there is to be one, then all requests.
async fn meet(
    stream: TcpStream,
    tls: Option<Arc<ServerTls>>,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets may be delayed on this connection");
    }
    let Some(tls) = tls else {
        return converse(stream, routes, limits, stop).await;
    };
    let peer = stream.peer_addr().ok();
    let handshake = tokio::time::timeout(limits.head_timeout, tls.acceptor().accept(stream));
    match stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => converse(stream, routes, limits, stop).await,
        Some(Ok(Err(error))) => tracing::info!(?peer, %error, "a TLS client was refused"),
        Some(Err(_)) => tracing::debug!(?peer, "a TLS handshake took too long"),
        None => {}
    }
}

/// All requests of one connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    routes: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
