//! The receivers of webhooks that the settings name.

use std::sync::Arc;

use anyhow::Context as _;
use dps_application::ports::webhooks::WebhookEndpoint;
use dps_infrastructure::webhook::{AddressRules, HttpWebhook};

use crate::config::{Settings, Webhook};

/// Every receiver, with the key that signs its messages.
pub fn webhook_endpoints(settings: &Settings) -> anyhow::Result<Vec<Arc<dyn WebhookEndpoint>>> {
    let mut endpoints: Vec<Arc<dyn WebhookEndpoint>> = Vec::new();
    for (index, webhook) in settings.webhooks.iter().enumerate() {
        let unusable = || format!("Webhooks:{index} cannot be used");
        let url = webhook.url.clone().context("Url is missing");
        let url = url.with_context(unusable)?;
        let key = webhook.signing_key().with_context(unusable)?;
        let rules = AddressRules {
            allow_private: webhook.allow_private_addresses,
            forbidden_networks: settings.workers.http_probe.networks(),
        };
        let endpoint = HttpWebhook::new(Webhook::name_of(&url), url, key, rules);
        endpoints.push(Arc::new(endpoint.with_context(unusable)?));
    }
    Ok(endpoints)
}
