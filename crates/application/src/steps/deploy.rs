//! Deploy a stored certificate to every live edge; each proves it by a TLS handshake.

use std::sync::Arc;

use dps_domain::{CertificateId, Event, EventKind, Failure, Phase, renewal, with_causes};
use serde_json::json;

use super::context::StepContext;
use super::edges::{self, Unreached};
use super::fault::Fault;
use super::undeploy;
use crate::crash_point::{self, Effect};
use crate::edges::deployment::deploy_request;
use crate::ports::Edge;
use crate::ports::store::StoredCertificate;
use crate::ports::store::{Deployed, comparison_task};
use dps_domain::outcome::{Outcome, Then};

pub(super) async fn deploy(context: &StepContext<'_>, id: CertificateId) -> Result<Outcome, Fault> {
    let service = context.service;
    let Some(stored) = service.store.certificate(id).await? else {
        return Err(Fault::Inconsistent(format!(
            "the certificate {id} of the record is not stored"
        )));
    };
    let details = &stored.certificate.details;
    if details.not_after <= service.now() {
        // Edges were unreachable for the whole of its life: what is needed is another one.
        let failure = Failure::Internal {
            detail: "the certificate expired before it could be deployed".into(),
        };
        return Ok(Outcome::failed(failure, Then::NewOrder { pause: false }));
    }
    let unreached = deploy_everywhere(context, &stored).await?;
    // A removal meanwhile took our lease and may have passed the edges before us.
    let record = service.store.domain(context.record.id).await?;
    if record.is_none_or(|record| matches!(record.phase, Phase::Leaving | Phase::Gone)) {
        let detail = match undeploy::take_down(context, stored.generation)
            .await?
            .failed
        {
            None => "the domain was removed meanwhile".into(),
            Some(unreached) => {
                let error = with_causes(unreached.error());
                format!("the domain was removed meanwhile, and may be served still: {error}")
            }
        };
        return Err(Fault::Inconsistent(detail));
    }
    if let Some(unreached) = unreached {
        return Ok(unreached.into_outcome(context));
    }
    let validity = (details.not_before, details.not_after);
    // A clock that was ahead when the certificate was stored must not put its renewal off.
    let issued_at = stored.certificate.created_at.min(service.now());
    let renew_at = renewal::renewal_moment(validity.0, validity.1, service.randomness.unit())
        .max(renewal::earliest_renewal(issued_at, validity));
    let detail = json!({
        "fingerprint": details.fingerprint,
        "renewAt": renew_at,
    });
    Ok(Outcome::Moved {
        event: Event::Deployed {
            renew_at,
            not_before: details.not_before,
            not_after: details.not_after,
        },
        kind: EventKind::Deployed,
        detail,
    })
}

async fn deploy_everywhere(
    context: &StepContext<'_>,
    stored: &StoredCertificate,
) -> Result<Option<Unreached>, Fault> {
    let service = context.service;
    let certificate = &stored.certificate;
    let request = deploy_request(service, stored)?;
    let deploy = |edge: Arc<dyn Edge>| {
        let request = &request;
        async move {
            crash_point::before(Effect::EdgeApply);
            let result = edge.deploy(request).await;
            crash_point::after(Effect::EdgeApply);
            result
        }
    };
    let reach = edges::reach(service, deploy).await?;
    let fingerprint = certificate.details.fingerprint.as_str();
    context.evidence.note("fingerprint", fingerprint);
    context.evidence.edges(&reach.names(), &reach.unreachable);
    let deployed = Deployed {
        domain_id: context.record.id,
        certificate_id: certificate.id,
        generation: stored.generation,
    };
    for edge in reach.names() {
        crash_point::before(Effect::EdgeRecord);
        service
            .store
            .edge_store_deployed(edge, &[deployed], service.now())
            .await?;
        crash_point::after(Effect::EdgeRecord);
    }
    // An edge that returns before this step's outcome is stored would be compared with the previous
    // state.
    let settled = service.now() + service.policy.lease;
    for edge in &reach.unreachable {
        let task = comparison_task(edge);
        service.store.periodic_make_due(&task, settled).await?;
    }
    Ok(reach.failed)
}
