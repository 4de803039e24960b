//! A Cabinet with a setup page, and both sides that change a domain.

use std::os::unix::fs::PermissionsExt as _;

use dps_cabinet::{Settings, SetupPageSettings};
use dps_cabinet_api::{CUSTOMER_PATH, INTERNAL_PATH, StatusReport};
use dps_domain::Status;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SERVICE_TOKEN: &str = "service-token-of-the-test";
const API_TOKEN: &str = "platform-token-of-the-test";

/// A running Cabinet. Dropping it stops it.
pub(super) struct World {
    base: String,
    http: reqwest::Client,
    shutdown: CancellationToken,
    _home: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A domain and the link to its page.
pub(super) struct Domain<'a> {
    world: &'a World,
    id: String,
    pub(super) link: String,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A Cabinet with changed settings of its page.
    pub(super) async fn with(change: impl FnOnce(&mut SetupPageSettings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key_file = home.path().join("setup.key");
        std::fs::write(&key_file, "a secret of at least 32 characters").unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let base = format!("http://127.0.0.1:{}", dps_lab::free_port().unwrap());
        let database = format!("sqlite://{}", home.path().join("cabinet.db").display());
        let mut settings = Settings {
            listen: base.trim_start_matches("http://").parse().unwrap(),
            connection_string: database.as_str().into(),
            cname_target: Some("k3v7.edge.platform.example".to_owned()),
            edge_addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            service_token: Some(SERVICE_TOKEN.into()),
            api_token: Some(API_TOKEN.into()),
            setup_page: SetupPageSettings {
                key_file: Some(key_file),
                public_url: Some(base.clone()),
                name: "Acme Shops".to_owned(),
                ..SetupPageSettings::default()
            },
            ..Settings::default()
        };
        change(&mut settings.setup_page);
        let bound = dps_cabinet::bind(settings).await.unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move { bound.run(stop).await.unwrap() });
        Self {
            base,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            shutdown,
            _home: home,
        }
    }

    pub(super) async fn create(&self, hostname: &str) -> Domain<'_> {
        let body = json!({"hostname": hostname, "tenantId": "tenant"});
        let created = self
            .http
            .post(format!("{}{CUSTOMER_PATH}", self.base))
            .bearer_auth(API_TOKEN)
            .json(&body);
        let created: Value = created.send().await.unwrap().json().await.unwrap();
        Domain {
            world: self,
            id: created["id"].as_str().unwrap().to_owned(),
            link: created["setupUrl"].as_str().unwrap().to_owned(),
        }
    }
}

impl Domain<'_> {
    /// The domain as the service sees it.
    pub(super) async fn read(&self) -> Value {
        let call = self.service(Method::GET, "");
        call.send().await.unwrap().json().await.unwrap()
    }

    /// Reports as the service does.
    pub(super) async fn report(&self, report: &StatusReport) {
        let version = self.read().await["version"].clone();
        let call = self.service(Method::POST, "/status");
        let call = call
            .header("If-Match", format!("\"{version}\""))
            .json(report);
        let response = call.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{:?}",
            response.text().await
        );
    }

    /// Reports that the customer must act, or somebody else.
    pub(super) async fn report_failure(&self, failure: &Value, message: &str) {
        self.report(&failing(failure, message)).await;
    }

    /// Requests the removal as the platform does.
    pub(super) async fn remove(&self) {
        let address = format!("{}{CUSTOMER_PATH}/{}", self.world.base, self.id);
        let call = self.world.http.delete(address).bearer_auth(API_TOKEN);
        assert!(call.send().await.unwrap().status().is_success());
    }

    fn service(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}{INTERNAL_PATH}/{}{path}", self.world.base, self.id);
        let request = self.world.http.request(method, address);
        request.bearer_auth(SERVICE_TOKEN)
    }
}

/// A report of a failure.
pub(super) fn failing(failure: &Value, message: &str) -> StatusReport {
    StatusReport {
        last_error_code: failure["code"].as_str().map(str::to_owned),
        last_error_message: Some(message.to_owned()),
        error_details: failure.as_object().cloned(),
        ..StatusReport::of(Status::PendingDns)
    }
}
