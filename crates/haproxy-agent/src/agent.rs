//! Puts the parts together and runs them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::Timestamp;
use dps_host::TokenGuard;
use dps_host::http_server::{self, ServerLimits};
use dps_host::{mutual_tls, service_manager};
use dps_http_probe::HttpProber;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::disk::{Disk, DiskError, Tombstones};
use crate::edge::writer::{self, Writer};
use crate::edge::{Edge, Parts, Rounds, Shared, View};
use crate::handshake::Prober;
use crate::http::{App, Door, router};
use crate::metrics::Metrics;
use crate::runtime_api::RuntimeApi;
use crate::settings::{Checked, Settings, SettingsError, TlsListener};

/// The agent cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A setting cannot be used.
    #[error("the settings are not valid")]
    Settings(#[from] SettingsError),
    /// The state directory cannot be used.
    #[error("cannot use the state directory")]
    Disk(#[from] DiskError),
    /// TLS is not available.
    #[error("cannot set up TLS")]
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
/// HTTP probes at once; each holds one connection for seconds.
const MAX_PROBES: usize = 64;

/// An agent that has read its disk and listens, but serves nothing yet.
pub struct Agent {
    listener: TcpListener,
    address: SocketAddr,
    /// With `Agent:Tls`.
    encrypted: Option<(TcpListener, SocketAddr)>,
    app: App,
    writer: Writer,
}

/// Runs an agent as the service of its process until `shutdown` is cancelled: binds, notifies the
/// service manager that it is ready, and serves.
pub async fn run(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    let agent = Agent::bind(settings, clock).await?;
    // The crt-list is there now, so a unit ordered after ours may start HAProxy.
    service_manager::notify_ready();
    agent.serve(shutdown).await
}

impl Agent {
    /// Checks the settings, reads the state directory (after which HAProxy can start, since the
    /// crt-list is there), binds the listener, and begins to watch HAProxy. It need not run yet.
    pub async fn bind(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let settings = settings.checked()?;
        let (disk, view, removed) = open(&settings, clock.now()).await?;
        let challenges = restored(&settings, disk.clone(), clock.now()).await;
        let (listener, address) = listen(settings.listen)?;
        let encrypted = match &settings.tls {
            Some(TlsListener { address, .. }) => Some(listen(*address)?),
            None => None,
        };

        tracing::info!(%address, tls = encrypted.as_ref().map(|(_, address)| address.to_string()), certificates = view.held.len(), crt_list = %disk.list(), "agent.started");
        let shared = Arc::new(Shared::new(view));
        let metrics = Metrics::new();
        let prober = Prober::new(settings.tls_address, settings.handshake_timeout)?;
        let edge = Edge::from(Parts {
            disk: disk.clone(),
            runtime: RuntimeApi::new(settings.endpoint, settings.limits),
            prober: prober.clone(),
            shared: Arc::clone(&shared),
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            max_certificates: settings.max_certificates,
            reload_grace: settings.reload_grace,
            reload_timeout: settings.reload_timeout,
            removed,
        });
        let rounds = Rounds {
            watch: settings.watch_interval,
            audit: settings.audit_interval,
        };
        let (edge, writer) = writer::start(edge, rounds);
        let app = App {
            edge,
            shared,
            challenges: Arc::new(challenges),
            disk,
            metrics,
            started_at: clock.now(),
            clock,
            token: settings
                .token
                .as_ref()
                .map(|token| Arc::new(TokenGuard::new("Agent:Token", token))),
            tls: settings.tls.map(|listener| listener.tls),
            request_timeout: settings.request_timeout,
            http_prober: Arc::new(HttpProber::new(settings.probe)),
            prober,
            probe_turns: Arc::new(Semaphore::new(MAX_PROBES)),
        };
        Ok(Self {
            listener,
            address,
            encrypted,
            app,
            writer,
        })
    }

    /// Where the agent listens without encryption; reports the port when the settings say 0.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens with mutual TLS, if it does.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.encrypted.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `shutdown` is cancelled, then lets requests and the certificate under way end.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let limits = ServerLimits {
            drain_timeout: DRAIN,
            ..ServerLimits::default()
        };
        let Self { app, writer, .. } = self;
        if let (Some((listener, _)), Some(tls)) = (self.encrypted, app.tls.clone()) {
            let plain = router(app.clone(), Door::Public);
            let refreshed = Arc::clone(&tls);
            tokio::join!(
                http_server::serve(self.listener, plain, limits, shutdown.clone()),
                http_server::serve_tls(
                    listener,
                    tls,
                    router(app, Door::Service),
                    limits,
                    shutdown.clone()
                ),
                mutual_tls::watch(move || refreshed.refresh(), shutdown),
            );
        } else {
            http_server::serve(self.listener, router(app, Door::Service), limits, shutdown).await;
        }
        if tokio::time::timeout(DRAIN, writer.finish()).await.is_err() {
            tracing::warn!("apply.interrupted");
        }
        Ok(())
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AgentError> {
    let failed = |source| AgentError::Listen { address, source };
    let listener = http_server::listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The challenges that were answered before the last stop.
async fn restored(settings: &Checked, disk: Disk, now: Timestamp) -> Challenges {
    let (capacity, ttl) = (settings.max_challenges, settings.challenge_ttl);
    let challenges = Challenges::new(capacity, ttl);
    let read = tokio::task::spawn_blocking(move || disk.kept_challenges(capacity, ttl, now));
    let kept = match read.await {
        Ok(kept) => kept,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    for one in kept {
        let remaining = one.expires_at.since(now);
        challenges.restore(one.token, one.key_authorization, Instant::now() + remaining);
    }
    challenges
}

async fn open(settings: &Checked, now: Timestamp) -> Result<(Disk, View, Tombstones), AgentError> {
    let root = settings.state_directory.clone();
    let read = move || {
        let disk = Disk::open(&root)?;
        disk.ensure_default_certificate(now)?;
        let removed = disk.tombstones(now);
        let held = disk.load(&removed, now)?;
        disk.clean_quarantine(now);
        let view = View {
            held,
            quarantined: disk.quarantined(),
            ..View::default()
        };
        Ok((disk, view, removed))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result.map_err(AgentError::Disk),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
