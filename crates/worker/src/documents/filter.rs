//! The filter of domains, checked by the store and as the wire has it.

use dps_admin_api::JobFilter;
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::fleet::{DomainFilter, EdgeFilter, FilterParts};
use dps_domain::text::nearest;
use dps_host::HumanDuration;

/// The edge is not known.
#[derive(Debug, thiserror::Error)]
#[error("no edge {edge:?} is known{hint}; `dps edges` lists the edges")]
pub struct UnknownEdge {
    edge: String,
    hint: String,
}

/// The edge of a filter, if the store does not know it.
pub async fn unknown_edge(
    store: &dyn CertificateStore,
    filter: &DomainFilter,
) -> Result<Option<UnknownEdge>, StoreError> {
    let Some(EdgeFilter::Serving(edge) | EdgeFilter::Pending(edge)) = &filter.edge else {
        return Ok(None);
    };
    let edges = store.edges().await?;
    if edges.iter().any(|known| known.name == *edge) {
        return Ok(None);
    }
    let meant = nearest(edge, edges.iter().map(|known| known.name.as_str()));
    let hint = meant.map_or_else(String::new, |known| format!("; did you mean {known}?"));
    let edge = edge.clone();
    Ok(Some(UnknownEdge { edge, hint }))
}

/// The filter as the admin API reads it.
pub fn wire(filter: &DomainFilter) -> JobFilter {
    let parts = FilterParts::from(filter);
    let within = parts.expires_within_seconds.map(HumanDuration::from_secs);
    JobFilter {
        name: parts.name,
        prefix: parts.prefix,
        suffix: parts.suffix,
        containing: parts.containing,
        tenant: parts.tenant,
        status: parts.status,
        code: parts.code,
        actor: parts.actor,
        expires_within: within.map(|within| within.to_string()),
        edge: parts.edge,
        edge_pending: parts.edge_pending,
    }
}
