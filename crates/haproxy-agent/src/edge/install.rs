//! The sequences of Runtime API commands that put a certificate into service, take it out, and look at the result.

use dps_domain::Hostname;

use crate::disk::Held;
use crate::runtime_api::{ListName, Payload, RuntimeApi, RuntimeError, Status, StoreName, StoreState};

/// Whether a store is in the list already.
fn is_served(state: Option<&StoreState>) -> bool {
    state.is_some_and(|state| state.status == Status::Used)
}

/// Whether a store serves exactly this certificate.
pub(super) fn serves(state: Option<&StoreState>, held: &Held) -> bool {
    state.is_some_and(|state| {
        state.status == Status::Used
            && state.fingerprint_sha1.as_deref() == Some(held.fingerprint_sha1.as_str())
            && state.intermediates == held.intermediates
    })
}

/// Puts a certificate into service: new, set, commit and add for a new store, set and commit for a served one, whatever is missing
/// for one in between. After an error HAProxy serves what it served before, unless it could not be reached to undo.
pub(super) async fn install(
    runtime: &RuntimeApi,
    list: &ListName,
    name: &StoreName,
    (hostname, payload): (&Hostname, &Payload),
) -> Result<(), RuntimeError> {
    let before = runtime.inspect(name).await?;
    if before.is_none() {
        runtime.create(name).await?;
    }
    let mut result = update(runtime, name, payload).await;
    if result.is_ok() && !is_served(before.as_ref()) {
        result = runtime.list_add(list, name, hostname).await;
    }
    if result.is_err() {
        undo(runtime, name, before.is_none()).await;
    }
    result
}

async fn update(runtime: &RuntimeApi, name: &StoreName, payload: &Payload) -> Result<(), RuntimeError> {
    match runtime.stage(name, payload).await {
        // Our payload may lie in a transaction that somebody left open; nobody may commit that any more.
        Err(RuntimeError::ForeignTransaction { transaction }) => {
            tracing::warn!(%transaction, "aborting a certificate transaction that was left open");
            if let Ok(stranger) = StoreName::parse(&transaction) {
                runtime.abort(&stranger).await?;
            }
            runtime.abort(name).await.ok();
            runtime.stage(name, payload).await?;
        }
        other => other?,
    }
    runtime.commit(name).await
}

/// Leaves no open transaction and no store that was not there. Failures are logged only: the next repair looks again.
async fn undo(runtime: &RuntimeApi, name: &StoreName, was_absent: bool) {
    if let Err(error) = runtime.abort(name).await {
        tracing::debug!(%name, %error, "the transaction could not be aborted");
    }
    if was_absent && let Err(error) = runtime.delete(name).await {
        tracing::warn!(%name, %error, "an unused certificate store stays behind until the next repair");
    }
}

/// Takes a store out of service and forgets it. Idempotent.
pub(super) async fn uninstall(
    runtime: &RuntimeApi,
    list: &ListName,
    name: &StoreName,
) -> Result<(), RuntimeError> {
    let Some(state) = runtime.inspect(name).await? else {
        return Ok(());
    };
    if state.status == Status::Used {
        match runtime.list_remove(list, name, None).await {
            // Listed more than once: HAProxy wants each line named.
            Err(RuntimeError::Refused { .. }) => {
                let mut lines: Vec<_> = runtime
                    .list_entries(list)
                    .await?
                    .into_iter()
                    .filter(|entry| entry.name == name.as_str())
                    .collect();
                lines.sort_by_key(|entry| std::cmp::Reverse(entry.line));
                for entry in lines {
                    runtime.list_remove(list, name, Some(entry.line)).await?;
                }
            }
            other => other?,
        }
    }
    runtime.delete(name).await
}
