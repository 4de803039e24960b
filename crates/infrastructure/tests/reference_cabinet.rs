//! The Cabinet adapter against the reference Cabinet: both sides of the contract agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{CabinetFault, CabinetPage, ReportAnswer, StatusReport};
use dps_cabinet::{Settings, bind};
use dps_domain::ownership::ProofValue;
use dps_domain::record::report::ProofRecord;
use dps_domain::{DomainId, Failure, Status, Timestamp};
use dps_infrastructure::cabinet::{CabinetSettings, HttpCabinet};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SERVICE_TOKEN: &str = "service-token-0123456789";
const API_TOKEN: &str = "customer-token-0123456789";

/// A reference Cabinet on a database of its own. Dropping it ends it.
struct World {
    address: SocketAddr,
    customers: reqwest::Client,
    _task: JoinSet<()>,
    _home: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", home.path().join("cabinet.db").display());
        let bound = bind(Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            connection_string: database.as_str().into(),
            cname_target: Some("edge.platform.example".to_owned()),
            service_token: Some(SERVICE_TOKEN.into()),
            api_token: Some(API_TOKEN.into()),
            ..Settings::default()
        })
        .await
        .unwrap();
        let address = bound.local_addr();
        let mut task = JoinSet::new();
        task.spawn(async move { bound.run(CancellationToken::new()).await.unwrap() });
        let customers = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            address,
            customers,
            _task: task,
            _home: home,
        }
    }

    fn service(&self, token: &str, page_limit: u32) -> HttpCabinet {
        let base = format!("http://{}", self.address).parse().unwrap();
        let settings = CabinetSettings {
            page_limit,
            ..CabinetSettings::default()
        };
        HttpCabinet::new(base, token.into(), settings).unwrap()
    }

    async fn create(&self, hostname: &str) -> DomainId {
        let url = format!("http://{}/api/v1/custom-domains", self.address);
        let body = json!({"hostname": hostname, "tenantId": "tenant-1"});
        let call = self.customers.post(url).bearer_auth(API_TOKEN).json(&body);
        let created: Value = call
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap();
        created["id"].as_str().unwrap().parse().unwrap()
    }

    async fn delete(&self, id: DomainId) {
        let url = format!("http://{}/api/v1/custom-domains/{id}", self.address);
        let call = self.customers.delete(url).bearer_auth(API_TOKEN);
        call.send().await.unwrap().error_for_status().unwrap();
    }
}

fn hosts(page: &CabinetPage) -> Vec<&str> {
    page.domains
        .iter()
        .map(|domain| domain.canonical_host.shown())
        .collect()
}

fn plain(status: Status) -> StatusReport {
    StatusReport {
        status,
        failure: None,
        message: None,
        next_attempt_at: None,
        certificate_not_after: None,
        proof: None,
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_to_its_end() {
    let world = World::start().await;
    for name in ["a.example.com", "Bücher.example", "c.example.com"] {
        world.create(name).await;
    }
    let service = world.service(SERVICE_TOKEN, 2);
    let first = service.list(Status::PendingDns, None).await.unwrap();
    assert_eq!(hosts(&first), ["a.example.com", "xn--bcher-kva.example"]);
    assert_eq!(
        first.domains[0].cname_target.shown(),
        "edge.platform.example"
    );
    assert_eq!(first.domains[0].tenant_id, "tenant-1");
    let second = service
        .list(Status::PendingDns, first.next.as_deref())
        .await
        .unwrap();
    assert_eq!(
        (hosts(&second), &second.next),
        (vec!["c.example.com"], &None)
    );
    assert_eq!(
        service.list(Status::Active, None).await.unwrap().domains,
        []
    );
}

#[tokio::test]
async fn the_feed_wakes_a_waiting_service_and_says_when_it_does_not_know_the_place() {
    let world = World::start().await;
    world.create("a.example.com").await;
    let service = world.service(SERVICE_TOKEN, 100);
    let seen = service
        .changes(None, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(hosts(&seen), ["a.example.com"]);
    let quiet = service
        .changes(seen.next.as_deref(), Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(quiet.domains, []);
    let started = Instant::now();
    let (woken, _) = tokio::join!(
        service.changes(quiet.next.as_deref(), Duration::from_secs(25)),
        world.create("b.example.com"),
    );
    assert_eq!(hosts(&woken.unwrap().unwrap()), ["b.example.com"]);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let unknown = service
        .changes(Some("of-another-database"), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(unknown.fault, CabinetFault::CursorUnknown);
}

#[tokio::test]
async fn reports_are_taken_once_guarded_by_version_and_move() {
    let world = World::start().await;
    let id = world.create("shop.example.com").await;
    let service = world.service(SERVICE_TOKEN, 100);
    let found = service.domain(id).await.unwrap().unwrap();
    let failed = StatusReport {
        failure: Some(Failure::DnsNxdomain {}),
        message: Some("shop.example.com does not exist in DNS.\0".to_owned()),
        next_attempt_at: Some(Timestamp::from_unix_seconds(1_900_000_000)),
        ..plain(Status::PendingDns)
    };
    let answer = service.report(id, found.version, &failed).await.unwrap();
    let ReportAnswer::Accepted {
        version: Some(version),
        ..
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert!(version > found.version);
    let again = service.report(id, found.version, &failed).await.unwrap();
    assert_eq!(
        again,
        ReportAnswer::Accepted {
            version: Some(version),
            keeps_proof: None,
        },
        "a report whose answer was lost is sent again"
    );
    // An answer to a report with a record shows that the record is kept.
    let asked = StatusReport {
        proof: Some(ProofRecord {
            name: "_dps-challenge.shop.example.com".to_owned(),
            value: ProofValue::new([0x5e; 16]),
        }),
        ..failed.clone()
    };
    let answer = service.report(id, version, &asked).await.unwrap();
    let ReportAnswer::Accepted {
        version: Some(version),
        keeps_proof: Some(true),
    } = answer
    else {
        panic!("{answer:?}")
    };
    let stale = service
        .report(id, found.version, &plain(Status::Issuing))
        .await
        .unwrap();
    assert_eq!(stale, ReportAnswer::VersionMoved);
    let answer = service
        .report(id, version, &plain(Status::Active))
        .await
        .unwrap();
    let ReportAnswer::Accepted {
        version: Some(version),
        ..
    } = answer
    else {
        panic!("{answer:?}")
    };
    let back = service
        .report(id, version, &plain(Status::PendingDns))
        .await
        .unwrap();
    assert!(matches!(back, ReportAnswer::IllegalMove { .. }), "{back:?}");
}

#[tokio::test]
async fn a_removal_is_seen_in_the_feed_and_reported_back() {
    let world = World::start().await;
    let id = world.create("shop.example.com").await;
    let service = world.service(SERVICE_TOKEN, 100);
    world.delete(id).await;
    let feed = service
        .changes(None, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    let [leaving] = feed.domains.as_slice() else {
        panic!("{:?}", feed.domains)
    };
    assert_eq!(leaving.status, Some(Status::PendingRemoval));
    let answer = service
        .report(id, leaving.version, &plain(Status::Removed))
        .await
        .unwrap();
    assert!(
        matches!(answer, ReportAnswer::Accepted { .. }),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_domain_that_never_was_is_gone() {
    let world = World::start().await;
    let service = world.service(SERVICE_TOKEN, 100);
    let nobody: DomainId = "018bcfe5-6800-7000-8000-000000000001".parse().unwrap();
    assert_eq!(service.domain(nobody).await.unwrap(), None);
    let answer = service
        .report(nobody, 1, &plain(Status::Active))
        .await
        .unwrap();
    assert_eq!(answer, ReportAnswer::Gone);
}

#[tokio::test]
async fn a_wrong_token_is_named_as_the_cause() {
    let world = World::start().await;
    let error = world
        .service("a-wrong-token-0123456789", 100)
        .list(Status::PendingDns, None)
        .await
        .unwrap_err();
    assert!(error.detail.contains("refuses our token"), "{error}");
}
