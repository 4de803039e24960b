//! A customer of the platform, who knows the Cabinet's public API and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// The token of the platform's backend for the Cabinet.
pub(super) const API_TOKEN: &str = "api-token-of-the-tests";

pub(crate) struct Customer {
    http: Client,
    base: String,
}

impl Customer {
    pub(super) fn new(cabinet: SocketAddr) -> Self {
        dps_lab::tls::install_crypto_provider();
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20));
        Self {
            http: http.build().unwrap(),
            base: format!("http://{cabinet}/api/v1/custom-domains"),
        }
    }

    /// Adds a domain; answers its identifier.
    pub(crate) async fn add(&self, hostname: &str) -> String {
        self.add_for("tenant-1", hostname).await
    }

    /// Adds a domain of a tenant; answers its identifier.
    pub(crate) async fn add_for(&self, tenant: &str, hostname: &str) -> String {
        let added = answer(self.addition(tenant, hostname)).await;
        assert_eq!(added["status"], "PendingDns", "{added}");
        added["id"].as_str().unwrap().to_owned()
    }

    /// Adds a domain that the Cabinet refuses; answers the problem document.
    pub(crate) async fn refused(&self, hostname: &str) -> Value {
        let answer = self.addition("tenant-1", hostname).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_client_error(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Reads a domain.
    pub(crate) async fn read(&self, id: &str) -> Value {
        answer(self.request(Method::GET, &format!("/{id}"))).await
    }

    /// The identifier of the domain with this hostname.
    pub(crate) async fn id_of(&self, hostname: &str) -> String {
        let found = answer(self.request(Method::GET, &format!("?hostname={hostname}"))).await;
        let id = found["items"][0]["id"].as_str();
        id.unwrap_or_else(|| panic!("{hostname}: {found}"))
            .to_owned()
    }

    /// Asks for another try.
    pub(crate) async fn retry(&self, id: &str) -> Value {
        answer(self.request(Method::POST, &format!("/{id}/retry"))).await
    }

    /// Wants the domain gone.
    pub(crate) async fn remove(&self, id: &str) -> Value {
        answer(self.request(Method::DELETE, &format!("/{id}"))).await
    }

    /// Any page; answers status and body.
    pub(crate) async fn get(&self, url: &str) -> (u16, String) {
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    fn addition(&self, tenant: &str, hostname: &str) -> RequestBuilder {
        let body = json!({ "hostname": hostname, "tenantId": tenant }).to_string();
        self.request(Method::POST, "")
            .header("content-type", "application/json")
            .body(body)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(API_TOKEN)
    }
}

async fn answer(request: RequestBuilder) -> Value {
    let answer: Response = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}
