//! A customer of the platform: talks to the Cabinet's public API and to nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dps_cabinet_api::{CUSTOMER_PATH, CreateRequest, CustomerView};
use dps_host::Secret;
use reqwest::Client;

/// How long a call may take.
const CALL: Duration = Duration::from_secs(10);

pub(super) struct Customer {
    http: Client,
    base: String,
    token: Secret,
}

impl Customer {
    pub(super) fn new(cabinet: SocketAddr, token: Secret) -> anyhow::Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .timeout(CALL)
            .build()
            .context("cannot create an HTTP client")?;
        Ok(Self {
            http,
            base: format!("http://{cabinet}{CUSTOMER_PATH}"),
            token,
        })
    }

    /// Adds a domain of a tenant.
    pub(super) async fn add(&self, tenant: &str, hostname: &str) -> anyhow::Result<CustomerView> {
        let request = CreateRequest {
            hostname: hostname.to_owned(),
            tenant_id: tenant.to_owned(),
            cname_target: None,
        };
        let answer = self
            .http
            .post(&self.base)
            .bearer_auth(self.token.expose())
            .json(&request)
            .send()
            .await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(
            status.is_success(),
            "the Cabinet refused {hostname}: {status} {body}"
        );
        serde_json::from_str(&body).with_context(|| format!("the Cabinet's answer for {hostname}"))
    }

    /// Requests a check of a domain now.
    pub(super) async fn retry(&self, id: &str) -> anyhow::Result<()> {
        let url = format!("{}/{id}/retry", self.base);
        let call = self.http.post(url).bearer_auth(self.token.expose());
        call.send().await?.error_for_status()?;
        Ok(())
    }

    /// Removes a domain.
    pub(super) async fn remove(&self, id: &str) -> anyhow::Result<()> {
        let url = format!("{}/{id}", self.base);
        let call = self.http.delete(url).bearer_auth(self.token.expose());
        call.send().await?.error_for_status()?;
        Ok(())
    }

    /// Reads a domain.
    pub(super) async fn read(&self, id: &str) -> anyhow::Result<CustomerView> {
        let url = format!("{}/{id}", self.base);
        let answer = self
            .http
            .get(url)
            .bearer_auth(self.token.expose())
            .send()
            .await?
            .error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }
}
