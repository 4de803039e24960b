//! Edge and HTTP probe against a real agent beside a real HAProxy with the configuration that we
//! ship.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_agent_api::{AgentClient, ClientOptions, HealthStatus};
use dps_application::ports::edge::{DeployRequest, EdgeError};
use dps_application::ports::{Edge, HttpProbe};
use dps_domain::Hostname;
use dps_domain::inventory::InventoryDigest;
use dps_domain::probe::ProbeAnswer;
use dps_infrastructure::edge::AgentEdge;
use dps_infrastructure::http_probe::{HyperProbe, ProbeSettings};
use dps_lab::haproxy::{self, HaProxy};
use dps_lab::tls::{LocalAuthority, install_crypto_provider, served_leaf};
use dps_lab::{free_ports, wait};
use dps_x509::CertificateChain;
use haproxy_domain_agent::{Agent, Settings, SystemClock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "token-of-the-tests";
const CHALLENGE: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const AUTHORIZATION: &str =
    "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

/// One edge. Everything ends with the test.
struct World {
    http: SocketAddr,
    https: SocketAddr,
    client: AgentClient,
    haproxy: HaProxy,
    _agent: JoinSet<()>,
    _home: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        install_crypto_provider();
        let home = haproxy::home().unwrap();
        let [http, https] = free_ports::<2>()
            .unwrap()
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: Some(TOKEN.into()),
            state_directory: home.path().join("state"),
            haproxy_socket: home.path().join("haproxy.sock").display().to_string(),
            tls_address: https,
            watch_interval: Duration::from_millis(100).into(),
            ..Settings::default()
        };
        let agent = Agent::bind(&settings, Arc::new(SystemClock)).await.unwrap();
        let base = format!("http://{}", agent.local_addr());
        let config = shipped_config(&settings, agent.local_addr(), http, https);
        let mut task = JoinSet::new();
        task.spawn(async move { agent.serve(CancellationToken::new()).await.unwrap() });
        let haproxy = HaProxy::start(home.path(), &config, &[http, https])
            .await
            .unwrap();
        let client = AgentClient::new(
            base.parse().unwrap(),
            secrecy::SecretString::from(TOKEN),
            ClientOptions::default(),
        )
        .unwrap();
        wait::until(
            "the agent sees HAProxy in line",
            Duration::from_secs(30),
            async || {
                let health = client.health().await.ok()?;
                (health.status == HealthStatus::Ok).then_some(())
            },
        )
        .await
        .unwrap();
        Self {
            http,
            https,
            client,
            haproxy,
            _agent: task,
            _home: home,
        }
    }

    fn edge(&self) -> AgentEdge {
        AgentEdge::new(self.client.clone())
    }

    /// The probe through HAProxy's port for plain HTTP.
    async fn probe(&self) -> ProbeAnswer {
        let probe = HyperProbe::new(ProbeSettings {
            port: self.http.port(),
            allow_private: true,
            ..ProbeSettings::default()
        });
        probe
            .probe(&host(), self.http.ip(), CHALLENGE, AUTHORIZATION)
            .await
    }
}

/// The configuration that we ship, with this world's paths and ports in the place of the usual
/// ones.
fn shipped_config(
    settings: &Settings,
    agent: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
) -> String {
    let mut text = include_str!("../../../deploy/haproxy/haproxy.cfg").to_owned();
    let (agent, http, https) = (agent.to_string(), http.to_string(), https.to_string());
    for (usual, ours) in [
        (
            "/run/haproxy/domain-agent.sock",
            settings.haproxy_socket.as_str(),
        ),
        (
            "/var/lib/haproxy-domain-agent",
            settings.state_directory.to_str().unwrap(),
        ),
        (":80,[::]:80", &http),
        (":443,[::]:443", &https),
        ("127.0.0.1:9402", &agent),
        // Only root may become another user.
        (" user haproxy group haproxy-domain-agent", ""),
        ("    chroot /var/lib/haproxy\n", ""),
        ("    user haproxy\n    group haproxy\n", ""),
    ] {
        assert!(
            text.contains(usual),
            "the shipped configuration has no {usual}"
        );
        text = text.replace(usual, ours);
    }
    text
}

fn host() -> Hostname {
    Hostname::parse("shop.example.com").unwrap()
}

fn deploy_request(authority: &LocalAuthority, generation: u64) -> DeployRequest {
    let identity = authority.certify(&[host().as_str()]).unwrap();
    let chain = CertificateChain::from_pem(&identity.certificate_pem).unwrap();
    DeployRequest {
        hostname: host(),
        fingerprint: chain.fingerprint().to_owned(),
        chain_pem: identity.certificate_pem.clone(),
        key_pem: identity.key_pem().into(),
        generation,
    }
}

#[tokio::test]
async fn a_published_challenge_is_seen_by_the_probe_until_it_is_withdrawn() {
    let world = World::start().await;
    let edge = world.edge();
    assert_eq!(world.probe().await, ProbeAnswer::Status(404));
    edge.publish_challenge(CHALLENGE, AUTHORIZATION)
        .await
        .unwrap();
    edge.publish_challenge(CHALLENGE, AUTHORIZATION)
        .await
        .unwrap();
    assert_eq!(world.probe().await, ProbeAnswer::Ours);
    edge.withdraw_challenge(CHALLENGE).await.unwrap();
    edge.withdraw_challenge(CHALLENGE).await.unwrap();
    assert_eq!(world.probe().await, ProbeAnswer::Status(404));
}

#[tokio::test]
async fn an_applied_certificate_is_served_and_a_removed_one_is_not() {
    let world = World::start().await;
    let (edge, authority) = (world.edge(), LocalAuthority::new().unwrap());
    let (first, second) = (deploy_request(&authority, 1), deploy_request(&authority, 2));
    let root = authority.root_pem();
    for wanted in [&first, &second, &second] {
        edge.deploy(wanted).await.unwrap();
        let leaf = served_leaf(world.https, host().as_str(), &root)
            .await
            .unwrap();
        assert_eq!(leaf.fingerprint, wanted.fingerprint);
    }
    let older = edge.deploy(&first).await.unwrap_err();
    assert!(matches!(older, EdgeError::Newer { .. }), "{older}");
    edge.check().await.unwrap();
    let mut digest = InventoryDigest::default();
    digest.toggle(&host(), &second.fingerprint, 2);
    let held = edge.inventory(None, 10).await.unwrap();
    assert_eq!(held.digest, digest.to_hex());
    assert_eq!(held.entries.len(), 1);
    edge.undeploy(&host(), Some(1)).await.unwrap();
    let leaf = served_leaf(world.https, host().as_str(), &root)
        .await
        .unwrap();
    assert_eq!(
        leaf.fingerprint, second.fingerprint,
        "a late removal takes nothing newer down"
    );
    edge.undeploy(&host(), None).await.unwrap();
    edge.undeploy(&host(), None).await.unwrap();
    assert!(
        served_leaf(world.https, host().as_str(), &root)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_certificate_with_somebody_elses_key_is_rejected_with_the_agents_code() {
    let world = World::start().await;
    let authority = LocalAuthority::new().unwrap();
    let mixed = DeployRequest {
        key_pem: deploy_request(&authority, 1).key_pem,
        ..deploy_request(&authority, 1)
    };
    let error = world.edge().deploy(&mixed).await.unwrap_err();
    assert!(
        matches!(error, EdgeError::Rejected { ref reason, .. } if reason.contains("KEY_MISMATCH")),
        "{error}"
    );
    assert!(!error.to_string().contains("PRIVATE KEY"), "{error}");
}

#[tokio::test]
async fn an_edge_whose_haproxy_died_or_whose_token_differs_is_unreachable() {
    let mut world = World::start().await;
    let authority = LocalAuthority::new().unwrap();
    let stranger = AgentClient::new(
        world.client.base().clone(),
        secrecy::SecretString::from("another token"),
        ClientOptions::default(),
    );
    let error = AgentEdge::new(stranger.unwrap())
        .publish_challenge(CHALLENGE, AUTHORIZATION)
        .await
        .unwrap_err();
    assert!(
        matches!(error, EdgeError::Unreachable { ref detail, .. } if detail.contains("token")),
        "{error}"
    );
    world.haproxy.kill().unwrap();
    let error = world
        .edge()
        .deploy(&deploy_request(&authority, 1))
        .await
        .unwrap_err();
    assert!(matches!(error, EdgeError::Unreachable { .. }), "{error}");
}
