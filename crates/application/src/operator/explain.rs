//! Reads from the store where a domain stands. [`dps_domain::explain`] says what that means.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use dps_domain::explain::{Evidence, evidence};
use dps_domain::limits::LimitKind;
use dps_domain::pause::Pause;
use dps_domain::phase::Issuance;
use dps_domain::policy::Policy;
use dps_domain::record::ledger::OrderLimits;
use dps_domain::sentence::last_sentence;
use dps_domain::{CertificateId, Hostname, Phase, Timestamp};

use crate::ca::exemption::{exemption, replacement};
use crate::ports::CertificateStore;
use crate::ports::fleet::KnownEdge;
use crate::ports::store::{
    Deployment, DomainRecord, RunningLease, StoreError, StoredCertificate, StoredOrder,
};

/// Lines of history that are read for the evidence.
const LINES: u32 = 50;

/// A domain with what the store holds about it.
#[derive(Debug)]
pub struct StoredDetails {
    /// Its record.
    pub record: DomainRecord,
    /// The sentence about the last failure that the customer reads; `None` without a failure.
    pub message: Option<String>,
    /// The newest observations in its history.
    pub evidence: Evidence,
    /// The pauses of issuance that cover it, the widest first.
    pub pauses: Vec<Pause>,
    /// The limits that its next order counts against.
    pub limits: Vec<OrderLimit>,
    /// Its running lease; `None` if no process works on it.
    pub lease: Option<RunningLease>,
    /// The process that acted on it last.
    pub last_replica: Option<String>,
    /// Its open order, and the order of the wanted certificate.
    pub orders: Vec<StoredOrder>,
    /// The certificate that every edge should present.
    pub wanted: Option<StoredCertificate>,
    /// Every edge that is known, with the certificate that it presented.
    pub edges: Vec<EdgePresentation>,
}

/// A limit of the CA as the next order of a domain meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLimit {
    /// The limit.
    pub kind: LimitKind,
    /// The registered domain, hostname or tenant; `None` for a limit of the account.
    pub subject: Option<String>,
    /// Orders that are left; [`u32::MAX`] for any number.
    pub left: u32,
    /// The moment of the next order; the present if one is left.
    pub next_at: Timestamp,
}

/// An edge, with the certificate of a domain that it was last seen to present.
#[derive(Debug)]
pub struct EdgePresentation {
    /// The edge.
    pub edge: KnownEdge,
    /// The certificate that it presented; `None` if it was never seen to present one.
    pub deployment: Option<Deployment>,
    /// The fingerprint of that certificate; `None` without one, or if it is pruned.
    pub fingerprint: Option<String>,
}

/// Reads where a domain stands; `None` if the store does not know it.
pub async fn read(
    store: &dyn CertificateStore,
    policy: &Policy,
    ca: OrderLimits<'_>,
    hostname: &Hostname,
    now: Timestamp,
) -> Result<Option<StoredDetails>, StoreError> {
    let Some(record) = store.domain_by_hostname(hostname).await? else {
        return Ok(None);
    };
    let events = store.events(record.id, LINES).await?;
    let mut acted = events.iter().filter(|event| !event.replica.is_empty());
    let wanted = match wanted(&record) {
        Some(id) => store.certificate(id).await?,
        None => None,
    };
    Ok(Some(StoredDetails {
        message: last_sentence(&record, policy, &events),
        evidence: evidence(&events),
        pauses: store.pauses_of(&record).await?,
        limits: order_limits(store, ca, &record, now).await?,
        lease: store.running_lease(record.id).await?,
        last_replica: acted.next().map(|event| event.replica.clone()),
        orders: orders(store, &record, wanted.as_ref()).await?,
        edges: presentations(store, &record).await?,
        wanted,
        record,
    }))
}

/// The certificate that every edge should present: the one that is deployed now, or is served.
pub const fn wanted(record: &DomainRecord) -> Option<CertificateId> {
    match record.phase.issuance() {
        Some(Issuance::Deploying { certificate }) => Some(*certificate),
        _ => record.phase.serving(),
    }
}

/// The limits that the next order of a domain counts against, as they stand. Nothing is debited. A
/// removed domain has no next order.
pub async fn order_limits(
    store: &dyn CertificateStore,
    ca: OrderLimits<'_>,
    record: &DomainRecord,
    now: Timestamp,
) -> Result<Vec<OrderLimit>, StoreError> {
    if matches!(record.phase, Phase::Leaving | Phase::Gone) {
        return Ok(vec![]);
    }
    let replaces = replacement(store, record, ca.directory_url, now).await;
    let replaces = replaces.is_some_and(|replacement| replacement.exempt);
    let exemption = exemption(store, record, ca, replaces, now).await?;
    let mut limits = Vec::new();
    for charge in ca.charges(record, exemption) {
        let bucket = store.ledger_bucket(&charge.key).await?;
        let next_at = bucket.token_at(&charge.limit, now, 1);
        // Where nothing is counted, only a wait that the CA named matters.
        if charge.limit.is_none() && next_at <= now {
            continue;
        }
        limits.push(OrderLimit {
            kind: charge.kind,
            subject: (charge.key.parts()).and_then(|(_, _, subject)| subject.map(str::to_owned)),
            left: bucket.tokens(&charge.limit, now),
            next_at,
        });
    }
    Ok(limits)
}

async fn orders(
    store: &dyn CertificateStore,
    record: &DomainRecord,
    wanted: Option<&StoredCertificate>,
) -> Result<Vec<StoredOrder>, StoreError> {
    let mut orders = Vec::from_iter(store.order_open(record.id).await?);
    if let Some(wanted) = wanted {
        let order = store.order(wanted.certificate.order_id).await?;
        orders.extend(order.filter(|order| orders.iter().all(|known| known.id != order.id)));
    }
    Ok(orders)
}

async fn presentations(
    store: &dyn CertificateStore,
    record: &DomainRecord,
) -> Result<Vec<EdgePresentation>, StoreError> {
    let deployments = store.deployments(record.id).await?;
    let mut fingerprints = BTreeMap::new();
    for deployment in &deployments {
        let id = deployment.certificate_id;
        if let Entry::Vacant(unread) = fingerprints.entry(id) {
            let stored = store.certificate(id).await?;
            unread.insert(stored.map(|stored| stored.certificate.details.fingerprint));
        }
    }
    let presentation = |edge: KnownEdge| {
        let mut of_edge = deployments.iter().filter(|seen| seen.edge == edge.name);
        let deployment = of_edge.next().cloned();
        let fingerprint = deployment
            .as_ref()
            .and_then(|seen| fingerprints.get(&seen.certificate_id)?.clone());
        EdgePresentation {
            edge,
            deployment,
            fingerprint,
        }
    };
    let edges = store.edges().await?;
    Ok(edges.into_iter().map(presentation).collect())
}
