//! Installs and uninstalls one certificate, and proves the result.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_domain::{Hostname, with_causes};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Candidate;
use crate::disk::Held;
use crate::handshake::{HandshakeError, Prober};
use crate::runtime_api::{
    ListName, Payload, RuntimeApi, RuntimeError, Status, StoreName, StoreState,
};

/// Whether a store is in the list already.
pub(super) fn is_served(state: Option<&StoreState>) -> bool {
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

/// A certificate as HAProxy takes it.
#[derive(Clone, Copy)]
pub(super) struct Certificate<'a> {
    /// Its store.
    pub(super) name: &'a StoreName,
    /// The hostname in the crt-list.
    pub(super) hostname: &'a Hostname,
    /// Chain and key.
    pub(super) payload: &'a Payload,
}

/// Installs a certificate: new, set, commit and add for a new store; set and commit for a served
/// one. For a state in between, it sends the missing commands. After an error HAProxy serves what
/// it served before, unless it could not be reached to undo.
pub(super) async fn install(
    runtime: &RuntimeApi,
    list: &ListName,
    certificate: Certificate<'_>,
) -> Result<(), RuntimeError> {
    let Certificate {
        name,
        hostname,
        payload,
    } = certificate;
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

async fn update(
    runtime: &RuntimeApi,
    name: &StoreName,
    payload: &Payload,
) -> Result<(), RuntimeError> {
    match runtime.stage(name, payload).await {
        // Our payload may lie in a transaction that another client left open; no client may
        // commit it any more.
        Err(RuntimeError::ForeignTransaction { transaction }) => {
            tracing::warn!(%transaction, "haproxy.transaction_aborted");
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

/// Leaves no open transaction and no store that was not there. Failures are logged only: the next
/// repair checks again.
async fn undo(runtime: &RuntimeApi, name: &StoreName, was_absent: bool) {
    if let Err(error) = runtime.abort(name).await {
        tracing::debug!(%name, %error, "haproxy.abort_failed");
    }
    if was_absent && let Err(error) = runtime.delete(name).await {
        tracing::warn!(%name, %error, "haproxy.unused_store_left");
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

/// While a reload is under way, the old worker may still take a connection or two.
pub(super) const ATTEMPTS: u32 = 5;
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Handshakes at once: enough to hide the time on the way, few enough to leave HAProxy to its
/// clients.
const HANDSHAKES: usize = 4;
/// After so many unanswered handshakes in a burst, the others are not waited for.
const MAX_UNANSWERED: usize = 8;

/// Handshakes that run beside other work.
pub(super) struct Proofs {
    prober: Prober,
    attempts: u32,
    permits: Arc<Semaphore>,
    /// Handshakes without an answer in time.
    unanswered: Arc<AtomicUsize>,
    begun: HashSet<usize>,
    tasks: JoinSet<(usize, Result<(), String>)>,
}

impl Proofs {
    pub(super) fn new(prober: Prober, attempts: u32) -> Self {
        Self {
            prober,
            attempts,
            permits: Arc::new(Semaphore::new(HANDSHAKES)),
            unanswered: Arc::default(),
            begun: HashSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins to prove that a certificate is presented.
    pub(super) fn begin(&mut self, index: usize, candidate: &Arc<Candidate>) {
        let (prober, permits, attempts) = (
            self.prober.clone(),
            Arc::clone(&self.permits),
            self.attempts,
        );
        let (candidate, unanswered) = (Arc::clone(candidate), Arc::clone(&self.unanswered));
        self.begun.insert(index);
        self.tasks.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire_owned().await;
            (
                index,
                prove(&prober, &candidate, attempts, &unanswered).await,
            )
        });
    }

    /// Whether this one was begun.
    pub(super) fn has(&self, index: usize) -> bool {
        self.begun.contains(&index)
    }

    /// All results, with what is presented instead in words.
    pub(super) async fn finish(self) -> Vec<(usize, Result<(), String>)> {
        self.tasks.join_all().await
    }
}

async fn prove(
    prober: &Prober,
    candidate: &Candidate,
    attempts: u32,
    unanswered: &AtomicUsize,
) -> Result<(), String> {
    let (hostname, wanted) = (candidate.hostname(), &candidate.wanted.fingerprint);
    let mut last = "the handshakes before were not answered".to_owned();
    for attempt in 0..attempts {
        if unanswered.load(Ordering::Relaxed) >= MAX_UNANSWERED {
            break;
        }
        if attempt > 0 {
            sleep(PAUSE).await;
        }
        match prober.presented(hostname).await {
            Ok(presented) if presented == *wanted => return Ok(()),
            Ok(presented) => last = format!("a handshake for {hostname} presents {presented}"),
            Err(error @ HandshakeError::TimedOut { .. }) => {
                unanswered.fetch_add(1, Ordering::Relaxed);
                last = error.to_string();
                break;
            }
            Err(error) => last = with_causes(&error),
        }
    }
    Err(format!(
        "{last}; expected {wanted}; check that Agent:TlsAddress is a bind with our crt-list"
    ))
}
