//! The ACME adapter on a CA's bad days: limits, outages, and answers that are none.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dps_application::ports::ca::{Account, AuthorizationView, CaError, OrderStatus};
use dps_application::ports::metrics::{AcmeMetrics, AcmeResult};
use dps_application::ports::requests::RequestTokens;
use dps_application::ports::store::{StoreError, Taken};
use dps_application::ports::{CertificateAuthority, Clock};
use dps_domain::limits::{Endpoint as CaEndpoint, Limit};
use dps_domain::{Failure, FailureCode, Hostname, Purpose, Timestamp, Until};
use dps_infrastructure::acme::{AcmeAuthority, AcmeSettings};
use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply};
use serde_json::json;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A clock that only the test moves.
#[derive(Default)]
struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(START.unix_micros() + self.0.load(Ordering::SeqCst))
    }
}

/// The ledger of all replicas, which notes the blocks in it.
#[derive(Default)]
struct Ledger(Mutex<Vec<Timestamp>>);

#[async_trait]
impl RequestTokens for Ledger {
    fn limit(&self, _: CaEndpoint) -> Limit {
        Limit::NONE
    }

    async fn take(&self, _: CaEndpoint, most: u32) -> Result<Taken, StoreError> {
        Ok(Taken {
            count: most,
            next_at: START,
        })
    }

    async fn block(&self, _: CaEndpoint, until: Timestamp) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(until);
        Ok(())
    }
}

/// The results of requests, and how far our clock seemed to be ahead.
#[derive(Default)]
struct Counted {
    results: Mutex<Vec<(CaEndpoint, AcmeResult)>>,
    ahead_seconds: Mutex<f64>,
}

impl AcmeMetrics for Counted {
    fn acme_request(&self, endpoint: CaEndpoint, result: AcmeResult, _: Duration) {
        self.results.lock().unwrap().push((endpoint, result));
    }

    fn ca_clock(&self, ahead_seconds: f64) {
        *self.ahead_seconds.lock().unwrap() = ahead_seconds;
    }
}

struct World {
    counted: Arc<Counted>,
    ledger: Arc<Ledger>,
    double: AcmeDouble,
    clock: Arc<TestClock>,
    authority: AcmeAuthority,
    host: Hostname,
}

impl World {
    async fn start() -> Self {
        let double = AcmeDouble::start().await.unwrap();
        let mut settings = AcmeSettings::new(double.directory_url().parse().unwrap());
        settings.request_timeout = Duration::from_secs(2);
        let clock = Arc::new(TestClock::default());
        let ledger = Arc::new(Ledger::default());
        let tokens = Arc::clone(&ledger) as Arc<dyn RequestTokens>;
        let counted = Arc::new(Counted::default());
        Self {
            authority: AcmeAuthority::paced(
                &settings,
                Arc::clone(&clock) as Arc<dyn Clock>,
                tokens,
                Arc::clone(&counted) as Arc<dyn AcmeMetrics>,
            )
            .unwrap(),
            counted,
            ledger,
            double,
            clock,
            host: Hostname::parse("shop.example.com").unwrap(),
        }
    }

    async fn account(&self) -> Account {
        let key = self.authority.new_account_key().unwrap();
        let url = self.authority.register(&key).await.unwrap();
        Account { url, key }
    }

    fn reply(&self, endpoint: Endpoint, reply: Reply) {
        self.double.inject(endpoint, 1, &Fault::Reply(reply));
    }

    async fn order_error(&self, account: &Account) -> CaError {
        self.authority
            .new_order(account, &self.host, None)
            .await
            .unwrap_err()
    }
}

#[tokio::test]
async fn a_limit_with_a_time_is_a_limit_until_then() {
    let world = World::start().await;
    let account = world.account().await;
    let limit =
        Reply::problem(429, "rateLimited", "too many new orders").header("Retry-After", "36");
    world.reply(Endpoint::NewOrder, limit);
    assert_eq!(
        world.order_error(&account).await,
        CaError::RateLimited {
            until: Some(Until::named(
                START + Duration::from_secs(36),
                START,
                Purpose::Limit
            )),
            detail: "too many new orders".to_owned()
        }
    );
    assert_eq!(
        world.double.requests(Endpoint::NewOrder),
        1,
        "a limit is not argued with"
    );
}

#[tokio::test]
async fn a_limit_without_a_time_but_with_an_unpause_link_is_a_pause() {
    let world = World::start().await;
    let account = world.account().await;
    let words = "Your account is temporarily prevented from requesting certificates for shop.example.com and \
                 possibly others. Please visit: https://ca.example/sfe/v1/unpause?jwt=abc.def";
    world.reply(
        Endpoint::NewOrder,
        Reply::problem(429, "rateLimited", words),
    );
    let error = world.order_error(&account).await;
    assert!(
        matches!(&error, CaError::Paused { unpause_url: Some(url), .. } if url == "https://ca.example/sfe/v1/unpause?jwt=abc.def"),
        "{error}"
    );
    world.reply(
        Endpoint::NewOrder,
        Reply::problem(429, "rateLimited", "slow down"),
    );
    let error = world.order_error(&account).await;
    assert!(
        matches!(error, CaError::RateLimited { until: None, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_overloaded_is_left_alone_until_it_says_and_the_others_are_not() {
    let world = World::start().await;
    let account = world.account().await;
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    world.reply(
        Endpoint::NewOrder,
        Reply::html(503).header("Retry-After", "60"),
    );
    let until = START + Duration::from_secs(60);
    let error = world.order_error(&account).await;
    assert!(
        matches!(error, CaError::Unavailable { retry_after: Some(at), .. } if at == until),
        "{error}"
    );
    // A request that is not sent says nothing about the CA.
    for _ in 0..2 {
        let error = world.order_error(&account).await;
        assert!(
            matches!(error, CaError::Paced { until: at } if at == until),
            "{error}"
        );
        assert_eq!(Failure::from(error).code(), FailureCode::AcmeRateLimited);
    }
    assert_eq!(
        world.double.requests(Endpoint::NewOrder),
        2,
        "the second is sent, those after it are not"
    );
    world.authority.order(&account, &order).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_overloaded_ca_is_unavailable_until_it_says() {
    let world = World::start().await;
    let account = world.account().await;
    let overloaded = Reply::html(503)
        .header("Date", "Fri, 31 Dec 1999 23:58:00 GMT")
        .header("Retry-After", "Fri, 31 Dec 1999 23:59:00 GMT");
    world.reply(Endpoint::NewOrder, overloaded);
    let error = world.order_error(&account).await;
    assert!(
        matches!(error, CaError::Unavailable { retry_after: Some(at), .. } if at == START + Duration::from_secs(60)),
        "{error}"
    );
    // Before the request proper, too.
    world.double.inject(
        Endpoint::NewNonce,
        9,
        &Fault::Reply(Reply::html(503).header("Retry-After", "5")),
    );
    world.clock.advance(Duration::from_secs(3_600));
    let error = world.order_error(&account).await;
    let expected = world.clock.now() + Duration::from_secs(5);
    assert!(
        matches!(error, CaError::Unavailable { retry_after: Some(at), .. } if at == expected),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_are_no_answers_are_outages_wherever_they_come() {
    let world = World::start().await;
    let account = world.account().await;
    let faults = [
        Fault::Reply(Reply::html(502)),
        Fault::Reply(Reply::html(200)),
        Fault::Reply(Reply::new(200, "application/json", "{}")),
        Fault::Reply(Reply::html(302).header("Location", "https://elsewhere.example/")),
        Fault::Reply(Reply::html(403)),
        Fault::CutBody,
        Fault::HugeBody,
        Fault::HangUp,
    ];
    for fault in faults {
        let order = world
            .authority
            .new_order(&account, &world.host, None)
            .await
            .unwrap();
        world.double.inject(Endpoint::Order, 1, &fault);
        let error = world.authority.order(&account, &order).await.unwrap_err();
        assert!(
            matches!(
                &error,
                CaError::Unavailable { detail, .. } | CaError::Unreachable { detail }
                if !detail.contains('<')
            ),
            "{fault:?} became {error}"
        );
        let view = world.authority.order(&account, &order).await.unwrap();
        assert_eq!(
            view.status,
            OrderStatus::Pending,
            "after {fault:?} all is well again"
        );
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up_after_the_time_out() {
    let world = World::start().await;
    let account = world.account().await;
    world.double.inject(Endpoint::NewOrder, 1, &Fault::SlowBody);
    let begun = Instant::now();
    let error = world.order_error(&account).await;
    assert!(matches!(error, CaError::Unreachable { .. }), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn every_request_is_counted_by_its_endpoint_and_how_the_ca_took_it() {
    let world = World::start().await;
    let account = world.account().await;
    let last = |endpoint| {
        let results = world.counted.results.lock().unwrap();
        let of_endpoint = results.iter().rev().find(|(of, _)| *of == endpoint);
        of_endpoint.map(|(_, result)| *result)
    };
    for endpoint in [
        CaEndpoint::Directory,
        CaEndpoint::NewNonce,
        CaEndpoint::NewAccount,
    ] {
        assert_eq!(last(endpoint), Some(AcmeResult::Success), "{endpoint:?}");
    }
    let problem = |status, kind| Fault::Reply(Reply::problem(status, kind, "no"));
    for (fault, expected) in [
        (problem(429, "rateLimited"), AcmeResult::Limited),
        (problem(403, "malformed"), AcmeResult::Refused),
        (Fault::Reply(Reply::html(502)), AcmeResult::ServerError),
        (Fault::HangUp, AcmeResult::NoAnswer),
        (Fault::CutBody, AcmeResult::NoAnswer),
    ] {
        world.double.inject(Endpoint::NewOrder, 1, &fault);
        let error = world.order_error(&account).await;
        assert_eq!(
            last(CaEndpoint::NewOrder),
            Some(expected),
            "{fault:?}: {error}"
        );
        let is_answered = expected != AcmeResult::NoAnswer;
        assert_eq!(error.was_answered(), is_answered, "{fault:?}: {error}");
    }
    let dated = Reply::html(502).header("Date", "Fri, 15 Jan 2027 07:59:00 GMT");
    world.reply(Endpoint::NewOrder, dated);
    world.order_error(&account).await;
    // A `Date` is up to a second old.
    let ahead = *world.counted.ahead_seconds.lock().unwrap();
    assert!((ahead - 59.5).abs() < 1e-9, "{ahead}");
}

#[tokio::test]
async fn a_storm_of_refused_nonces_is_weathered_inside_and_an_endless_one_is_an_outage() {
    let world = World::start().await;
    let account = world.account().await;
    world
        .double
        .inject(Endpoint::NewOrder, 10, &Fault::BadNonce);
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    assert_eq!(world.double.requests(Endpoint::NewOrder), 11);

    world
        .double
        .inject(Endpoint::NewOrder, 1_000, &Fault::BadNonce);
    let error = world.order_error(&account).await;
    assert!(matches!(error, CaError::Unavailable { .. }), "{error}");
    assert!(
        world.double.requests(Endpoint::NewOrder) < 40,
        "a broken CA is not hammered"
    );
}

#[tokio::test]
async fn nonces_are_recycled_and_a_ca_that_forgot_them_all_is_met_with_new_ones() {
    let world = World::start().await;
    let account = world.account().await;
    for _ in 0..20 {
        world
            .authority
            .new_order(&account, &world.host, None)
            .await
            .unwrap();
    }
    assert_eq!(
        world.double.requests(Endpoint::NewNonce),
        1,
        "the first one only"
    );
    world.double.forget_nonces();
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    // Old ones are not even tried.
    world.clock.advance(Duration::from_secs(3_600));
    world.double.forget_nonces();
    let before = world.double.requests(Endpoint::NewOrder);
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    assert_eq!(world.double.requests(Endpoint::NewOrder), before + 1);
}

#[tokio::test]
async fn a_directory_that_is_down_is_an_outage_and_is_found_again_when_it_is_up() {
    let world = World::start().await;
    let down = Fault::Reply(Reply::html(503).header("Retry-After", "120"));
    world.double.inject(Endpoint::Directory, 1, &down);
    let key = world.authority.new_account_key().unwrap();
    // The request itself waits as long as the CA said, the others a minute at most.
    let error = world.authority.register(&key).await.unwrap_err();
    assert!(
        matches!(error, CaError::Unavailable { retry_after: Some(at), .. } if at == START + Duration::from_secs(120)),
        "{error}"
    );
    for _ in 0..2 {
        let error = world.authority.register(&key).await.unwrap_err();
        assert!(
            matches!(error, CaError::Paced { until } if until == START + Duration::from_secs(60)),
            "{error}"
        );
    }
    assert_eq!(
        world.double.requests(Endpoint::Directory),
        1,
        "it is left alone until then"
    );
    world.clock.advance(Duration::from_secs(120));
    assert!(world.authority.register(&key).await.is_ok());
}

#[tokio::test]
async fn the_directory_is_fetched_once_a_day_and_after_a_failure() {
    let world = World::start().await;
    let account = world.account().await;
    for _ in 0..5 {
        world
            .authority
            .new_order(&account, &world.host, None)
            .await
            .unwrap();
    }
    assert_eq!(world.double.requests(Endpoint::Directory), 1);
    world.clock.advance(Duration::from_secs(25 * 3_600));
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    assert_eq!(world.double.requests(Endpoint::Directory), 2);
    world.reply(Endpoint::NewOrder, Reply::html(404));
    world.order_error(&account).await;
    world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    assert_eq!(world.double.requests(Endpoint::Directory), 3);
}

#[tokio::test]
async fn a_ca_that_issues_slowly_says_when_to_ask_again() {
    let world = World::start().await;
    let account = world.account().await;
    let (authority, host) = (&world.authority, &world.host);
    let order = authority.new_order(&account, host, None).await.unwrap();
    let AuthorizationView::Pending(challenge) =
        authority.authorization(&account, &order).await.unwrap()
    else {
        panic!("the authorization is not pending");
    };
    authority
        .acknowledge(&account, &order, &challenge)
        .await
        .unwrap();
    world.double.issue_slowly("3");
    authority
        .finalize(&account, &order, b"request")
        .await
        .unwrap();
    let slow = Reply::new(
        200,
        "application/json",
        r#"{"status":"processing","authorizations":[],"finalize":""}"#,
    );
    world.reply(Endpoint::Order, slow.clone().header("Retry-After", "3"));
    let view = authority.order(&account, &order).await.unwrap();
    assert_eq!(view.status, OrderStatus::Processing);
    assert!(
        view.retry_after
            .is_some_and(|until| until == START + Duration::from_secs(3))
    );
    world.reply(Endpoint::Order, slow.header("Retry-After", "7"));
    let error = authority.certificate(&account, &order).await.unwrap_err();
    assert!(
        matches!(error, CaError::Unavailable { retry_after: Some(at), .. } if at == START + Duration::from_secs(7)),
        "{error}"
    );
    assert!(authority.certificate(&account, &order).await.is_ok());
}

#[tokio::test]
async fn an_acknowledged_challenge_is_not_acknowledged_twice() {
    let world = World::start().await;
    let account = world.account().await;
    let (authority, host) = (&world.authority, &world.host);
    let order = authority.new_order(&account, host, None).await.unwrap();
    let AuthorizationView::Pending(challenge) =
        authority.authorization(&account, &order).await.unwrap()
    else {
        panic!("the authorization is not pending");
    };
    // The CA takes it, but its answer is lost on the way back.
    authority
        .acknowledge(&account, &order, &challenge)
        .await
        .unwrap();
    authority
        .acknowledge(&account, &order, &challenge)
        .await
        .unwrap();
    assert_eq!(world.double.requests(Endpoint::Challenge), 1);
    let stranger = dps_application::ports::ca::Http01 {
        url: format!("{}x", challenge.url),
        ..challenge
    };
    let error = authority
        .acknowledge(&account, &order, &stranger)
        .await
        .unwrap_err();
    assert!(matches!(error, CaError::OrderGone { .. }), "{error}");
}

#[tokio::test]
async fn accounts_that_cannot_be_used_are_distinguished_from_orders_that_cannot() {
    let world = World::start().await;
    let account = world.account().await;
    for kind in [
        "accountDoesNotExist",
        "externalAccountRequired",
        "userActionRequired",
        "unauthorized",
    ] {
        world.reply(Endpoint::NewOrder, Reply::problem(403, kind, "no"));
        let error = world.order_error(&account).await;
        assert!(matches!(error, CaError::Account { .. }), "{kind}: {error}");
    }
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    world.reply(
        Endpoint::Order,
        Reply::problem(404, "malformed", "no order for this account"),
    );
    let error = world.authority.order(&account, &order).await.unwrap_err();
    assert!(matches!(error, CaError::OrderGone { .. }), "{error}");
}

#[tokio::test]
async fn we_introduce_ourselves_by_our_own_name_and_show_no_key() {
    let world = World::start().await;
    let account = world.account().await;
    assert!(
        world
            .double
            .user_agent()
            .starts_with("DomainProvisioningService/")
    );
    let mut settings = AcmeSettings::new(world.double.directory_url().parse().unwrap());
    settings.user_agent = "Platform X (ops@platform.example)".to_owned();
    let named = AcmeAuthority::new(&settings, Arc::clone(&world.clock) as Arc<dyn Clock>).unwrap();
    named.register(&account.key).await.unwrap();
    assert_eq!(
        world.double.user_agent(),
        "Platform X (ops@platform.example)"
    );
    let shown = format!("{:?} {account:?}", world.authority);
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    let broken = Account {
        key: "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n".into(),
        ..account
    };
    let error = world.order_error(&broken).await;
    assert!(matches!(error, CaError::Account { .. }), "{error}");
    assert!(!format!("{error:?}").contains("aHVudGVyMg"), "{error:?}");
}

/// Makes each call in turn until one fails, as a first issuance does.
async fn issue(world: &World) -> Result<(), CaError> {
    let authority = &world.authority;
    let key = authority.new_account_key()?;
    let url = authority.register(&key).await?;
    let account = Account { url, key };
    let order = authority.new_order(&account, &world.host, None).await?;
    if let AuthorizationView::Pending(challenge) = authority.authorization(&account, &order).await?
    {
        authority.acknowledge(&account, &order, &challenge).await?;
    }
    authority.finalize(&account, &order, b"request").await?;
    authority.order(&account, &order).await?;
    authority.certificate(&account, &order).await.map(drop)
}

/// A maintenance page with ten days in its `Retry-After` is an outage of one request, wherever it
/// comes, and delays no other request.
#[tokio::test]
async fn a_page_that_is_not_acme_blocks_nothing_and_waits_an_hour_at_most_at_every_endpoint() {
    for endpoint in [
        Endpoint::Directory,
        Endpoint::NewNonce,
        Endpoint::NewAccount,
        Endpoint::NewOrder,
        Endpoint::Authorization,
        Endpoint::Challenge,
        Endpoint::Finalize,
        Endpoint::Order,
        Endpoint::Certificate,
    ] {
        for page in [Reply::html(503), Reply::html(429), Reply::html(502)] {
            let world = World::start().await;
            let page = page.header("Retry-After", "864000");
            world.double.inject(endpoint, 1, &Fault::Reply(page));
            let error = issue(&world).await.unwrap_err();
            let CaError::Unavailable {
                retry_after: Some(until),
                ..
            } = error
            else {
                panic!("{endpoint:?}: {error}");
            };
            assert!(
                until.at() <= START + Duration::from_secs(3_600),
                "{endpoint:?}: {until:?}"
            );
            assert!(world.ledger.0.lock().unwrap().is_empty(), "{endpoint:?}");
            world.clock.advance(Duration::from_secs(60));
            issue(&world)
                .await
                .unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_limit_of_the_ca_is_shared_by_all_replicas_but_not_for_longer_than_it_can_last() {
    let world = World::start().await;
    let account = world.account().await;
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    let limit = Reply::problem(429, "rateLimited", "slow down").header("Retry-After", "864000");
    world.reply(Endpoint::Order, limit);
    let error = world.authority.order(&account, &order).await.unwrap_err();
    assert!(matches!(error, CaError::RateLimited { .. }), "{error}");
    assert_eq!(
        *world.ledger.0.lock().unwrap(),
        [START + Duration::from_secs(3_600)]
    );
}

/// Some CAs send a day with every answer.
#[tokio::test]
async fn an_order_is_polled_again_within_minutes_whatever_the_ca_says() {
    let world = World::start().await;
    let account = world.account().await;
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    for status in ["pending", "processing"] {
        let slow = format!(
            r#"{{"status":"{status}","authorizations":[],"finalize":"","expires":"2027-01-20T00:00:00Z"}}"#
        );
        let slow = Reply::new(200, "application/json", &slow).header("Retry-After", "86400");
        world.reply(Endpoint::Order, slow);
        let view = world.authority.order(&account, &order).await.unwrap();
        assert!(
            view.retry_after
                .is_some_and(|until| until == START + Purpose::Poll.ceiling())
        );
        assert_eq!(view.expires, Some("2027-01-20T00:00:00Z".parse().unwrap()));
    }
}

#[tokio::test]
async fn null_is_absent_in_every_answer() {
    let world = World::start().await;
    let base = world.double.directory_url().replace("/directory", "");
    let directory = json!({
        "newNonce": format!("{base}/new-nonce"),
        "newAccount": format!("{base}/new-account"),
        "newOrder": format!("{base}/new-order"),
        "newAuthz": null, "revokeCert": null, "keyChange": null, "renewalInfo": null,
        "meta": null,
        "unknown": { "to": ["us"] },
    });
    world.reply(
        Endpoint::Directory,
        Reply::new(200, "application/json", directory.to_string()),
    );
    let account = world.account().await;
    let problem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": "policy forbids",
        "status": 400,
        "subproblems": null,
    });
    world.reply(
        Endpoint::NewOrder,
        Reply::new(400, "application/problem+json", problem.to_string()),
    );
    assert_eq!(
        world.order_error(&account).await,
        CaError::RejectedIdentifier {
            detail: "policy forbids".to_owned()
        }
    );
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    let shown = json!({
        "status": "pending",
        "expires": null, "notBefore": null, "notAfter": null, "error": null, "certificate": null,
        "replaces": null, "profile": null,
        "identifiers": null,
        "authorizations": [format!("{base}/authorization/1")],
        "finalize": format!("{base}/finalize/1"),
    });
    world.reply(
        Endpoint::Order,
        Reply::new(200, "application/json", shown.to_string()),
    );
    let view = world.authority.order(&account, &order).await.unwrap();
    assert_eq!(view.status, OrderStatus::Pending);
    let offered = json!({
        "status": "pending",
        "identifier": null, "expires": null, "wildcard": null,
        "challenges": [
            null,
            { "type": "dns-persist-01", "status": "pending", "url": format!("{base}/challenge/2"), "token": null },
            { "type": "http-01", "status": "pending", "url": null, "token": "half" },
            { "type": "http-01", "status": "pending", "url": format!("{base}/challenge/1"), "token": "whole",
              "error": null, "validated": null },
        ],
    });
    world.reply(
        Endpoint::Authorization,
        Reply::new(200, "application/json", offered.to_string()),
    );
    let view = world
        .authority
        .authorization(&account, &order)
        .await
        .unwrap();
    assert!(
        matches!(&view, AuthorizationView::Pending(challenge) if challenge.token == "whole"),
        "{view:?}"
    );
}

#[tokio::test]
async fn profiles_that_are_not_texts_do_not_cost_the_directory() {
    for meta in [
        json!({ "profiles": null }),
        json!({ "profiles": { "classic": { "description": "the usual" }, "short": "six days" } }),
        json!({ "profiles": ["classic"], "termsOfService": null, "caaIdentities": [null, 7, "ca.example"] }),
        json!("none"),
    ] {
        let world = World::start().await;
        let base = world.double.directory_url().replace("/directory", "");
        let directory = json!({
            "newNonce": format!("{base}/new-nonce"),
            "newAccount": format!("{base}/new-account"),
            "newOrder": format!("{base}/new-order"),
            "meta": meta,
        });
        let reply = Reply::new(200, "application/json", directory.to_string());
        world.reply(Endpoint::Directory, reply);
        let account = world.account().await;
        assert!(!account.url.is_empty(), "{meta}");
        let has_identities = meta["caaIdentities"].is_array();
        let identities: &[&str] = if has_identities { &["ca.example"] } else { &[] };
        assert_eq!(world.authority.caa_identities(), identities);
    }
}

#[tokio::test]
async fn a_redirect_is_reported_with_its_target_wherever_it_comes_and_never_followed() {
    let target = "https://moved.example/directory";
    for (status, endpoint) in [
        (301, Endpoint::Directory),
        (302, Endpoint::NewNonce),
        (307, Endpoint::NewAccount),
        (308, Endpoint::NewAccount),
    ] {
        let world = World::start().await;
        world.reply(endpoint, Reply::html(status).header("Location", target));
        let key = world.authority.new_account_key().unwrap();
        let error = world.authority.register(&key).await.unwrap_err();
        assert_redirect(&error, status, target);
    }
    let world = World::start().await;
    let account = world.account().await;
    world.reply(
        Endpoint::NewOrder,
        Reply::html(301).header("Location", target),
    );
    assert_redirect(&world.order_error(&account).await, 301, target);
    let order = world
        .authority
        .new_order(&account, &world.host, None)
        .await
        .unwrap();
    for endpoint in [Endpoint::Order, Endpoint::Authorization] {
        world.reply(endpoint, Reply::html(302).header("Location", target));
        let error = world
            .authority
            .authorization(&account, &order)
            .await
            .unwrap_err();
        assert_redirect(&error, 302, target);
    }
}

fn assert_redirect(error: &CaError, status: u16, target: &str) {
    let CaError::Unavailable { detail, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        detail.contains(target) && detail.contains(&status.to_string()),
        "{detail}"
    );
    assert!(detail.contains("LetsEncrypt:DirectoryUrl"), "{detail}");
}

#[tokio::test]
async fn another_host_is_not_called_unless_it_is_allowed() {
    let (world, other) = (World::start().await, AcmeDouble::start().await.unwrap());
    let account = world.account().await;
    let elsewhere = other.directory_url().replace("directory", "order/1");
    let before = other.requests(Endpoint::Order);
    let error = world
        .authority
        .order(&account, &elsewhere)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("LetsEncrypt:AllowedHosts"),
        "{error}"
    );
    assert_eq!(other.requests(Endpoint::Order), before, "nothing was sent");

    let mut settings = AcmeSettings::new(world.double.directory_url().parse().unwrap());
    let address = elsewhere
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap();
    settings.allowed_hosts = vec![address.to_owned()];
    let authority =
        AcmeAuthority::new(&settings, Arc::clone(&world.clock) as Arc<dyn Clock>).unwrap();
    let error = authority.order(&account, &elsewhere).await.unwrap_err();
    assert!(
        !error.to_string().contains("LetsEncrypt:AllowedHosts"),
        "{error}"
    );
    assert!(other.requests(Endpoint::Order) > before);
}
