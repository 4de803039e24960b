//! `dps run`: the workers, with health and metrics beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use dps_application::Service;
use dps_application::ports::store::StoreError;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, LimitKind};
use dps_domain::{Status, with_causes};
use dps_host::http_server::{self, ServerLimits};
use dps_host::mutual_tls::{self, ClientTls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::http::{HealthCheck, Readiness, Surface, router};
use crate::telemetry::Metrics;
use crate::wiring::{self, Peers};

/// How often the gauges are brought up to date.
const GAUGE_PERIOD: Duration = Duration::from_secs(15);
/// How long requests for health and metrics may hold up the end of the process.
const HTTP_DRAIN: Duration = Duration::from_secs(2);

/// Runs the service as the settings say, until `shutdown`.
pub async fn run(settings: &Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let peers = Peers::configured(settings)?;
    let readiness = Readiness::starting(shutdown.clone());
    let front = Front::open(settings.http.listen, readiness)?;
    // A migration may take long, and may wait for that of another replica.
    let opening = wiring::open_store(settings);
    let store = match shutdown.run_until_cancelled(opening).await {
        Some(Ok(store)) => store,
        Some(Err(error)) => {
            front.close().await?;
            return Err(error);
        }
        None => return front.close().await,
    };
    let port = Arc::new(front.metrics.clone());
    let ran = match wiring::service(settings, &peers, port, Arc::clone(&store)).await {
        Ok(service) => serve(service, peers.agent_tls.clone(), front, shutdown).await,
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

    /// Where it listens; the real port if port 0 was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
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

/// Runs the workers until `shutdown`; they drain first, so that health is answered meanwhile.
pub(crate) async fn serve(
    service: Service,
    agent_tls: Option<ClientTls>,
    front: Front,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let drained = front.drained.clone();
    let mut checks: Vec<Arc<dyn HealthCheck>> = vec![
        Arc::new(StoreAnswers(service.clone())),
        Arc::new(CabinetAnswers(service.clone())),
        Arc::new(IntakeGoesOn(service.clone())),
        Arc::new(EdgesAnswer(service.clone())),
        Arc::new(ResolversAnswer(service.clone())),
    ];
    if let Some(tls) = agent_tls.clone() {
        checks.push(Arc::new(OurCertificate(tls, service.clone())));
    }
    front.readiness.started(checks);
    let gauges = tokio::spawn(refresh(
        service.clone(),
        agent_tls.clone(),
        front.metrics.clone(),
        drained.clone(),
    ));
    let files = agent_tls
        .map(|tls| tokio::spawn(mutual_tls::watch(move || tls.refresh(), drained.clone())));
    tracing::info!(
        edges = service.fleet.members().len(),
        resolvers = service.resolvers.status().len(),
        replica = %service.replica,
        "service.started"
    );
    dps_application::run(service, shutdown).await;
    drained.cancel();
    gauges.await?;
    if let Some(files) = files {
        files.await?;
    }
    front.close().await?;
    tracing::info!("service.drained");
    Ok(())
}

/// Longer queues are told as this long.
const MOST_COUNTED: u32 = 100_000;

/// Sets the gauges of what this process knows by itself.
fn show_known(service: &Service, agent_tls: Option<&ClientTls>, gauges: &Metrics) {
    gauges.resolvers(&service.resolvers.status());
    gauges.cabinet(&service.cabinet_health.standing());
    if let Some(tls) = agent_tls {
        gauges.agent_tls_not_after(tls.state().expires_at);
    }
}

/// Keeps the gauges true without a query during a scrape.
async fn refresh(
    service: Service,
    agent_tls: Option<ClientTls>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (store, gauges) = (&service.store, &metrics);
    let look = async || -> Result<(), StoreError> {
        gauges.certificate_expiry(store.soonest_expiry().await?, service.now());
        gauges.orders_waiting(store.waiting(Lane::OrderQueue, MOST_COUNTED).await?);
        for kind in [LimitKind::NewOrders, LimitKind::NewAccounts] {
            let limit = service.limits.get(kind);
            if !limit.is_none() {
                let key = BucketKey::of_account(kind, service.ca.directory_url());
                let bucket = store.ledger_bucket(&key).await?;
                gauges.limit_remaining(kind, bucket.tokens(&limit, service.now()));
            }
        }
        gauges.outbox_reports(store.outbox_count(MOST_COUNTED).await?);
        gauges.outbox_waiting(store.outbox_oldest().await?, service.now());
        let members = service.fleet.members();
        let members: Vec<&str> = members.iter().map(|edge| edge.name()).collect();
        let grace = service.policy.unreachable_grace;
        gauges.edges(&members, &store.edges().await?, |reachability| {
            reachability.is_live(service.now(), grace)
        });
        for lane in Lane::ALL {
            let mut due = store.next_due(lane).await?;
            // The CA's wishes are asked for beside the looks at live domains.
            if lane == Lane::Recheck {
                due = due
                    .into_iter()
                    .chain(store.renewal_info_next_due().await?)
                    .min();
            }
            gauges.oldest_due(lane, due, service.now());
        }
        Ok(())
    };
    loop {
        // First, so that an outage of the store does not stop them.
        show_known(&service, agent_tls.as_ref(), gauges);
        match look().await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "metrics.not_refreshed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(GAUGE_PERIOD) => {}
        }
    }
}

/// Without the store nothing can be done.
struct StoreAnswers(Service);

#[async_trait]
impl HealthCheck for StoreAnswers {
    fn name(&self) -> &'static str {
        "store"
    }

    fn is_required(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        self.0
            .store
            .ping()
            .await
            .map_err(|error| with_causes(&error))
    }
}

/// Without the Cabinet no domain comes in and no report goes out, but renewals go on: shown, not
/// required.
struct CabinetAnswers(Service);

#[async_trait]
impl HealthCheck for CabinetAnswers {
    fn name(&self) -> &'static str {
        "cabinet"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let page = self.0.cabinet.list(Status::PendingRemoval, None).await;
        page.map(drop).map_err(|error| error.to_string())
    }
}

/// Passes of the intake that may fail before it is shown.
const LATE_PASSES: u32 = 10;
/// An intake is not called late before this.
const LATE: Duration = Duration::from_secs(5 * 60);

/// Domains that the Cabinet offers but that are not taken in, or not removed: shown, not required.
struct IntakeGoesOn(Service);

#[async_trait]
impl HealthCheck for IntakeGoesOn {
    fn name(&self) -> &'static str {
        "intake"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let late_after = (self.0.policy.intake_interval * LATE_PASSES).max(LATE);
        let standing = self.0.cabinet_health.standing();
        standing.check(self.0.now(), late_after)
    }
}

/// An edge that is away is waited for, then left out and caught up when it returns: shown, not
/// required.
struct EdgesAnswer(Service);

#[async_trait]
impl HealthCheck for EdgesAnswer {
    fn name(&self) -> &'static str {
        "edges"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let members = self.0.fleet.members();
        let waiting = self.0.fleet.waiting();
        if members.is_empty() && waiting.is_empty() {
            return Err("no edge is configured or found".into());
        }
        let known = self
            .0
            .store
            .edges()
            .await
            .map_err(|error| with_causes(&error))?;
        let silent: Vec<String> = known
            .iter()
            .filter(|known| known.reachability.is_unreachable())
            .filter(|known| members.iter().any(|edge| edge.name() == known.name))
            .map(|known| known.problem.clone().unwrap_or_else(|| known.name.clone()))
            .collect();
        let mut problems = Vec::new();
        if !silent.is_empty() {
            let (count, all) = (silent.len(), members.len());
            problems.push(format!("{count} of {all} edges: {}", silent.join("; ")));
        }
        if !waiting.is_empty() {
            problems.push(format!(
                "wait for `dps edges approve`: {}",
                waiting.join(", ")
            ));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(problems.join("; "))
    }
}

/// A resolver that does not answer is passed over while another works: shown, not required.
struct ResolversAnswer(Service);

#[async_trait]
impl HealthCheck for ResolversAnswer {
    fn name(&self) -> &'static str {
        "resolvers"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let all = self.0.resolvers.status();
        let problems: Vec<String> = all
            .iter()
            .filter_map(|resolver| {
                let problem = resolver.problem.as_ref()?;
                Some(format!("{}: {problem}", resolver.address))
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} of {} resolvers: {}",
            problems.len(),
            all.len(),
            problems.join("; ")
        ))
    }
}

/// From so long before its end, the certificate that we show to agents is reported.
const WARN_BEFORE_EXPIRY: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificate that we show to agents: shown and not required, since it works until the moment
/// that it does not.
struct OurCertificate(ClientTls, Service);

#[async_trait]
impl HealthCheck for OurCertificate {
    fn name(&self) -> &'static str {
        "agentTls"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let state = self.0.state();
        if let Some(problem) = state.problem {
            return Err(format!(
                "the changed files of HAProxyAgent:Tls cannot be used: {problem}"
            ));
        }
        if self.1.now() + WARN_BEFORE_EXPIRY < state.expires_at {
            return Ok(());
        }
        Err(format!(
            "the certificate of HAProxyAgent:Tls is valid until {}; renew it with `dps pki renew`",
            state.expires_at
        ))
    }
}
