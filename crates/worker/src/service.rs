//! `dps run`: the workers, with health and metrics beside them.

mod gauges;
mod heartbeat;
pub(crate) mod readiness_checks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_application::Service;
use dps_application::ports::webhooks::WebhookEndpoint;
use dps_application::webhooks::{self, Webhooks};
use dps_host::http_server::{self, ServerLimits};
use dps_host::mutual_tls::{self, ClientTls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::config::Settings;
use crate::http::{Readiness, Surface, router};
use crate::telemetry::Metrics;
use crate::wiring::{self, Peers};

/// How long requests for health and metrics may hold up the end of the process.
const HTTP_DRAIN: Duration = Duration::from_secs(2);

/// Runs the service as the settings say, until `shutdown`.
pub async fn run(settings: &Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let peers = Peers::configured(settings)?;
    let readiness = Readiness::starting(shutdown.clone());
    let front = Front::open(settings.http.listen, readiness)?;
    // A migration may take long, and may wait for that of another replica.
    let opening = wiring::open_store(settings, Some(front.metrics.store()));
    let store = match shutdown.run_until_cancelled(opening).await {
        Some(Ok(store)) => store,
        Some(Err(error)) => {
            front.close().await?;
            return Err(error);
        }
        None => return front.close().await,
    };
    let metrics = front.metrics.clone();
    let ran = match wiring::service(settings, &peers, &metrics, Arc::clone(&store)).await {
        Ok(service) => match Sides::bind(settings, &service, &front) {
            Ok(sides) => serve(service, peers.agent_tls.clone(), (front, sides), shutdown).await,
            Err(error) => front.close().await.and(Err(error)),
        },
        Err(error) => front.close().await.and(Err(error)),
    };
    wiring::close_store(&store).await;
    ran
}

/// Health and metrics of this process, answered from its start to its end.
pub(crate) struct Front {
    pub(crate) metrics: Metrics,
    readiness: Arc<Readiness>,
    address: SocketAddr,
    server: JoinHandle<()>,
    drained: CancellationToken,
}

impl Front {
    /// Listens and answers from now on.
    pub(crate) fn open(listen: SocketAddr, readiness: Readiness) -> anyhow::Result<Self> {
        let listener = http_server::listen(listen)
            .with_context(|| format!("Http:Listen {listen} cannot be bound"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "http.listening");
        let (metrics, readiness, drained) = (
            Metrics::new(),
            Arc::new(readiness),
            CancellationToken::new(),
        );
        let surface = Surface {
            metrics: metrics.clone(),
            readiness: Arc::clone(&readiness),
        };
        let limits = ServerLimits {
            drain_timeout: HTTP_DRAIN,
            ..ServerLimits::default()
        };
        let server = http_server::serve(listener, router(surface), limits, drained.clone());
        Ok(Self {
            metrics,
            readiness,
            address,
            server: tokio::spawn(server),
            drained,
        })
    }

    /// Where it listens; the real port if port 0 was requested.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn shared_readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.readiness)
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Answers what is under way, and listens no more.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.drained.cancel();
        Ok(self.server.await?)
    }
}

/// The parts beside the workers that the settings name.
pub(crate) struct Sides {
    /// The admin API; `None` while it is off.
    pub(crate) admin: Option<admin::Bound>,
    webhooks: Vec<Arc<dyn WebhookEndpoint>>,
}

impl Sides {
    /// Binds the listener of the admin API, and reads the secrets of the receivers.
    pub(crate) fn bind(
        settings: &Settings,
        service: &Service,
        front: &Front,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            webhooks: wiring::webhook_endpoints(settings)?,
            admin: admin::bind(settings, service, front)?,
        })
    }
}

/// Runs the workers until `shutdown`; they drain first, so that health is answered meanwhile.
pub(crate) async fn serve(
    service: Service,
    agent_tls: Option<ClientTls>,
    (front, sides): (Front, Sides),
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let drained = front.drained.clone();
    let checks = readiness_checks::all(&service, agent_tls.as_ref());
    front.readiness.started(checks);
    let receivers = sides.webhooks.iter().map(|one| one.name().to_owned());
    let gauges = tokio::spawn(gauges::refresh(
        service.clone(),
        agent_tls.clone(),
        receivers.collect(),
        front.metrics.clone(),
        drained.clone(),
    ));
    let files = agent_tls
        .map(|tls| tokio::spawn(mutual_tls::watch(move || tls.refresh(), drained.clone())));
    let admin = sides.admin;
    let beats = heartbeat::run(service.clone(), admin.is_some(), drained.clone());
    let beats = tokio::spawn(beats);
    let admin = admin.map(|admin| tokio::spawn(admin.run(drained.clone())));
    let ports = Webhooks {
        store: Arc::clone(&service.store),
        clock: Arc::clone(&service.clock),
        randomness: Arc::clone(&service.randomness),
        metrics: Arc::new(front.metrics.clone()),
    };
    let webhooks = tokio::spawn(webhooks::run(ports, sides.webhooks, drained.clone()));
    tracing::info!(
        edges = service.fleet.members().len(),
        resolvers = service.resolvers.status().len(),
        replica = %service.replica,
        "service.started"
    );
    dps_application::run(service, shutdown).await;
    drained.cancel();
    gauges.await?;
    webhooks.await?;
    beats.await?;
    for task in [files, admin].into_iter().flatten() {
        task.await?;
    }
    front.close().await?;
    tracing::info!("service.drained");
    Ok(())
}
