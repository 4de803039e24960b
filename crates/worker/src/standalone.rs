//! Service, Cabinet and agent in one process: `dps standalone`, and the heart of `dps demo`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use dps_application::Service;
use dps_domain::NameSuffix;
use dps_host::Secret;
use dps_store::Store;
use dps_x509::create_private_file;
use haproxy_domain_agent::{Agent, SystemClock as AgentClock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::{AgentTokens, DataFolder, Settings};
use crate::http::Readiness;
use crate::service::{self, Front, Sides};
use crate::wiring::{self, Peers};

/// The platform's token for the Cabinet, beside the databases.
pub(crate) const API_TOKEN_FILE: &str = "cabinet-api.token";

/// All three, running.
pub struct Standalone {
    /// Where the Cabinet listens.
    pub cabinet: SocketAddr,
    /// Where the agent listens.
    pub agent: SocketAddr,
    /// Where health and metrics are served.
    pub http: SocketAddr,
    /// Where the admin API listens; `None` if it is off.
    pub admin: Option<SocketAddr>,
    /// The service, for calls in the same process.
    pub service: Service,
    workers: JoinHandle<anyhow::Result<()>>,
    parts: Vec<JoinHandle<anyhow::Result<()>>>,
    stop_parts: CancellationToken,
    store: Arc<Store>,
}

/// Starts all three. Their tokens are generated at every start unless they are set. The platform's
/// token for the Cabinet is kept in a file, created at the first start.
pub async fn start(
    mut settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<Standalone> {
    let front = Front::open(settings.http.listen, Readiness::starting(shutdown.clone()))?;
    let store = wiring::open_store(&settings, Some(front.metrics.store())).await?;
    draw_tokens(&mut settings)?;
    note_own_names(&mut settings);
    let started = Box::pin(start_on(&settings, Arc::clone(&store), front, shutdown)).await;
    if started.is_err() {
        wiring::close_store(&store).await;
    }
    started
}

/// The Cabinet of the same process knows the names of the edges.
fn note_own_names(settings: &mut Settings) {
    let edges = settings.haproxy_agent.edge_names();
    // A name that is none is reported by the service's own check.
    let edges = edges
        .into_iter()
        .filter(|name| NameSuffix::parse(name).is_ok());
    let edges: Vec<String> = edges.map(str::to_owned).collect();
    settings.cabinet.own_names.extend(edges);
}

/// The tokens that are not set.
fn draw_tokens(settings: &mut Settings) -> anyhow::Result<()> {
    let agent_token = token_or_random(
        settings.agent.token.as_ref(),
        settings.agent.token_file.as_deref(),
    )?;
    settings.agent.token = Some(agent_token);
    settings.agent.token_file = None;
    let cabinet_token = token_or_random(
        settings.cabinet.service_token.as_ref(),
        settings.cabinet.service_token_file.as_deref(),
    )?;
    settings.cabinet.service_token = Some(cabinet_token);
    settings.cabinet.service_token_file = None;
    if settings.cabinet.api_token.is_none() && settings.cabinet.api_token_file.is_none() {
        settings.cabinet.api_token_file = Some(api_token_file(&mut settings.data)?);
    }
    Ok(())
}

async fn start_on(
    settings: &Settings,
    store: Arc<Store>,
    front: Front,
    shutdown: CancellationToken,
) -> anyhow::Result<Standalone> {
    let stop_parts = CancellationToken::new();
    let agent = Agent::bind(&settings.agent, Arc::new(AgentClock))
        .await
        .context("the agent cannot start")?;
    let cabinet = dps_cabinet::bind(settings.cabinet.clone())
        .await
        .context("the Cabinet cannot start")?;
    let (agent_address, cabinet_address) = (agent.local_addr(), cabinet.local_addr());
    let peers = Peers {
        cabinet: base_url(cabinet_address)?,
        cabinet_token: settings
            .cabinet
            .service_token
            .clone()
            .context("the Cabinet has no token for the service")?,
        agents: vec![base_url(agent_address)?],
        directory: None,
        agent_tokens: AgentTokens::shared(settings.agent.token.clone()),
        agent_tls: None,
    };
    let service = wiring::service(settings, &peers, &front.metrics, Arc::clone(&store)).await?;
    let http_address = front.address();
    let sides = Sides::bind(settings, &service, &front)?;
    let admin_address = sides.admin.as_ref().map(|admin| admin.address);

    let (stop_agent, stop_cabinet) = (stop_parts.clone(), stop_parts.clone());
    let parts = vec![
        tokio::spawn(async move { agent.serve(stop_agent).await.context("the agent failed") }),
        tokio::spawn(async move {
            cabinet
                .run(stop_cabinet)
                .await
                .context("the Cabinet failed")
        }),
    ];
    let workers = tokio::spawn(service::serve(
        service.clone(),
        None,
        (front, sides),
        shutdown,
    ));
    Ok(Standalone {
        cabinet: cabinet_address,
        agent: agent_address,
        http: http_address,
        admin: admin_address,
        service,
        workers,
        parts,
        stop_parts,
        store,
    })
}

impl Standalone {
    /// Waits until the shutdown has drained the service, then stops Cabinet and agent and closes
    /// the store. If one of the parts ends by itself, all end.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let ended = self.end().await;
        wiring::close_store(&self.store).await;
        ended
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        let result = (&mut self.workers).await.context("the service panicked")?;
        self.stop_parts.cancel();
        for part in &mut self.parts {
            part.await.context("a part of the process panicked")??;
        }
        result
    }
}

fn token_or_random(value: Option<&Secret>, file: Option<&Path>) -> anyhow::Result<Secret> {
    Ok(Secret::resolve(value, file)?.unwrap_or_else(random_token))
}

/// 32 random bytes as hex.
pub(crate) fn random_token() -> Secret {
    Secret::from(dps_host::randomness::hex(32))
}

/// The file with the platform's token for the Cabinet, made on first use and readable by its owner
/// alone.
fn api_token_file(data: &mut DataFolder) -> anyhow::Result<PathBuf> {
    let path = data.path.join(API_TOKEN_FILE);
    if !path.exists() {
        // Where earlier versions kept it: a second one would lock the platform's backend out.
        data.note_misplaced("Cabinet:ApiTokenFile", Path::new(API_TOKEN_FILE));
        if let Some(finding) = data.misplaced("Cabinet").next() {
            anyhow::bail!("{finding}");
        }
        create_private_file(&path, random_token().expose().as_bytes())
            .with_context(|| format!("cannot create {}", path.display()))?;
        tracing::info!(path = %path.display(), "cabinet.token_created");
    }
    Ok(path)
}

/// The URL under which this process reaches a listener of its own.
fn base_url(address: SocketAddr) -> anyhow::Result<Url> {
    let reachable = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        }
        ip if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())),
        _ => address,
    };
    Url::parse(&format!("http://{reachable}")).context("the address is not valid in a URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cabinet_of_the_same_process_knows_the_names_of_the_edges() {
        let mut settings = Settings::default();
        settings.cabinet.own_names = vec!["own.example".to_owned()];
        let agents = &mut settings.haproxy_agent;
        agents.base_urls = [
            "https://edge-1.machines.example:9403",
            "http://127.0.0.1:9403",
        ]
        .map(|url| url.parse().unwrap())
        .into();
        agents.discovery.name = Some("_haproxy-agent._tcp.edges.example".to_owned());
        note_own_names(&mut settings);
        let expected = ["own.example", "edge-1.machines.example", "edges.example"];
        assert_eq!(settings.cabinet.own_names, expected);
    }
}
