//! Deploy a stored certificate to every edge; each proves it by a TLS handshake.

use dps_domain::{CertificateId, Event, Failure, Phase, renewal};
use futures_util::future::join_all;
use serde_json::json;

use super::{Fault, Outcome, StepContext, Then, undeploy};
use crate::crash_point::{self, Effect};
use crate::ports::edge::{Deployment, EdgeError};
use crate::ports::store::StoredCertificate;
use crate::ports::vault::{SecretContext, SecretPurpose};

pub(super) async fn deploy(context: &StepContext<'_>, id: CertificateId) -> Result<Outcome, Fault> {
    let service = context.service;
    let Some(stored) = service.store.certificate(id).await? else {
        return Err(Fault::Inconsistent(format!(
            "the certificate {id} of the record is not stored"
        )));
    };
    if !service.has_edges() {
        return Err(Fault::Inconsistent("no edge is configured".into()));
    }
    let facts = &stored.certificate.facts;
    if facts.not_after <= service.now() {
        // Edges were away for the whole of its life: what is needed is another one.
        let failure = Failure::Internal {
            detail: "the certificate expired before it could be deployed".into(),
        };
        return Ok(context.failed(failure, Then::NewOrder { rest: false }));
    }
    let applied = apply_everywhere(context, &stored).await?;
    // A removal meanwhile took our lease and may have passed the edges before us.
    let record = service.store.domain(context.record.id).await?;
    if record.is_none_or(|record| matches!(record.phase, Phase::Leaving | Phase::Gone)) {
        let detail = match undeploy::take_down(context).await? {
            Ok(()) => "the domain was removed meanwhile".into(),
            Err(error) => format!("the domain was removed meanwhile, and may be served still: {error}"),
        };
        return Err(Fault::Inconsistent(detail));
    }
    if let Err(error) = applied {
        return Ok(context.failed(error.into(), Then::Retry));
    }
    let renew_at = renewal::renewal_moment(facts.not_before, facts.not_after, service.randomness.unit());
    let detail = json!({
        "fingerprint": facts.fingerprint,
        "renewAt": renew_at,
    });
    Ok(Outcome::Moved {
        event: Event::Deployed {
            renew_at,
            not_before: facts.not_before,
            not_after: facts.not_after,
        },
        kind: "deployed",
        detail,
    })
}

async fn apply_everywhere(
    context: &StepContext<'_>,
    stored: &StoredCertificate,
) -> Result<Result<(), EdgeError>, Fault> {
    let service = context.service;
    let certificate = &stored.certificate;
    let row = certificate.id.to_string();
    let place = SecretContext {
        purpose: SecretPurpose::CertificateKey,
        row: &row,
    };
    let deployment = Deployment {
        hostname: certificate.hostname.clone(),
        chain_pem: certificate.facts.chain_pem.clone(),
        key_pem: service.vault.open(place, &certificate.key)?,
        fingerprint: certificate.facts.fingerprint.clone(),
        generation: stored.generation,
    };
    let applied = join_all(service.edges.iter().map(|edge| async {
        crash_point::before(Effect::EdgeApply);
        let result = edge.apply(&deployment).await;
        crash_point::after(Effect::EdgeApply);
        (edge.name(), result)
    }))
    .await;
    let proven: Vec<&str> = applied
        .iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(edge, _)| *edge)
        .collect();
    context
        .evidence
        .note("fingerprint", certificate.facts.fingerprint.as_str());
    context.evidence.note("edges", proven);
    let mut outcome = Ok(());
    for (edge, result) in applied {
        match result {
            Ok(()) => {
                crash_point::before(Effect::EdgeRecord);
                service
                    .store
                    .edge_deployed(context.record.id, edge, certificate.id, service.now())
                    .await?;
                crash_point::after(Effect::EdgeRecord);
            }
            Err(error) => outcome = Err(error),
        }
    }
    Ok(outcome)
}
