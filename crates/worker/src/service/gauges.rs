//! Keeps the gauges of the metrics up to date.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_application::Service;
use dps_application::ports::store::StoreError;
use dps_application::rotation::OldSecrets;
use dps_application::survey::{self, Surveyor};
use dps_domain::Timestamp;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, BucketUse, Endpoint, LimitKind};
use dps_host::mutual_tls::ClientTls;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{LimitGauges, Metrics};

/// How often the gauges are brought up to date.
const GAUGE_PERIOD: Duration = Duration::from_secs(15);
/// Pauses of issuance that are counted.
const MAX_PAUSES: u32 = 1_000;
/// Longer queues are reported as this long.
const MOST_COUNTED: u32 = 100_000;

/// Keeps the gauges true without a query during a scrape.
pub(super) async fn refresh(
    service: Service,
    agent_tls: Option<ClientTls>,
    receivers: Vec<String>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut gauges = Gauges {
        service,
        receivers,
        metrics,
        uses: BTreeMap::new(),
        surveyor: Surveyor::default(),
        old_secrets: OldSecrets::default(),
        frozen_until: None,
    };
    loop {
        // First, so that an outage of the store does not stop them.
        gauges.show_known(agent_tls.as_ref());
        if let Err(error) = gauges.refresh().await {
            tracing::warn!(%error, "metrics.not_refreshed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(GAUGE_PERIOD) => {}
        }
    }
}

struct Gauges {
    service: Service,
    /// The receivers of webhooks in the settings.
    receivers: Vec<String>,
    metrics: Metrics,
    uses: BTreeMap<LimitKind, BucketUse>,
    surveyor: Surveyor,
    old_secrets: OldSecrets,
    /// The end of the freeze that was logged last; `None` while there is none.
    frozen_until: Option<Timestamp>,
}

impl Gauges {
    /// Sets the gauges of what this process knows by itself.
    fn show_known(&mut self, agent_tls: Option<&ClientTls>) {
        self.show_freeze();
        let (service, gauges) = (&self.service, &self.metrics);
        gauges.resolvers(&service.resolvers.status());
        gauges.cabinet(&service.cabinet_health.status());
        if let Some(tls) = agent_tls {
            gauges.agent_tls_not_after(tls.state().expires_at);
        }
    }

    /// Shows the freeze of renewals in force, and logs its beginning and its end once.
    fn show_freeze(&mut self) {
        let (policy, now) = (&self.service.policy, self.service.now());
        let window = policy.freeze.at(now);
        let until = window.map(|window| window.until);
        self.metrics.freeze(until);
        if until == self.frozen_until {
            return;
        }
        match window {
            Some(window) => {
                tracing::warn!(until = %window.until, reason = window.reason, "renewals.frozen");
            }
            None => tracing::info!("renewals.unfrozen"),
        }
        self.frozen_until = until;
    }

    /// Sets the gauges of what the store knows. The first call writes, so that a store which can
    /// only be read is found.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let pinged = self.service.store.ping().await;
        // A row that cannot be read is no outage of the store.
        self.metrics.store_up(pinged.is_ok());
        pinged?;
        self.show_limits().await?;
        self.show_work().await?;
        self.show_edges().await?;
        let service = &self.service;
        let (store, now) = (service.store.as_ref(), service.now());
        if let Some(survey) = self.surveyor.advance(store, now).await? {
            survey::keep(store, &survey).await?;
            self.metrics.certificates(survey);
        }
        if let Some(counted) = store.fleet_counts().await? {
            self.metrics.fleet(&counted);
        }
        self.metrics.pauses(&store.pauses(None, MAX_PAUSES).await?);
        let vault = service.vault.as_ref();
        if let Some(secrets) = self.old_secrets.advance(store, vault).await? {
            self.metrics.secrets_under_old_keys(secrets);
        }
        Ok(())
    }

    async fn show_limits(&mut self) -> Result<(), StoreError> {
        let (service, store) = (&self.service, &self.service.store);
        let waiting = store.waiting(Lane::OrderQueue, MOST_COUNTED).await?;
        let mut last = Duration::ZERO;
        let requests = Endpoint::ALL.map(LimitKind::Requests);
        let of_account = [LimitKind::NewOrders, LimitKind::NewAccounts];
        for kind in of_account.into_iter().chain(requests) {
            let limit = service.limits.get(kind);
            if limit.is_none() {
                continue;
            }
            let key = BucketKey::of_account(kind, service.ca.directory_url());
            let (bucket, now) = (store.ledger_bucket(&key).await?, service.now());
            let used = self.uses.entry(kind).or_default();
            used.note(bucket, now);
            self.metrics.limit(&LimitGauges {
                kind,
                remaining: bucket.tokens(&limit, now),
                capacity: limit.burst,
                empty_in: used.empty_in(bucket, &limit, now),
            });
            if kind == LimitKind::NewOrders && waiting > 0 {
                last = bucket.token_at(&limit, now, waiting).since(now);
            }
        }
        self.metrics.orders_waiting(waiting, last);
        Ok(())
    }

    async fn show_work(&self) -> Result<(), StoreError> {
        let (service, gauges) = (&self.service, &self.metrics);
        let store = &service.store;
        gauges.certificate_expiry(store.soonest_expiry().await?, service.now());
        gauges.outbox_reports(store.outbox_count(MOST_COUNTED).await?);
        gauges.outbox_waiting(store.outbox_oldest().await?, service.now());
        self.show_webhooks().await?;
        for lane in Lane::ALL {
            let mut due = store.next_due(lane).await?;
            // Renewal information is polled beside the checks of live domains.
            if lane == Lane::Recheck {
                due = due
                    .into_iter()
                    .chain(store.renewal_info_next_due().await?)
                    .min();
            }
            gauges.oldest_due(lane, due, service.now());
        }
        Ok(())
    }

    async fn show_webhooks(&self) -> Result<(), StoreError> {
        if self.receivers.is_empty() {
            return Ok(());
        }
        let mut waiting = self.service.store.webhooks_waiting(MOST_COUNTED).await?;
        // Events of a receiver that was removed from the settings are nobody's concern.
        waiting.retain(|of_one| self.receivers.contains(&of_one.receiver));
        self.metrics.webhooks_waiting(&waiting, self.service.now());
        Ok(())
    }

    async fn show_edges(&self) -> Result<(), StoreError> {
        let service = &self.service;
        let members = service.fleet.members();
        let members: Vec<&str> = members.iter().map(|edge| edge.name()).collect();
        let grace = service.policy.unreachable_grace;
        let known = service.store.edges().await?;
        self.metrics.edges(&members, &known, |reachability| {
            reachability.is_live(service.now(), grace)
        });
        Ok(())
    }
}
