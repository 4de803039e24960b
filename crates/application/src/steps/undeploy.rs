//! The Cabinet wants the domain gone: undeploy it from every edge.

use dps_domain::Event;

use super::{Fault, Outcome, StepContext, Then, edges, moved};
use crate::ports::edge::EdgeError;

pub(super) async fn undeploy(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    if let Some(order) = service.store.order_open(record.id).await? {
        if let Some(challenge) = service.store.challenge(order.id).await? {
            edges::withdraw_stored(service, &challenge).await;
        }
        service.store.order_close(order.id).await?;
    }
    if let Err(error) = take_down(context).await? {
        return Ok(context.failed(error.into(), Then::Retry));
    }
    let edges: Vec<&str> = service.edges.iter().map(|edge| edge.name()).collect();
    context.evidence.note("edges", edges);
    Ok(moved(Event::Undeployed, "undeployed"))
}

/// Has no edge serve the name any more.
pub(super) async fn take_down(context: &StepContext<'_>) -> Result<Result<(), EdgeError>, Fault> {
    let (service, record) = (context.service, context.record);
    // Another record may hold the name by now; what is served then is not this one's to remove.
    let holder = service.store.domain_by_hostname(&record.hostname).await?;
    let is_holder = holder.is_none_or(|holder| holder.id == record.id);
    if is_holder && let Err(error) = edges::all(service, |edge| edge.remove(&record.hostname)).await {
        return Ok(Err(error));
    }
    for edge in service.edges.iter() {
        service.store.edge_removed(record.id, edge.name()).await?;
    }
    Ok(Ok(()))
}
