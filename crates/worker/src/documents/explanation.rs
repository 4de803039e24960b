//! The document that explains where a domain stands.

use dps_admin_api::{
    DnsEvidence, EdgeCertificate, Evidence, Explanation, Freeze, KnownOrder, NextStep,
    ProbeEvidence, RunningLease, TouchedLimit, WantedCertificate,
};
use dps_application::Policy;
use dps_application::operator::explain::{self, EdgePresentation, OrderLimit, StoredDetails};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{StoreError, StoredCertificate};
use dps_domain::explain::{Answer, frozen, next_step, remedy, responsible, step_in_words, summary};
use dps_domain::phase::{Next, Phase};
use dps_domain::record::ledger::OrderLimits;
use dps_domain::renewal::freeze::{FreezeWindow, Frozen};
use dps_domain::{Failure, Hostname, Timestamp};

use super::status_since;
use crate::config::Settings;
use crate::documents::edges;

/// Explains from the store where a domain stands; `None` if the store does not know it.
pub async fn explanation(
    store: &dyn CertificateStore,
    (settings, policy): (&Settings, &Policy),
    hostname: &Hostname,
    now: Timestamp,
) -> Result<Option<Explanation>, StoreError> {
    let limits = settings.lets_encrypt.effective_limits();
    let ca = OrderLimits {
        limits: &limits,
        directory_url: settings.lets_encrypt.directory_url.as_str(),
    };
    let Some(stored) = explain::read(store, policy, ca, hostname, now).await? else {
        return Ok(None);
    };
    let status_since = status_since(store, &stored.record).await?;
    Ok(Some(document(
        &stored,
        status_since,
        (settings, policy),
        now,
    )))
}

fn document(
    stored: &StoredDetails,
    status_since: Option<Timestamp>,
    (settings, policy): (&Settings, &Policy),
    now: Timestamp,
) -> Explanation {
    let StoredDetails {
        record,
        pauses,
        wanted,
        ..
    } = stored;
    let failure = record.last_failure.as_ref();
    let step = next_step(record, now);
    let delayed = frozen(record, &policy.freeze, now);
    let fingerprint = wanted
        .as_ref()
        .map(|wanted| wanted.certificate.details.fingerprint.as_str());
    let takes_part = |seen: &&EdgePresentation| {
        let has_left = edges::has_left(&seen.edge, &settings.haproxy_agent, now);
        !has_left && seen.edge.approved_at.is_some()
    };
    let edge = |seen: &EdgePresentation| EdgeCertificate {
        edge: seen.edge.name.clone(),
        state: edges::state_of(&seen.edge, &settings.haproxy_agent, now).to_owned(),
        presented: seen.fingerprint.clone(),
        since: seen.deployment.as_ref().map(|seen| seen.deployed_at),
        is_wanted: seen.fingerprint.as_deref() == fingerprint,
    };
    Explanation {
        hostname: record.hostname.clone(),
        id: record.id,
        tenant_id: record.tenant_id.clone(),
        explained_at: now,
        status: record.phase.status(),
        status_since,
        phase: record.phase.name().into(),
        summary: summary(record, pauses, &policy.freeze, now),
        responsible: responsible(record, pauses, now),
        code: failure.map(Failure::code),
        message: stored.message.clone(),
        remedy: remedy(record, pauses, now),
        next: NextStep {
            action: step.action.name().into(),
            summary: step_in_words(&step.action, pauses).to_owned(),
            at: step.at,
        },
        freeze: delayed.map(|delayed| freeze(delayed.window)),
        evidence: evidence(stored),
        limits: stored.limits.iter().map(|of| limit(of, now)).collect(),
        lease: stored.lease.clone().map(|lease| RunningLease {
            until: lease.until,
            holder: lease.holder,
            last_replica: stored.last_replica.clone(),
        }),
        orders: stored
            .orders
            .iter()
            .map(|order| KnownOrder {
                url: order.url.clone(),
                is_open: order.open,
                placed_at: order.created_at,
            })
            .collect(),
        certificate: wanted
            .as_ref()
            .map(|wanted| certificate(wanted, &record.phase, delayed)),
        edges: stored.edges.iter().filter(takes_part).map(edge).collect(),
    }
}

fn evidence(stored: &StoredDetails) -> Evidence {
    let found = &stored.evidence;
    let dns = |answer: &Answer| DnsEvidence {
        server: answer.server.clone(),
        kind: answer.kind,
        chain: answer.chain.clone(),
        answer: answer.answer.clone(),
    };
    let probe = |(address, answer): &(String, String)| ProbeEvidence {
        address: address.clone(),
        answer: answer.clone(),
    };
    Evidence {
        dns_at: found.dns_at,
        dns: found.dns.iter().map(dns).collect(),
        probes_at: found.probes_at,
        probes: found.probes.iter().map(probe).collect(),
        ca_at: found.ca_at,
        ca_words: found.ca_words.clone(),
    }
}

fn limit(of: &OrderLimit, now: Timestamp) -> TouchedLimit {
    TouchedLimit {
        limit: of.kind.to_string(),
        name: of.subject.clone(),
        left: Some(of.left).filter(|left| *left != u32::MAX),
        until: Some(of.next_at).filter(|at| *at > now),
    }
}

/// A window of the freeze.
pub(super) fn freeze(window: &FreezeWindow) -> Freeze {
    Freeze {
        from: window.from,
        until: window.until,
        reason: window.reason.clone(),
    }
}

fn certificate(
    wanted: &StoredCertificate,
    phase: &Phase,
    delayed: Option<Frozen<'_>>,
) -> WantedCertificate {
    let renew_at = match phase {
        Phase::Live {
            next: Next::At(at), ..
        } => Some(delayed.map_or(*at, |delayed| delayed.begins_at)),
        _ => None,
    };
    let certificate = &wanted.certificate;
    WantedCertificate {
        id: certificate.id,
        fingerprint: certificate.details.fingerprint.clone(),
        not_after: certificate.details.not_after,
        renew_at,
    }
}
