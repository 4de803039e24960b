//! The ACME adapter against a real Pebble, which validates by HTTP-01 through real DNS.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::ca::{Account, AuthorizationView, CaError, Http01, OrderStatus};
use dps_application::ports::{CertificateAuthority, Clock, Pki};
use dps_domain::{Failure, Hostname, Timestamp};
use dps_infrastructure::acme::{AcmeAuthority, AcmeSettings};
use dps_infrastructure::pki::{TrustedRoots, X509Pki};
use dps_lab::dns::DnsServer;
use dps_lab::pebble::{Pebble, PebbleOptions};
use dps_lab::web::{Answer, WebServer};
use dps_x509::{CertificateKey, Roots};
use secrecy::{ExposeSecret, SecretString};

/// Bound on everything the CA does by itself.
const TIMEOUT: Duration = Duration::from_secs(30);

struct WallClock;

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "real certificates have real dates; this is the test's clock"
    )]
    fn now(&self) -> Timestamp {
        time::OffsetDateTime::now_utc().into()
    }
}

/// A CA, a zone and a web server that answers challenges.
struct World {
    pebble: Pebble,
    dns: DnsServer,
    web: WebServer,
}

impl World {
    async fn start(choose: impl FnOnce(PebbleOptions) -> PebbleOptions) -> Self {
        let dns = DnsServer::start_local().await.unwrap();
        let nothing = Answer::Content {
            status: 404,
            body: "nothing here".to_owned(),
        };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let web = WebServer::start(any_port, nothing).await.unwrap();
        let options = choose(PebbleOptions::new(dns.address(), web.address().port()));
        let pebble = Pebble::start(&options).await.unwrap();
        Self { pebble, dns, web }
    }

    fn authority(&self) -> AcmeAuthority {
        let mut settings = AcmeSettings::new(self.pebble.directory_url().parse().unwrap());
        settings.root_certificates_pem = Some(self.pebble.ca_pem().to_owned());
        settings.terms_of_service_agreed = true;
        AcmeAuthority::new(&settings, Arc::new(WallClock)).unwrap()
    }

    /// Believes what this CA issues.
    async fn pki(&self) -> X509Pki {
        let root = self.pebble.root_pem().await.unwrap();
        X509Pki::new(TrustedRoots::Fixed(Roots::from_pem(&root).unwrap()))
    }

    fn host(&self, name: &str) -> Hostname {
        self.dns.zone().set_a(name, &[Ipv4Addr::LOCALHOST]);
        Hostname::parse(name).unwrap()
    }

    fn answer_challenge(&self, challenge: &Http01) {
        let path = format!("/.well-known/acme-challenge/{}", challenge.token);
        let body = challenge.key_authorization.clone();
        self.web
            .set_path(&path, Answer::Content { status: 200, body });
    }
}

async fn registered(authority: &AcmeAuthority) -> Account {
    let key = authority.new_account_key().unwrap();
    let url = authority.register(&key).await.unwrap();
    Account { url, key }
}

async fn pending_challenge(authority: &AcmeAuthority, account: &Account, order: &str) -> Http01 {
    match authority.authorization(account, order).await.unwrap() {
        AuthorizationView::Pending(challenge) => challenge,
        other => panic!("the authorization is not pending: {other:?}"),
    }
}

/// Polls as the scheduler does until the order is no more in `status`.
async fn order_after(
    authority: &AcmeAuthority,
    account: &Account,
    order: &str,
    status: OrderStatus,
) -> OrderStatus {
    let polling = async {
        loop {
            let view = authority.order(account, order).await.unwrap();
            if view.status != status {
                return view.status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, polling)
        .await
        .unwrap_or_else(|_| panic!("the order is still {status:?}"))
}

async fn validated(world: &World, authority: &AcmeAuthority, account: &Account, order: &str) {
    let challenge = pending_challenge(authority, account, order).await;
    world.answer_challenge(&challenge);
    authority
        .acknowledge(account, order, &challenge)
        .await
        .unwrap();
    assert_eq!(
        order_after(authority, account, order, OrderStatus::Pending).await,
        OrderStatus::Ready
    );
}

async fn issued(
    authority: &AcmeAuthority,
    account: &Account,
    order: &str,
    key: &SecretString,
    host: &Hostname,
) -> String {
    let key = CertificateKey::from_pem(key.expose_secret()).unwrap();
    let request = dps_x509::csr_der(&key, host).unwrap();
    authority.finalize(account, order, &request).await.unwrap();
    let last = match order_after(authority, account, order, OrderStatus::Ready).await {
        OrderStatus::Processing => {
            order_after(authority, account, order, OrderStatus::Processing).await
        }
        other => other,
    };
    assert_eq!(last, OrderStatus::Valid);
    authority.certificate(account, order).await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_issued_step_by_step_though_a_third_of_the_nonces_is_refused() {
    let world = World::start(|options| PebbleOptions {
        nonce_reject_percent: Some(30),
        ..options
    })
    .await;
    let (authority, host) = (world.authority(), world.host("shop.example.com"));
    let account = registered(&authority).await;
    let order = authority.new_order(&account, &host, None).await.unwrap();
    validated(&world, &authority, &account, &order).await;
    assert!(matches!(
        authority.authorization(&account, &order).await.unwrap(),
        AuthorizationView::Valid
    ));
    let key = world.pki().await.new_key().unwrap();
    let chain = issued(&authority, &account, &order, &key, &host).await;
    let details = world
        .pki()
        .await
        .inspect(&chain, &key, &host, WallClock.now())
        .unwrap();
    assert!(details.ari_id.is_some_and(|id| id.contains('.')));
    assert_eq!(
        world
            .pebble
            .certificate_status(&details.serial)
            .await
            .unwrap(),
        "Valid"
    );
    assert_eq!(world.pebble.orders_for(host.as_str()), 1);
}

#[tokio::test]
async fn every_step_is_taken_by_another_process_that_knows_only_key_and_urls() {
    let world = World::start(|options| options).await;
    let host = world.host("shop.example.com");
    let account = registered(&world.authority()).await;
    let order = world
        .authority()
        .new_order(&account, &host, None)
        .await
        .unwrap();
    let challenge = pending_challenge(&world.authority(), &account, &order).await;
    let again = pending_challenge(&world.authority(), &account, &order).await;
    assert_eq!(
        challenge, again,
        "the challenge is the CA's, not the process's"
    );
    world.answer_challenge(&challenge);
    let acknowledging = world.authority();
    acknowledging
        .acknowledge(&account, &order, &challenge)
        .await
        .unwrap();
    let ready = order_after(&world.authority(), &account, &order, OrderStatus::Pending).await;
    assert_eq!(ready, OrderStatus::Ready);
    let key = world.pki().await.new_key().unwrap();
    let chain = issued(&world.authority(), &account, &order, &key, &host).await;
    assert!(
        world
            .pki()
            .await
            .inspect(&chain, &key, &host, WallClock.now())
            .is_ok()
    );
    assert_eq!(world.pebble.orders_for(host.as_str()), 1);
}

#[tokio::test]
async fn steps_that_were_done_already_may_be_done_again() {
    let world = World::start(|options| options).await;
    let (authority, host) = (world.authority(), world.host("shop.example.com"));
    let account = registered(&authority).await;
    let order = authority.new_order(&account, &host, None).await.unwrap();
    let challenge = pending_challenge(&authority, &account, &order).await;
    world.answer_challenge(&challenge);
    for _ in 0..3 {
        authority
            .acknowledge(&account, &order, &challenge)
            .await
            .unwrap();
    }
    order_after(&authority, &account, &order, OrderStatus::Pending).await;
    authority
        .acknowledge(&account, &order, &challenge)
        .await
        .unwrap();
    let key = world.pki().await.new_key().unwrap();
    let first = issued(&authority, &account, &order, &key, &host).await;
    let second = issued(&authority, &account, &order, &key, &host).await;
    assert_eq!(first, second);
    assert_eq!(world.pebble.certificates(), 1);
}

#[tokio::test]
async fn an_order_whose_name_is_authorized_already_is_ready_at_once() {
    let world = World::start(|options| PebbleOptions {
        authorization_reuse_percent: Some(100),
        ..options
    })
    .await;
    let (authority, host) = (world.authority(), world.host("shop.example.com"));
    let account = registered(&authority).await;
    let first = authority.new_order(&account, &host, None).await.unwrap();
    validated(&world, &authority, &account, &first).await;

    let second = authority.new_order(&account, &host, None).await.unwrap();
    assert_ne!(first, second);
    let view = authority.order(&account, &second).await.unwrap();
    assert_eq!(view.status, OrderStatus::Ready);
    assert!(matches!(
        authority.authorization(&account, &second).await.unwrap(),
        AuthorizationView::Valid
    ));
    let key = world.pki().await.new_key().unwrap();
    let chain = issued(&authority, &account, &second, &key, &host).await;
    assert!(
        world
            .pki()
            .await
            .inspect(&chain, &key, &host, WallClock.now())
            .is_ok()
    );
}

#[tokio::test]
async fn a_failed_validation_says_what_the_ca_met() {
    let world = World::start(|options| options).await;
    let authority = world.authority();
    let account = registered(&authority).await;
    // The web server answers 404 for a token that was not published; the other name does not exist
    // at all.
    let answered = world.host("shop.example.com");
    let unknown = Hostname::parse("nowhere.example.com").unwrap();
    for (host, cause, words) in [
        (answered, "unauthorized", "404"),
        (unknown, "connection", "nowhere"),
    ] {
        let order = authority.new_order(&account, &host, None).await.unwrap();
        let challenge = pending_challenge(&authority, &account, &order).await;
        authority
            .acknowledge(&account, &order, &challenge)
            .await
            .unwrap();
        let end = order_after(&authority, &account, &order, OrderStatus::Pending).await;
        assert_eq!(end, OrderStatus::Invalid);
        let AuthorizationView::Invalid(Failure::AcmeValidationFailed {
            sub_cause, detail, ..
        }) = authority.authorization(&account, &order).await.unwrap()
        else {
            panic!("{host} has no failure");
        };
        assert_eq!(sub_cause, cause, "{detail}");
        assert!(detail.contains(words), "{detail}");
        // An order that is over is reported as gone.
        let pki = world.pki().await;
        let request = pki.signing_request(&pki.new_key().unwrap(), &host).unwrap();
        let error = authority
            .finalize(&account, &order, &request)
            .await
            .unwrap_err();
        assert!(matches!(error, CaError::OrderGone { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_registered_twice_has_one_account() {
    let world = World::start(|options| options).await;
    let key = world.authority().new_account_key().unwrap();
    let first = world.authority().register(&key).await.unwrap();
    let second = world.authority().register(&key).await.unwrap();
    assert_eq!(first, second);
    let other = world.authority().new_account_key().unwrap();
    assert_ne!(first, world.authority().register(&other).await.unwrap());
}

#[tokio::test]
async fn terms_that_the_operator_did_not_agree_to_are_not_agreed_to() {
    let world = World::start(|options| options).await;
    let mut settings = AcmeSettings::new(world.pebble.directory_url().parse().unwrap());
    settings.root_certificates_pem = Some(world.pebble.ca_pem().to_owned());
    let authority = AcmeAuthority::new(&settings, Arc::new(WallClock)).unwrap();
    let key = authority.new_account_key().unwrap();
    let error = authority.register(&key).await.unwrap_err();
    assert!(
        matches!(&error, CaError::Account { detail } if detail.contains("terms of service")),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_the_ca_blocks_is_rejected() {
    let world = World::start(|options| PebbleOptions {
        blocked_domains: vec!["blocked.example.com".to_owned()],
        ..options
    })
    .await;
    let (authority, host) = (world.authority(), world.host("shop.blocked.example.com"));
    let account = registered(&authority).await;
    let error = authority
        .new_order(&account, &host, None)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CaError::RejectedIdentifier { detail } if !detail.is_empty()),
        "{error}"
    );
}

#[tokio::test]
async fn a_ca_that_forgot_everything_is_distinguished_from_one_that_is_down() {
    let mut world = World::start(|options| options).await;
    let (authority, host) = (world.authority(), world.host("shop.example.com"));
    let account = registered(&authority).await;
    let order = authority.new_order(&account, &host, None).await.unwrap();
    world.pebble.restart().await.unwrap();
    // A connection that was kept alive died with the old process; that, and only that, may be
    // reported first.
    let error = match authority.order(&account, &order).await.unwrap_err() {
        CaError::Unreachable { .. } => authority.order(&account, &order).await.unwrap_err(),
        other => other,
    };
    assert!(matches!(error, CaError::Account { .. }), "{error}");
    let known = Account {
        url: authority.register(&account.key).await.unwrap(),
        ..account
    };
    let error = authority.order(&known, &order).await.unwrap_err();
    assert!(matches!(error, CaError::OrderGone { .. }), "{error}");
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_is_unavailable_and_says_why() {
    let world = World::start(|options| options).await;
    let settings = AcmeSettings::new(world.pebble.directory_url().parse().unwrap());
    let authority = AcmeAuthority::new(&settings, Arc::new(WallClock)).unwrap();
    let key = authority.new_account_key().unwrap();
    let error = authority.register(&key).await.unwrap_err();
    assert!(
        matches!(&error, CaError::Unreachable { detail } if detail.contains("certificate")),
        "{error}"
    );
}
