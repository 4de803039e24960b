//! The Cabinet wants the domain gone: undeploy it from every live edge. One that is absent is cleaned when it returns.

use std::sync::Arc;

use dps_domain::Event;

use super::edges::Unreached;
use super::{Fault, Outcome, StepContext, edges, moved};
use crate::ports::Edge;

pub(super) async fn undeploy(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    if let Some(order) = service.store.order_open(record.id).await? {
        if let Some(challenge) = service.store.challenge(order.id).await? {
            edges::withdraw_stored(service, &challenge).await;
        }
        service.store.order_close(order.id).await?;
    }
    if let Err(unreached) = take_down(context).await? {
        return Ok(unreached.settle(context));
    }
    Ok(moved(Event::Undeployed, "undeployed"))
}

/// Has no live edge serve the name any more.
pub(super) async fn take_down(context: &StepContext<'_>) -> Result<Result<(), Unreached>, Fault> {
    let (service, record) = (context.service, context.record);
    // Another record may hold the name by now; what is served then is not this one's to remove.
    let holder = service.store.domain_by_hostname(&record.hostname).await?;
    let is_holder = holder.is_none_or(|holder| holder.id == record.id);
    if !is_holder {
        return Ok(Ok(()));
    }
    let remove = |edge: Arc<dyn Edge>| async move { edge.remove(&record.hostname, None).await };
    let reach = edges::reach(service, remove).await?;
    for edge in reach.names() {
        service.store.edge_removed(record.id, edge).await?;
    }
    context.evidence.edges(&reach);
    Ok(reach.failed.map_or(Ok(()), Err))
}
