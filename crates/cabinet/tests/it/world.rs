//! A Cabinet on a free port with a clock that tests move, and a client for each of its sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use dps_cabinet::{Ports, Settings};
use dps_cabinet_api::{CUSTOMER_PATH, INTERNAL_PATH, Problem, StatusReport};
use dps_domain::Timestamp;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::document::assert_documented;

pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-test";
pub(crate) const API_TOKEN: &str = "platform-token-of-the-test";
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Defines each test once and runs it on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($(async fn $name:ident($database:ident: Database) $body:block)*) => {
        $(async fn $name($database: crate::world::Database) $body)*
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::world::Database::sqlite()).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::world::Database::postgres().await).await; })*
        }
    };
}
pub(crate) use on_both_databases;

/// An empty database.
pub(crate) struct Database {
    url: String,
    _directory: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("cabinet.db").display());
        Self {
            url,
            _directory: Some(directory),
        }
    }

    /// A database of a server that the test handles itself.
    pub(crate) fn at(url: String) -> Self {
        Self {
            url,
            _directory: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        let url = dps_lab::postgres::fresh_database()
            .await
            .expect("PostgreSQL must be installed for this test");
        Self {
            url,
            _directory: None,
        }
    }
}

/// A running Cabinet.
pub(crate) struct World {
    pub(crate) base: String,
    client: reqwest::Client,
    clock: Arc<AtomicI64>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    pub(crate) async fn on(database: &Database) -> Self {
        Self::with(database, |_| {}).await
    }

    pub(crate) async fn with(database: &Database, change: impl FnOnce(&mut Settings)) -> Self {
        Self::started_at(database, START, change).await
    }

    /// A Cabinet that starts this much later than the others.
    pub(crate) async fn later(database: &Database, by: Duration) -> Self {
        Self::started_at(database, START + by, |_| {}).await
    }

    async fn started_at(
        database: &Database,
        start: Timestamp,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            connection_string: database.url.as_str().into(),
            cname_target: Some("edge.platform.example".to_owned()),
            service_token: Some(SERVICE_TOKEN.into()),
            api_token: Some(API_TOKEN.into()),
            ..Settings::default()
        };
        change(&mut settings);
        let clock = Arc::new(AtomicI64::new(start.unix_micros()));
        let bound = dps_cabinet::bind_with(settings, ports(&clock))
            .await
            .unwrap();
        let base = format!("http://{}", bound.local_addr());
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { bound.run(stop).await.unwrap() });
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            base,
            client,
            clock,
            shutdown,
            task,
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn address(&self) -> String {
        self.base.trim_start_matches("http://").to_owned()
    }

    /// A call without a token.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// A call of the service; `path` continues the path of its side.
    pub(crate) fn service(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, &format!("{INTERNAL_PATH}{path}"))
            .bearer_auth(SERVICE_TOKEN)
    }

    /// A call of the platform; `path` continues the path of its side.
    pub(crate) fn platform(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, &format!("{CUSTOMER_PATH}{path}"))
            .bearer_auth(API_TOKEN)
    }

    pub(crate) async fn create(&self, hostname: &str) -> Response {
        self.create_for("tenant", hostname).await
    }

    pub(crate) async fn create_for(&self, tenant_id: &str, hostname: &str) -> Response {
        let body = json!({"hostname": hostname, "tenantId": tenant_id});
        self.platform(Method::POST, "")
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    /// Creates a domain and returns its id.
    pub(crate) async fn created(&self, hostname: &str) -> String {
        let domain = answer(self.create(hostname).await, 201).await;
        domain["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn report(&self, id: &str, version: u64, report: &StatusReport) -> Response {
        let call = self.service(Method::POST, &format!("/{id}/status"));
        call.header("If-Match", format!("\"{version}\""))
            .json(report)
            .send()
            .await
            .unwrap()
    }

    /// A GET of the service, which must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        answer(self.service(Method::GET, path).send().await.unwrap(), 200).await
    }
}

fn ports(clock: &Arc<AtomicI64>) -> Ports {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let clock = Arc::clone(clock);
    Ports::new(
        // Each read of the clock is a microsecond later.
        move || Timestamp::from_unix_micros(clock.fetch_add(1, Ordering::Relaxed)),
        |bytes| {
            let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            bytes[..8].copy_from_slice(&count);
        },
    )
}

/// The body of an answer that must have the given status, which the document must have for this
/// path.
pub(crate) async fn answer(response: Response, status: u16) -> Value {
    let found = response.status().as_u16();
    let media_type = response.headers().get("content-type").cloned();
    let path = response.url().path().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    assert_documented(&path, status, media_type.unwrap().to_str().unwrap());
    serde_json::from_str(&text).unwrap()
}

/// The problem document of an answer that must be a refusal with the given status.
pub(crate) async fn refusal(response: Response, status: u16) -> Problem {
    let media_type = response.headers().get("content-type").cloned();
    let value = answer(response, status).await;
    assert_eq!(media_type.unwrap(), "application/problem+json");
    assert_eq!(value["status"], status);
    let detail = value["detail"].as_str().unwrap();
    assert!((1..1_000).contains(&detail.len()), "{detail}");
    serde_json::from_value(value).unwrap()
}

/// The canonical hosts of a page.
pub(crate) fn hosts(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["canonicalHost"].as_str().unwrap().to_owned())
        .collect()
}
