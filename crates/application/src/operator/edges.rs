//! An operator's approval of an edge.

use dps_domain::Timestamp;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::record::operator::Requester;

use crate::ports::CertificateStore;
use crate::ports::store::StoreError;

/// Approves an edge that was found; returns whether the store knows it.
pub async fn approve(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    name: &str,
) -> Result<bool, StoreError> {
    let action = OperatorAction::new(by, now, ActionKind::EdgeApprove, ActionScope::Edge, name);
    let action = action.changing("waits for approval", "approved");
    store.edge_approve(name, &action).await
}
