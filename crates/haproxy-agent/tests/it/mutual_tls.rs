//! Who is let in by certificate, and what the listener without encryption still answers.

use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_agent_api::{Access, AgentClient, AgentError, ClientOptions};
use dps_host::mutual_tls::{ClientTls, TlsFiles};
use dps_lab::flood::Flood;
use dps_x509::{PeerName, PeerRole, PrivateAuthority};
use haproxy_domain_agent::{Clock, Settings, SystemClock, Tls};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::authority::DAY;
use crate::world::{TOKEN, World, eventually};

/// An authority with the folders of one service and one edge.
pub(crate) struct Fleet {
    authority: PrivateAuthority,
    folder: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let now = SystemClock.now();
        let fleet = Self {
            authority: PrivateAuthority::create("fleet", now - DAY, now + 3650 * DAY).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        fleet.issue("service", PeerRole::Client, "dps1", 365);
        fleet.issue("edge", PeerRole::Server, "127.0.0.1", 365);
        fleet
    }

    /// Writes, or replaces, the files of a machine.
    fn issue(&self, machine: &str, role: PeerRole, name: &str, days: u32) {
        let (name, now): (PeerName, _) = (name.parse().unwrap(), SystemClock.now());
        let (chain, key) = self
            .authority
            .issue(role, &[name], (now - DAY, now + days * DAY))
            .unwrap();
        std::fs::create_dir_all(self.folder.path().join(machine)).unwrap();
        std::fs::write(self.file(machine, "certificate"), chain.to_pem()).unwrap();
        let file = self.file(machine, "key");
        std::fs::write(&file, key.to_pem().expose_secret()).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(self.file(machine, "ca"), self.authority.chain().to_pem()).unwrap();
    }

    pub(crate) fn file(&self, machine: &str, name: &str) -> PathBuf {
        self.folder.path().join(machine).join(format!("{name}.pem"))
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls {
            listen: ([127, 0, 0, 1], 0).into(),
            certificate_file: Some(self.file("edge", "certificate")),
            key_file: Some(self.file("edge", "key")),
            client_ca_file: Some(self.file("edge", "ca")),
        }
    }

    fn client_tls(&self, machine: &str, authorities: &Path) -> ClientTls {
        ClientTls::open(TlsFiles {
            certificate: self.file(machine, "certificate"),
            key: self.file(machine, "key"),
            authorities: authorities.to_owned(),
        })
        .unwrap()
    }

    /// The credentials of a service with the files of this machine, which trusts this authority.
    fn access(&self, machine: &str, authorities: &Path, token: Option<&str>) -> Access {
        Access {
            token: token.map(SecretString::from),
            tls: Some(self.client_tls(machine, authorities).config().unwrap()),
        }
    }

    pub(crate) fn service(&self) -> Access {
        self.access("service", &self.file("service", "ca"), None)
    }
}

fn client(world: &World, host: &str, access: Access) -> AgentClient {
    let url = format!("https://{host}:{}", world.tls_address().port());
    AgentClient::new(url.parse().unwrap(), access, ClientOptions::default()).unwrap()
}

pub(crate) fn service_of(world: &World, fleet: &Fleet) -> AgentClient {
    client(world, "127.0.0.1", fleet.service())
}

async fn world(fleet: &Fleet, change: impl FnOnce(&mut Settings)) -> World {
    let mut world = World::with_settings(|settings| {
        settings.tls = fleet.tls();
        settings.token = None;
        change(settings);
    })
    .await;
    world.start_haproxy().await;
    world
}

/// The whole chain of causes of a call that did not come to an answer.
async fn refusal(client: &AgentClient) -> String {
    match client.inventory(None, 1).await {
        Err(error @ AgentError::Unreachable { .. }) => dps_domain::with_causes(&error),
        other => panic!("let in: {other:?}"),
    }
}

#[tokio::test]
async fn only_the_services_own_certificate_gives_orders() {
    let (fleet, stranger) = (Fleet::new(), Fleet::new());
    let world = world(&fleet, |_| ()).await;
    let issued = world.authority.issue("shop.example.com");
    let service = service_of(&world, &fleet);
    service.apply(&issued.request(1)).await.unwrap();
    world.assert_serves(&issued).await;
    assert_eq!(service.inventory(None, 10).await.unwrap().items.len(), 1);

    let ours = fleet.file("service", "ca");
    let anonymous = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::aws_lc_rs::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots(&ours))
    .with_no_client_auth();
    let anonymous = Access {
        token: Some(SecretString::from(TOKEN)),
        tls: Some(anonymous),
    };
    for (what, host, access, reason) in [
        (
            "no certificate",
            "127.0.0.1",
            anonymous,
            "CertificateRequired",
        ),
        (
            "another authority's",
            "127.0.0.1",
            stranger.access("service", &ours, None),
            "alert",
        ),
        // A key stolen from one edge does not command the others.
        (
            "an edge's",
            "127.0.0.1",
            fleet.access("edge", &ours, None),
            "alert",
        ),
        (
            "ours, to a stranger",
            "127.0.0.1",
            fleet.access("service", &stranger.file("service", "ca"), None),
            "invalid peer certificate",
        ),
        (
            "ours, under another name",
            "localhost",
            fleet.service(),
            "not valid for name",
        ),
    ] {
        let message = refusal(&client(&world, host, access)).await;
        assert!(message.contains(reason), "{what}: {message}");
    }
    assert_eq!(service.inventory(None, 10).await.unwrap().items.len(), 1);
}

fn roots(path: &Path) -> rustls::RootCertStore {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_file(path).unwrap())
        .unwrap();
    roots
}

#[tokio::test]
async fn without_encryption_challenges_and_health_are_answered_and_orders_are_not() {
    let fleet = Fleet::new();
    let world = world(&fleet, |_| ()).await;
    let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        .parse()
        .unwrap();
    let service = service_of(&world, &fleet);
    service
        .publish_challenge(&token, "LoqX.thumbprint")
        .await
        .unwrap();
    assert_eq!(
        service.read_challenge(&token).await.unwrap().as_deref(),
        Some("LoqX.thumbprint")
    );

    // As the CA asks, through HAProxy, which has no certificate.
    let url = format!("http://{}/.well-known/acme-challenge/{token}", world.http);
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.text().await.unwrap().as_str()
        ),
        (200, "LoqX.thumbprint")
    );
    let plain = world.client();
    plain.health().await.unwrap();
    let orders = [
        plain.inventory(None, 1).await.map(drop),
        plain.publish_challenge(&token, "x").await,
        plain
            .remove(&crate::authority::host("shop.example.com"))
            .await,
        plain
            .apply(&world.authority.issue("shop.example.com").request(1))
            .await
            .map(drop),
    ];
    for order in orders {
        assert!(
            matches!(&order, Err(AgentError::Unauthorized { detail, .. }) if detail.contains("Agent:Tls:Listen")),
            "{order:?}"
        );
    }
    let metrics = reqwest::get(format!("{}/metrics", world.agent_url()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("haproxy_domain_agent_tls_files_usable 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn certificate_and_token_together_are_both_asked_for() {
    let fleet = Fleet::new();
    let world = world(&fleet, |settings| settings.token = Some(TOKEN.into())).await;
    let ca = fleet.file("service", "ca");
    for (token, is_let_in) in [(None, false), (Some("guess"), false), (Some(TOKEN), true)] {
        let client = client(&world, "127.0.0.1", fleet.access("service", &ca, token));
        let verdict = client.inventory(None, 1).await;
        assert_eq!(verdict.is_ok(), is_let_in, "{token:?}: {verdict:?}");
        assert!(is_let_in || matches!(verdict, Err(AgentError::Unauthorized { .. })));
    }
}

#[tokio::test]
async fn files_that_change_count_without_a_restart_and_bad_ones_change_nothing_but_health() {
    let fleet = Fleet::new();
    let world = world(&fleet, |_| ()).await;
    let tls = async || {
        let health = world.client().health().await.unwrap();
        health.tls.unwrap()
    };
    let before = tls().await;
    assert!(before.problem.is_none());
    fleet.issue("edge", PeerRole::Server, "127.0.0.1", 30);
    eventually("the agent has read its new files", async || {
        tls().await.not_after < before.not_after
    })
    .await;
    service_of(&world, &fleet).inventory(None, 1).await.unwrap();

    std::fs::write(fleet.file("edge", "key"), "no key").unwrap();
    eventually("the agent says what is wrong", async || {
        let problem = tls().await.problem;
        problem.is_some_and(|problem| problem.contains("key.pem"))
    })
    .await;
    service_of(&world, &fleet).inventory(None, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_without_a_certificate_does_not_keep_the_service_out() {
    let fleet = Fleet::new();
    let world = world(&fleet, |_| ()).await;
    let address = world.tls_address();
    let timeout = Duration::from_secs(60);
    let flood = Flood::start(Ipv4Addr::new(127, 0, 0, 2), address, 1_100);
    flood.keeps_running(2_200, timeout).await.unwrap();
    for _ in 0..10 {
        // A client of its own each time, so that each call begins with a handshake.
        let client = service_of(&world, &fleet);
        let held = tokio::time::timeout(Duration::from_secs(5), client.inventory(None, 1)).await;
        held.expect("an answer in time").unwrap();
        flood.keeps_running(100, timeout).await.unwrap();
    }
    flood.end().await;
}
