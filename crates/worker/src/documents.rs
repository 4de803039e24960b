//! The documents about domains, for `--json` and for the admin API.

mod actions;
pub mod activity;
mod claims;
mod diagnosis;
pub mod edges;
mod explanation;
pub mod filter;
pub mod fleet;
pub mod issuance;
pub mod jobs;
pub mod limits;
mod system;
mod tenants;
pub mod webhooks;

use std::time::Duration;

use dps_admin_api::{Domain, DomainDetail, EdgeDeployment, HistoryLine, Renewal};
use dps_application::Policy;
use dps_application::operator::{self, Target};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::fleet_view::{ListedDomain, MAX_PAGE};
use dps_application::ports::renewal_info::RenewalInfoPoll;
use dps_application::ports::store::{Claimants, Deployment, DomainEvent, DomainRecord, StoreError};
use dps_domain::explain::frozen;
use dps_domain::fleet::{DomainFilter, NameFilter};
use dps_domain::phase::{Next, Phase};
use dps_domain::sentence::last_sentence;
use dps_domain::{CertificateId, Failure, Hostname, Timestamp, caa, with_causes};

pub use self::actions::{account, acted, revocation};
pub use self::claims::ownership_text;
use self::claims::{MAX_CLAIMS, claim};
pub use self::diagnosis::diagnosis;
pub use self::explanation::explanation;
pub use self::system::{SystemParts, queue, queues, replicas, system};
pub use self::tenants::{TenantPart, tenant, tenant_part, tenants};
use crate::config::LetsEncrypt;

/// Lines of history that are read for the evidence of a DNS check.
const LINES_OF_EVIDENCE: u32 = 50;

/// Reads documents from the store.
pub struct Reader<'a> {
    /// The store.
    pub store: &'a dyn CertificateStore,
    /// The rules of the customers' sentences.
    pub policy: &'a Policy,
    /// The CA, for the CAA record that is suggested.
    pub ca: &'a LetsEncrypt,
    /// The present moment.
    pub now: Timestamp,
    /// Takes a warning about a part that cannot be read; the document has the rest.
    pub warn: &'a (dyn Fn(&Hostname, &str) + Sync),
}

/// A domain with all that the store knows of it.
#[derive(Debug)]
pub struct Found {
    /// Its record.
    pub record: DomainRecord,
    /// Other records with the same hostname.
    pub others: Vec<DomainRecord>,
    /// The certificates that edges presented for it.
    pub deployments: Vec<Deployment>,
    /// The renewal of the certificate that it serves; `None` without one.
    pub renewal: Option<Renewal>,
    /// The sentence about the last failure that the customer reads.
    pub message: Option<String>,
    /// The CAA record that lets our account alone issue.
    pub safest_caa: Option<String>,
    /// The newest lines of its history, the newest last.
    pub events: Vec<DomainEvent>,
    status_since: Option<Timestamp>,
    edges: Vec<KnownEdge>,
}

impl Reader<'_> {
    /// Reads a domain, with this many lines of its history; `None` if the store does not know it.
    /// Of several claims that are meant, the firmest.
    pub async fn find(&self, target: Target<'_>, events: u32) -> Result<Option<Found>, StoreError> {
        let store = self.store;
        let Some(record) = target.all(store).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut others = store
            .domains_by_hostname(target.hostname, Claimants::All, MAX_CLAIMS)
            .await?;
        others.retain(|other| other.id != record.id);
        let mut events = store.events(record.id, events).await?;
        events.reverse();
        let poll = self.poll(&record).await;
        Ok(Some(Found {
            renewal: self.renewal(&record, poll.as_ref()),
            others,
            deployments: store.deployments(record.id).await?,
            message: what_to_do(store, self.policy, &record).await?,
            safest_caa: safest_caa_record(store, self.ca, &record).await?,
            status_since: status_since(store, &record).await?,
            edges: store.edges().await?,
            events,
            record,
        }))
    }

    /// The documents of listed domains.
    pub async fn page(&self, listed: &[ListedDomain]) -> Result<Vec<Domain>, StoreError> {
        let mut documents = Vec::with_capacity(listed.len());
        for listed in listed {
            let record = &listed.record;
            let poll = self.poll(record).await;
            let message = what_to_do(self.store, self.policy, record).await?;
            let since = Some(listed.status_since);
            let renewal = self.renewal(record, poll.as_ref());
            documents.push(domain(record, since, renewal, message));
        }
        Ok(documents)
    }

    fn renewal(&self, record: &DomainRecord, poll: Option<&RenewalInfoPoll>) -> Option<Renewal> {
        let Phase::Live {
            not_after, next, ..
        } = &record.phase
        else {
            return None;
        };
        let frozen = frozen(record, &self.policy.freeze, self.now);
        let renew_at = match next {
            Next::At(at) => Some(frozen.map_or(*at, |frozen| frozen.begins_at)),
            Next::Now(_) => None,
        };
        let info = poll.map(|poll| &poll.renewal_info);
        Some(Renewal {
            not_after: *not_after,
            renew_at,
            frozen_until: frozen.map(|frozen| frozen.window.until),
            window: info.and_then(|info| info.window),
            explanation_url: info.and_then(|info| info.explanation_url.clone()),
            poll_at: info.map(|info| info.poll_at),
        })
    }

    /// The `RenewalInfo` poll of the domain; `None` if there is none, or if it cannot be read.
    async fn poll(&self, record: &DomainRecord) -> Option<RenewalInfoPoll> {
        self.store.poll(record.id).await.unwrap_or_else(|error| {
            (self.warn)(&record.hostname, &with_causes(&error));
            None
        })
    }
}

impl Found {
    /// Whether an edge is no longer part of the fleet.
    pub fn has_left(&self, edge: &str, has_left: impl Fn(&KnownEdge) -> bool) -> bool {
        let mut known = self.edges.iter();
        known.any(|known| known.name == edge && has_left(known))
    }

    /// The document. `has_left` returns whether an edge is no longer part of the fleet.
    pub fn document(&self, has_left: impl Fn(&str) -> bool) -> DomainDetail {
        let serving = self.record.phase.serving();
        let edge = |one: &Deployment| edge_deployment(one, has_left(&one.edge), serving);
        DomainDetail {
            domain: domain(
                &self.record,
                self.status_since,
                self.renewal.clone(),
                self.message.clone(),
            ),
            safest_caa_record: self.safest_caa.clone(),
            edges: self.deployments.iter().map(edge).collect(),
            other_claims: self.others.iter().map(claim).collect(),
            events: self.events.iter().cloned().map(history_line).collect(),
        }
    }
}

/// The CAA record that lets our account alone issue. `None` before the account is registered, and
/// for a CA whose name in CAA records is not known.
async fn safest_caa_record(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    record: &DomainRecord,
) -> Result<Option<String>, StoreError> {
    let Some(identity) = ca.caa_identity() else {
        return Ok(None);
    };
    let account = store.account(ca.directory_url.as_str()).await?;
    let url = account.and_then(|account| account.url);
    Ok(url.map(|url| caa::safest_record(&record.hostname, identity.as_str(), &url)))
}

/// The sentence about the last failure that the customer reads in the Cabinet.
async fn what_to_do(
    store: &dyn CertificateStore,
    policy: &Policy,
    record: &DomainRecord,
) -> Result<Option<String>, StoreError> {
    if record.last_failure.is_none() {
        return Ok(None);
    }
    let events = store.events(record.id, LINES_OF_EVIDENCE).await?;
    Ok(last_sentence(record, policy, &events))
}

/// When the status of a record last changed; `None` if the record is gone by now.
async fn status_since(
    store: &dyn CertificateStore,
    record: &DomainRecord,
) -> Result<Option<Timestamp>, StoreError> {
    let filter = DomainFilter {
        name: Some(NameFilter::Exact(record.hostname.clone())),
        ..DomainFilter::default()
    };
    let page = operator::fleet::list(store, &filter, record.updated_at, None, MAX_PAGE).await?;
    let mut listed = page.domains.into_iter();
    let listed = listed.find(|listed| listed.record.id == record.id);
    Ok(listed.map(|listed| listed.status_since))
}

fn domain(
    record: &DomainRecord,
    status_since: Option<Timestamp>,
    renewal: Option<Renewal>,
    message: Option<String>,
) -> Domain {
    let failure = record.last_failure.as_ref();
    Domain {
        id: record.id,
        tenant_id: record.tenant_id.clone(),
        hostname: record.hostname.clone(),
        cname_target: record.cname_target.clone(),
        status: record.phase.status(),
        status_since,
        phase: record.phase.name().into(),
        attempt: record.attempt,
        next_attempt_at: record.next_attempt_at,
        ownership: ownership_text(&record.ownership),
        code: failure.map(Failure::code),
        last_failure: failure.cloned(),
        message,
        actor: failure.map(Failure::actor),
        renewal,
        certificate_ends_at: record.phase.certificate_not_after(),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

fn edge_deployment(
    deployment: &Deployment,
    has_left: bool,
    serving: Option<CertificateId>,
) -> EdgeDeployment {
    EdgeDeployment {
        edge: deployment.edge.clone(),
        is_configured: !has_left,
        is_current: serving == Some(deployment.certificate_id),
        certificate_id: deployment.certificate_id,
        generation: deployment.generation,
        deployed_at: deployment.deployed_at,
    }
}

fn history_line(event: DomainEvent) -> HistoryLine {
    let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    HistoryLine {
        at: event.at,
        kind: event.kind,
        phase: event.phase,
        detail: event.detail,
        duration_ms: event.duration.map(millis),
        replica: event.replica,
    }
}
