//! Renewal information (RFC 9773): what a CA suggests, and orders that name their predecessor.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::ca::{Account, CaError, RenewalInfoResponse};
use dps_application::ports::{CertificateAuthority, Clock};
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Hostname, Timestamp, Until};
use dps_infrastructure::acme::{AcmeAuthority, AcmeSettings};
use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply, Suggestion};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
/// The example of RFC 9773 §4.1.
const ARI_ID: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct World {
    double: AcmeDouble,
    authority: AcmeAuthority,
}

impl World {
    /// A CA without renewal information.
    async fn start() -> Self {
        let double = AcmeDouble::start().await.unwrap();
        let mut settings = AcmeSettings::new(double.directory_url().parse().unwrap());
        settings.request_timeout = Duration::from_secs(2);
        Self {
            authority: AcmeAuthority::new(&settings, Arc::new(StoppedClock)).unwrap(),
            double,
        }
    }

    /// A CA that knows one certificate.
    async fn with_certificate() -> Self {
        let world = Self::start().await;
        world.double.offer_renewal_info();
        world
            .double
            .suggest(ARI_ID, Suggestion::new(&(NOW + HOUR), &(NOW + 2 * HOUR)));
        world
    }

    async fn poll(&self) -> Result<Option<RenewalInfoResponse>, CaError> {
        self.authority.renewal_info(ARI_ID).await
    }

    fn reply(&self, reply: Reply) {
        self.double
            .inject(Endpoint::RenewalInfo, 1, &Fault::Reply(reply));
    }

    async fn account(&self) -> Account {
        let key = self.authority.new_account_key().unwrap();
        let url = self.authority.register(&key).await.unwrap();
        Account { url, key }
    }

    async fn order_replacing(&self, account: &Account, ari_id: &str) -> Result<String, CaError> {
        let host = Hostname::parse("shop.example.com").unwrap();
        self.authority.new_order(account, &host, Some(ari_id)).await
    }
}

fn until(error: &CaError) -> Option<Timestamp> {
    match error {
        CaError::Unavailable { retry_after, .. } => retry_after.map(Until::at),
        CaError::Unreachable { .. } => None,
        other => panic!("not an outage: {other}"),
    }
}

#[tokio::test]
async fn a_window_comes_with_its_explanation_and_the_time_of_the_next_poll() {
    let world = World::with_certificate().await;
    let suggestion = Suggestion {
        explanation_url: Some("https://ca.example/incident".into()),
        ..Suggestion::new(&(NOW + HOUR), &(NOW + 2 * HOUR))
    };
    world.double.suggest(ARI_ID, suggestion);
    let expected = RenewalInfoResponse {
        window: SuggestedWindow::new(NOW + HOUR, NOW + 2 * HOUR).unwrap(),
        explanation_url: Some("https://ca.example/incident".into()),
        poll_again_at: NOW + 6 * HOUR,
    };
    assert_eq!(world.poll().await.unwrap(), Some(expected));
    assert_eq!(
        world.double.requests(Endpoint::NewNonce),
        0,
        "nothing is signed"
    );
}

#[tokio::test]
async fn a_ca_without_renewal_information_is_not_asked() {
    let world = World::start().await;
    assert_eq!(world.poll().await.unwrap(), None);
    assert_eq!(world.poll().await.unwrap(), None);
    assert_eq!(world.double.requests(Endpoint::RenewalInfo), 0);
    assert_eq!(world.double.requests(Endpoint::Directory), 1);
}

#[tokio::test]
async fn the_next_poll_waits_a_minute_at_least_and_a_day_at_most() {
    let world = World::with_certificate().await;
    for (retry_after, seconds) in [
        (Some("0"), 60),
        (Some("3600"), 3_600),
        (Some("99999999"), 86_400),
        (Some("soon"), 21_600),
        (None, 21_600),
    ] {
        let suggestion = Suggestion {
            retry_after: retry_after.map(str::to_owned),
            ..Suggestion::new(&NOW, &(NOW + HOUR))
        };
        world.double.suggest(ARI_ID, suggestion);
        let info = world.poll().await.unwrap().unwrap();
        assert_eq!(
            info.poll_again_at,
            NOW + Duration::from_secs(seconds),
            "{retry_after:?}"
        );
    }
}

#[tokio::test]
async fn windows_that_make_no_sense_are_no_answer_for_six_hours() {
    let world = World::with_certificate().await;
    for (start, end) in [
        ("2027-03-02T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-03-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-03-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ("9998-03-01T00:00:00Z", "9998-03-02T00:00:00Z"),
        ("0000-01-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("tomorrow", "the day after"),
    ] {
        world.double.suggest(ARI_ID, Suggestion::new(&start, &end));
        let error = world.poll().await.unwrap_err();
        assert_eq!(
            until(&error),
            Some(NOW + 6 * HOUR),
            "{start} {end}: {error}"
        );
    }
    for body in [
        "",
        "{}",
        "[]",
        r#"{"suggestedWindow":{"start":"2027-03-01T00:00:00Z"}}"#,
    ] {
        world.reply(Reply::new(200, "application/json", body));
        assert_eq!(
            until(&world.poll().await.unwrap_err()),
            Some(NOW + 6 * HOUR),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_explanation_that_no_browser_should_open_is_left_out() {
    let world = World::with_certificate().await;
    for url in [
        "javascript:alert(1)",
        "not an address",
        &format!("https://ca.example/{}", "x".repeat(3_000)),
    ] {
        let suggestion = Suggestion {
            explanation_url: Some(url.to_owned()),
            ..Suggestion::new(&NOW, &(NOW + HOUR))
        };
        world.double.suggest(ARI_ID, suggestion);
        assert_eq!(world.poll().await.unwrap().unwrap().explanation_url, None);
    }
}

#[tokio::test]
async fn failures_here_are_distinguished_and_never_cause_another_fetch_of_the_directory() {
    let throttled = World::with_certificate().await;
    throttled.reply(Reply::html(503).header("Retry-After", "300"));
    // The poll itself waits as long as the CA said, the others a minute at most.
    let error = throttled.poll().await.unwrap_err();
    assert_eq!(
        until(&error),
        Some(NOW + Duration::from_secs(300)),
        "{error}"
    );
    let error = throttled.poll().await.unwrap_err();
    assert!(
        matches!(error, CaError::Paced { until } if until == NOW + Duration::from_secs(60)),
        "{error}"
    );
    assert_eq!(
        throttled.double.requests(Endpoint::RenewalInfo),
        1,
        "a CA that wants quiet has it"
    );
    let account = throttled.account().await;
    assert!(
        throttled.order_replacing(&account, ARI_ID).await.is_ok(),
        "orders are another matter"
    );
    let world = World::with_certificate().await;
    world.reply(Reply::problem(500, "serverInternal", "oops"));
    assert_eq!(until(&world.poll().await.unwrap_err()), None);
    for fault in [
        Fault::CutBody,
        Fault::HugeBody,
        Fault::SlowBody,
        Fault::HangUp,
    ] {
        world.double.inject(Endpoint::RenewalInfo, 1, &fault);
        assert_eq!(until(&world.poll().await.unwrap_err()), None, "{fault:?}");
    }
    let unknown = world.authority.renewal_info("AAAA.BBBB").await.unwrap_err();
    assert!(matches!(unknown, CaError::Malformed { .. }), "{unknown}");
    let sent = world.double.requests(Endpoint::RenewalInfo);
    let nonsense = world
        .authority
        .renewal_info("../directory")
        .await
        .unwrap_err();
    assert!(matches!(nonsense, CaError::Malformed { .. }), "{nonsense}");
    assert_eq!(
        world.double.requests(Endpoint::RenewalInfo),
        sent,
        "it was not sent"
    );
    assert_eq!(world.double.requests(Endpoint::Directory), 1);
}

#[tokio::test]
async fn a_limit_names_the_time_until_which_the_poll_must_wait() {
    let world = World::with_certificate().await;
    world.reply(Reply::problem(429, "rateLimited", "slow down").header("Retry-After", "60"));
    let error = world.poll().await.unwrap_err();
    assert!(
        matches!(error, CaError::RateLimited { until: Some(at), .. } if at == NOW + Duration::from_secs(60)),
        "{error}"
    );
}

#[tokio::test]
async fn a_renewal_names_its_predecessor_and_continues_without_when_that_is_refused() {
    let world = World::with_certificate().await;
    let account = world.account().await;
    world.order_replacing(&account, ARI_ID).await.unwrap();
    assert!(world.double.is_replaced(ARI_ID));
    assert_eq!(world.double.requests(Endpoint::NewOrder), 1);
    // 409: it was replaced. 404: the CA does not know it.
    for ari_id in [ARI_ID, "AAAA.BBBB"] {
        let before = world.double.requests(Endpoint::NewOrder);
        world.order_replacing(&account, ari_id).await.unwrap();
        assert_eq!(
            world.double.requests(Endpoint::NewOrder),
            before + 2,
            "{ari_id}"
        );
    }
    for refusal in [
        Reply::problem(409, "conflict", "replaced already"),
        Reply::problem(403, "unauthorized", "the certificate is another account's"),
        Reply::problem(400, "malformed", "no name in common with the predecessor"),
    ] {
        world
            .double
            .inject(Endpoint::NewOrder, 1, &Fault::Reply(refusal));
        world.order_replacing(&account, ARI_ID).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_is_wrong_without_its_predecessor_too_is_refused_after_two_tries() {
    let world = World::with_certificate().await;
    let account = world.account().await;
    let refusal = Fault::Reply(Reply::problem(400, "malformed", "no"));
    world.double.inject(Endpoint::NewOrder, 9, &refusal);
    let error = world.order_replacing(&account, ARI_ID).await.unwrap_err();
    assert!(matches!(error, CaError::Malformed { .. }), "{error}");
    assert_eq!(world.double.requests(Endpoint::NewOrder), 2);
}

#[tokio::test]
async fn a_limit_or_an_outage_is_not_argued_with_for_the_sake_of_the_predecessor() {
    let world = World::with_certificate().await;
    let account = world.account().await;
    for reply in [
        Reply::problem(429, "rateLimited", "too many").header("Retry-After", "36"),
        Reply::html(503),
        Reply::problem(400, "rejectedIdentifier", "no"),
    ] {
        let before = world.double.requests(Endpoint::NewOrder);
        world
            .double
            .inject(Endpoint::NewOrder, 1, &Fault::Reply(reply));
        world.order_replacing(&account, ARI_ID).await.unwrap_err();
        assert_eq!(world.double.requests(Endpoint::NewOrder), before + 1);
    }
}

#[tokio::test]
async fn a_ca_without_renewal_information_is_sent_no_predecessor() {
    let world = World::start().await;
    let account = world.account().await;
    world.order_replacing(&account, ARI_ID).await.unwrap();
    assert_eq!(
        world.double.requests(Endpoint::NewOrder),
        1,
        "it would have been refused"
    );
}

#[tokio::test]
async fn an_order_made_by_a_ca_that_does_not_repeat_the_predecessor_is_made_once() {
    let world = World::with_certificate().await;
    world.double.hide_replaces();
    let account = world.account().await;
    let url = world.order_replacing(&account, ARI_ID).await.unwrap();
    assert_eq!(world.double.requests(Endpoint::NewOrder), 1);
    assert!(world.double.is_replaced(ARI_ID));
    assert!(world.authority.order(&account, &url).await.is_ok());
}
