use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::acme_http::Http;
use dps_lab::dns::DnsServer;
use dps_lab::pebble::{Pebble, PebbleOptions};
use dps_lab::tls::Leaf;
use dps_lab::web::{Answer, WebServer};
use instant_acme::{
    Account, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};

/// A CA that finds every `*.shop.test` at one web server.
struct World {
    _dns: DnsServer,
    web: WebServer,
    pebble: Pebble,
}

impl World {
    async fn new(adjust: impl FnOnce(&mut PebbleOptions)) -> Self {
        let dns = DnsServer::start_local().await.unwrap();
        dns.zone().set_a("*.shop.test", &[Ipv4Addr::LOCALHOST]);
        let stranger = Answer::Content {
            status: 404,
            body: "not here".to_owned(),
        };
        let web = WebServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), stranger)
            .await
            .unwrap();
        let mut options = PebbleOptions::new(dns.address(), web.address().port());
        options.nonce_reject_percent = Some(0);
        adjust(&mut options);
        let pebble = Pebble::start(&options).await.unwrap();
        Self {
            _dns: dns,
            web,
            pebble,
        }
    }

    async fn account(&self) -> Account {
        let new = NewAccount {
            contact: &[],
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        // Nonces may be refused more often in a row than the client tries again.
        loop {
            let builder =
                Account::builder_with_http(Box::new(Http::trusting(self.pebble.ca_pem())));
            if let Ok((account, _)) = builder
                .create(&new, self.pebble.directory_url(), None)
                .await
            {
                return account;
            }
        }
    }

    /// Places an order and lets Pebble validate it; the challenge is answered only when `honest`.
    async fn challenged(&self, account: &Account, host: &str, honest: bool) -> Order {
        let name = [Identifier::Dns(host.to_owned())];
        let mut order = account.new_order(&NewOrder::new(&name)).await.unwrap();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.unwrap();
            let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
            let path = format!("/.well-known/acme-challenge/{}", challenge.token);
            if honest {
                let body = challenge.key_authorization().as_str().to_owned();
                self.web
                    .set_path(&path, Answer::Content { status: 200, body });
            }
            // A validation that has failed already makes the very reply an error.
            let acknowledged = challenge.set_ready().await;
            assert!(acknowledged.is_ok() || !honest);
        }
        order
    }
}

#[tokio::test]
async fn a_certificate_is_issued_by_real_validation_and_verifies_up_to_the_root() {
    let validity = Duration::from_secs(6 * 24 * 3600);
    let world = World::new(|options| options.certificate_validity = Some(validity)).await;
    let account = world.account().await;
    let mut order = world.challenged(&account, "www.shop.test", true).await;
    assert_eq!(
        order.poll_ready(&RetryPolicy::default()).await.unwrap(),
        OrderStatus::Ready
    );
    order.finalize().await.unwrap();
    let chain = order
        .poll_certificate(&RetryPolicy::default())
        .await
        .unwrap();

    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("chain.pem"), &chain).unwrap();
    std::fs::write(
        home.path().join("root.pem"),
        world.pebble.root_pem().await.unwrap(),
    )
    .unwrap();
    let verified = std::process::Command::new("openssl")
        .args([
            "verify",
            "-CAfile",
            "root.pem",
            "-untrusted",
            "chain.pem",
            "chain.pem",
        ])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(chain.contains(world.pebble.intermediate_pem().await.unwrap().trim()));

    let leaf = leaf_of(&chain);
    assert_eq!(
        world.pebble.certificate_status(&leaf.serial).await.unwrap(),
        "Valid"
    );
    assert_eq!(world.pebble.certificates(), 1);
    assert_eq!(world.pebble.orders(), 1);
    assert_eq!(world.pebble.orders_for("WWW.shop.test"), 1);
    assert_eq!(world.pebble.validations_for("www.shop.test"), 1);
    assert_eq!(
        world.web.received()[0].host,
        format!("www.shop.test:{}", world.web.address().port())
    );
}

#[tokio::test]
async fn orders_are_counted_by_name_even_when_nonces_are_refused_and_nothing_is_validated() {
    let world = World::new(|options| {
        options.nonce_reject_percent = Some(30);
        options.authorization_reuse_percent = Some(0);
    })
    .await;
    let account = world.account().await;
    let place = async |host: &str| {
        let name = [Identifier::Dns(host.to_owned())];
        while account.new_order(&NewOrder::new(&name)).await.is_err() {}
    };
    place("twice.shop.test").await;
    place("twice.shop.test").await;
    place("once.shop.test").await;
    assert_eq!(world.pebble.orders_for("twice.shop.test"), 2);
    assert_eq!(world.pebble.orders_for("once.shop.test"), 1);
    assert_eq!(world.pebble.orders_for("never.shop.test"), 0);
    assert_eq!(world.pebble.orders(), 3);
    assert_eq!(world.pebble.validations_for("twice.shop.test"), 0);
}

#[tokio::test]
async fn an_unanswered_challenge_fails_and_a_blocked_name_is_refused() {
    let mut world =
        World::new(|options| options.blocked_domains = vec!["blocked.test".to_owned()]).await;
    let account = world.account().await;
    world.challenged(&account, "www.shop.test", false).await;
    world
        .pebble
        .process()
        .wait_for_log("set INVALID by invalid authz", Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(world.pebble.validations_for("www.shop.test"), 1);
    assert_eq!(world.pebble.certificates(), 0);

    let blocked = [Identifier::Dns("www.blocked.test".to_owned())];
    let refused = account
        .new_order(&NewOrder::new(&blocked))
        .await
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("rejectedIdentifier"),
        "{refused}"
    );
    assert_eq!(world.pebble.orders_for("www.blocked.test"), 0);

    let builder = Account::builder_with_http(Box::new(Http::trusting(world.pebble.ca_pem())));
    let new = NewAccount {
        contact: &[],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let direct = builder
        .create(&new, world.pebble.direct_directory_url(), None)
        .await;
    assert!(direct.is_ok());
}

#[tokio::test]
async fn a_killed_pebble_comes_back_at_the_same_url_with_another_root() {
    let mut world = World::new(|_| ()).await;
    let root = world.pebble.root_pem().await.unwrap();
    world.pebble.process().kill().unwrap();
    assert!(world.pebble.root_pem().await.is_err());
    world.pebble.restart().await.unwrap();
    assert_ne!(world.pebble.root_pem().await.unwrap(), root);
    world.account().await;
}

#[tokio::test]
async fn a_pebble_that_refuses_answers_503_also_on_open_connections_and_then_recovers() {
    let world = World::new(|_| ()).await;
    let root = reqwest::Certificate::from_pem(world.pebble.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .no_proxy()
        .build()
        .unwrap();
    let status = || async {
        let answer = client.get(world.pebble.directory_url()).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    world.pebble.refuse(true);
    assert_eq!((status().await, status().await), (503, 503));
    world.pebble.refuse(false);
    assert_eq!(status().await, 200);
}

fn leaf_of(chain: &str) -> Leaf {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    Leaf::parse(&CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap()
}
