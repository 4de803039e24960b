//! The lease loop: leases due records, runs their steps and writes the outcomes.

mod count;
pub(crate) mod counting;
pub(crate) mod jobs;
pub(crate) mod pool;
pub(crate) mod pruning;
pub(crate) mod revocations;
pub(crate) mod run_step;
mod step_log;
pub(crate) mod wake_relay;
