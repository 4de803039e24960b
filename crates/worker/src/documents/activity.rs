//! The record of operators' actions.

use dps_admin_api::{Activities, Activity};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{RecordedAction, StoreError};
use dps_domain::ActionId;

/// A page of actions.
pub async fn page(
    store: &dyn CertificateStore,
    before: Option<ActionId>,
    limit: u32,
) -> Result<Activities, StoreError> {
    let items: Vec<Activity> = (store.actions(before, limit).await?.into_iter())
        .map(wire)
        .collect();
    let is_full = items.len() >= limit as usize;
    let next = items.last().map(|last| last.id.clone());
    Ok(Activities {
        next: next.filter(|_| is_full),
        items,
    })
}

fn wire(recorded: RecordedAction) -> Activity {
    let action = recorded.action;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Activity {
        id: recorded.id.to_string(),
        at: action.at,
        who: action.who,
        source: action.source,
        role: given(action.role),
        action: action.kind.as_str().to_owned(),
        scope: action.scope.as_str().to_owned(),
        subject: given(action.subject),
        reason: action.reason,
        before: given(action.before),
        after: given(action.after),
        count: action.count,
    }
}
