//! The Cabinet wants the domain gone: undeploy it from every live edge. One that is absent is cleaned when it returns.

use std::sync::Arc;

use dps_domain::Event;

use super::edges::Reach;
use super::{Fault, Outcome, StepContext, edges, moved};
use crate::ports::Edge;

pub(super) async fn undeploy(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    // Read under the lease: a worker that was suspended until its name was claimed anew must not
    // learn of the new certificate.
    let newest = service.store.generation_held(record.id, context.token).await?;
    if let Some(order) = service.store.order_open(record.id).await? {
        if let Some(challenge) = service.store.challenge(order.id).await? {
            edges::withdraw_stored(service, &challenge).await;
        }
        service.store.order_close(order.id).await?;
    }
    if let Some(generation) = newest
        && let Some(unreached) = take_down(context, generation).await?.failed
    {
        return Ok(unreached.settle(context));
    }
    Ok(moved(Event::Undeployed, "undeployed"))
}

/// Has no live edge serve a certificate of the name up to this generation. A newer one belongs to a
/// later claim of the name and stays.
pub(super) async fn take_down(context: &StepContext<'_>, generation: u64) -> Result<Reach, Fault> {
    let (service, record) = (context.service, context.record);
    let remove = |edge: Arc<dyn Edge>| async move { edge.remove(&record.hostname, Some(generation)).await };
    let reach = edges::reach(service, remove).await?;
    for edge in reach.names() {
        service.store.edge_removed(record.id, edge).await?;
    }
    context.evidence.edges(&reach);
    Ok(reach)
}
