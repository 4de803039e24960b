//! Reads from the store, each within a bounded time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dps_domain::diagnosis::{Check, CheckStatus, Row, Severity};
use dps_domain::with_causes;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::ports::store::StoreError;

/// Longest time for an answer of the store. The checks that need it still have time to end.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// The reads of a diagnosis.
pub(super) struct Reads {
    deadline: Instant,
    /// Whether one was not answered.
    is_unanswered: AtomicBool,
}

/// The reason why a read has no result.
pub(super) enum Unread {
    /// The store did not answer in time.
    NoAnswer,
    /// The store refused.
    Failed(StoreError),
}

impl Reads {
    pub(super) const fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            is_unanswered: AtomicBool::new(false),
        }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits for a read, no longer than [`TIMEOUT`] and not beyond the deadline.
    pub(super) async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Unread> {
        let deadline = self.deadline.min(Instant::now() + TIMEOUT);
        let Ok(read) = timeout_at(deadline, read).await else {
            self.is_unanswered.store(true, Ordering::Relaxed);
            return Err(Unread::NoAnswer);
        };
        read.map_err(Unread::Failed)
    }

    /// The row of the store, after all other checks.
    pub(super) fn row(&self) -> Row {
        if !self.is_unanswered.load(Ordering::Relaxed) {
            return Row::ok(Check::Store, "The store of the service answers.");
        }
        unanswered()
    }
}

/// The row of a store that does not answer.
pub(super) fn unanswered() -> Row {
    let within = TIMEOUT.as_secs();
    failed(format!(
        "The store of the service did not answer within {within} s."
    ))
}

/// The row of a store that can be read but not written to.
pub(super) fn unwritable(error: &StoreError) -> Row {
    let row = failed("The store of the service cannot be written to.".to_owned());
    row.with(json!({ "error": with_causes(error) }))
}

/// The service's own failure: no customer's sentence names it, so the row has no code.
fn failed(message: String) -> Row {
    Row {
        severity: Severity::Error,
        remedy: Some(
            "Check the database of CertificateStore:ConnectionString: its load, locks and free \
             space. The domain itself may be well."
                .to_owned(),
        ),
        ..Row::new(Check::Store, CheckStatus::Failed, message)
    }
}
