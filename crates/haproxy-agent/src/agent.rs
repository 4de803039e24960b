//! Puts the parts together and runs them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_host::BearerToken;
use dps_host::http_server::{self, ServerLimits};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::edge::writer::{self, Writer};
use crate::edge::{Edge, Shared, View};
use crate::handshake::Prober;
use crate::http::{App, router};
use crate::metrics::Metrics;
use crate::runtime_api::RuntimeApi;
use crate::settings::{Checked, Settings, SettingsError};

/// The agent cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A setting cannot be used.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// The state directory cannot be used.
    #[error("the state directory cannot be used")]
    Disk(#[from] DiskError),
    /// TLS is not available.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// After the signal to stop, requests that are under way get so long to end.
const DRAIN: Duration = Duration::from_secs(10);

/// An agent that has read its disk and listens, but serves nothing yet.
pub struct Agent {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    writer: Writer,
}

/// Runs an agent until `shutdown` is cancelled: [`Agent::bind`], then [`Agent::serve`].
pub async fn run(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    Agent::bind(settings, clock).await?.serve(shutdown).await
}

impl Agent {
    /// Checks the settings, reads the state directory (after which HAProxy can start, since the crt-list is there), binds the
    /// listener, and begins to watch HAProxy. It need not run yet.
    pub async fn bind(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let settings = settings.checked()?;
        let (disk, view) = open(&settings).await?;
        let listen = |source| AgentError::Listen {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        tracing::info!(%address, certificates = view.held.len(), crt_list = %disk.list(), "the agent is ready");
        let shared = Arc::new(Shared::new(view));
        let metrics = Metrics::new();
        let edge = Edge::new(
            disk,
            RuntimeApi::new(settings.endpoint, settings.limits),
            Prober::new(settings.tls_address, settings.handshake_timeout)?,
            Arc::clone(&shared),
            metrics.clone(),
            Arc::clone(&clock),
            settings.max_certificates,
        );
        let (edge, writer) = writer::start(edge, settings.watch_interval);
        let challenges = Arc::new(Challenges::new(settings.max_challenges, settings.challenge_ttl));
        let app = App {
            edge,
            shared,
            challenges,
            metrics,
            clock,
            token: BearerToken::new(&settings.token),
            request_timeout: settings.request_timeout,
        };
        Ok(Self {
            listener,
            address,
            app,
            writer,
        })
    }

    /// Where the agent listens; tells the port when the settings say 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled, then lets requests and the certificate under way end.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let limits = ServerLimits {
            drain_timeout: DRAIN,
            ..ServerLimits::default()
        };
        http_server::serve(self.listener, router(self.app), limits, shutdown).await;
        if tokio::time::timeout(DRAIN, self.writer.finish()).await.is_err() {
            tracing::warn!("the certificate under way did not end in time; the next start repairs it");
        }
        Ok(())
    }
}

async fn open(settings: &Checked) -> Result<(Disk, View), AgentError> {
    let root = settings.state_directory.clone();
    let read = move || {
        let disk = Disk::open(&root)?;
        let view = View {
            held: disk.load()?,
            quarantined: disk.quarantined(),
            ..View::default()
        };
        Ok((disk, view))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result.map_err(AgentError::Disk),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
