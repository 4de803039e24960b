//! An operator's approval of an edge, and the comparison of one.

use dps_domain::Timestamp;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::record::operator::Requester;

use crate::ports::CertificateStore;
use crate::ports::store::{StoreError, comparison_task};

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

/// Makes the comparison of an edge with what it should hold due. Another one follows a comparison
/// that is under way.
pub async fn compare(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    name: &str,
) -> Result<(), StoreError> {
    let action = OperatorAction::new(by, now, ActionKind::EdgeCompare, ActionScope::Edge, name);
    // Another transaction follows, so it is recorded before.
    store.action_insert(&action).await?;
    store.periodic_make_due(&comparison_task(name), now).await
}
