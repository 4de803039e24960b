//! Listening and serving, with bounds that no client can stretch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::{self, App};
use crate::settings::Settings;
use crate::{CabinetError, Ports, store};

/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take for the head of a request, the wait between two requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long running requests may take to finish after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A Cabinet that listens; [`Bound::run`] serves.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    local_addr: SocketAddr,
    router: Router,
    /// Ends long polls; fired when the shutdown begins.
    draining: CancellationToken,
}

/// Opens the database, applies migrations and listens, with the clock and the random numbers of this machine.
///
/// # Errors
/// Bad settings, an unusable database, or an address that is taken.
pub async fn bind(settings: Settings) -> Result<Bound, CabinetError> {
    bind_with(settings, Ports::system()).await
}

/// As [`bind`], with the given clock and random numbers.
///
/// # Errors
/// As [`bind`].
pub async fn bind_with(settings: Settings, ports: Ports) -> Result<Bound, CabinetError> {
    let draining = CancellationToken::new();
    // Settings are checked before the database is touched.
    let draft = http::AppDraft::new(&settings, ports, draining.clone())?;
    let store = store::open(settings.connection_string.expose()).await?;
    let listen = |source| CabinetError::Listen {
        address: settings.listen,
        source,
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    tracing::info!(%local_addr, "the Cabinet listens");
    Ok(Bound {
        listener,
        local_addr,
        router: http::router(Arc::new(App::new(draft, store))),
        draining,
    })
}

impl Bound {
    /// Where the Cabinet listens; the real port if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` fires and the running requests are answered. Long polls are answered at once then.
    ///
    /// # Errors
    /// None at present: a failed accept is logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), CabinetError> {
        let connections = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let draining = self.draining.clone();
        let accepting = async {
            loop {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let connection = serve(stream, self.router.clone(), draining.clone());
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
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = accepting => {}
        }
        draining.cancel();
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                open = connections.len(),
                "requests were still running when the Cabinet stopped"
            );
        }
        Ok(())
    }
}

async fn serve(stream: TcpStream, router: Router, draining: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended badly");
    }
}
