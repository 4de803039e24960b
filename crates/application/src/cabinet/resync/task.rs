//! The periodic task of the resync, by which other parts make a round due.

use std::time::Duration;

/// The task's name in the store.
pub(crate) const TASK: &str = "cabinet.resync";
/// A replica that dies in a round is replaced after so long. Each page starts it anew; a page takes
/// a call to the Cabinet for each domain that differs, and is noted in pieces.
pub(super) const LEASE: Duration = Duration::from_secs(600);
