//! The Cabinet wants the domain gone: undeploy it from every live edge. An unreachable edge is
//! cleaned when it returns.

use std::sync::{Arc, Mutex, PoisonError};

use dps_domain::{Event, EventKind};

use super::context::{StepContext, moved};
use super::edges;
use super::edges::Reach;
use super::fault::Fault;
use crate::ports::Edge;
use crate::ports::edge::UndeployResult;
use crate::ports::store::comparison_task;
use dps_domain::outcome::Outcome;

/// No certificate has a lower generation.
const FIRST_GENERATION: u64 = 1;

pub(super) async fn undeploy(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    // Read under the lease: a worker that was suspended until its name was claimed anew must not
    // learn of the new certificate.
    let newest = service
        .store
        .generation_held(record.id, context.token)
        .await?;
    if let Some(order) = service.store.order_open(record.id).await? {
        edges::withdraw_of(service, order.id).await?;
        service.store.order_close(order.id, service.now()).await?;
    }
    // The edges serve another record's certificate in place of this one's.
    let holder = service.store.domain_by_hostname(&record.hostname).await?;
    if holder.is_some_and(|other| other.id != record.id && other.phase.is_live()) {
        return Ok(moved(Event::Undeployed, EventKind::Undeployed));
    }
    // A store that was restored from a backup may not know of a certificate that is served.
    let reach = take_down(context, newest.unwrap_or(FIRST_GENERATION)).await?;
    if let Some(unreached) = reach.failed.filter(|_| newest.is_some()) {
        return Ok(unreached.into_outcome(context));
    }
    Ok(moved(Event::Undeployed, EventKind::Undeployed))
}

/// Has no live edge serve a certificate of the name up to this generation. A newer one stays until
/// a comparison of the edge knows whose it is.
pub(super) async fn take_down(context: &StepContext<'_>, generation: u64) -> Result<Reach, Fault> {
    let (service, record) = (context.service, context.record);
    let newer_at: Mutex<Vec<String>> = Mutex::default();
    let undeploy = |edge: Arc<dyn Edge>| {
        let newer_at = &newer_at;
        async move {
            let result = edge.undeploy(&record.hostname, Some(generation)).await?;
            if result == UndeployResult::NewerKept {
                let mut names = newer_at.lock().unwrap_or_else(PoisonError::into_inner);
                names.push(edge.name().to_owned());
            }
            Ok(())
        }
    };
    let reach = edges::reach(service, undeploy).await?;
    for edge in reach.names() {
        service.store.edge_forget_deployed(record.id, edge).await?;
    }
    // It belongs to a later claim of the name. Or the store was restored from a backup and no
    // longer knows this domain's certificate.
    let newer_at = newer_at
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for edge in newer_at {
        let task = comparison_task(&edge);
        service
            .store
            .periodic_make_due(&task, service.now())
            .await?;
    }
    context.evidence.edges(&reach.names(), &reach.unreachable);
    Ok(reach)
}
