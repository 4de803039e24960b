//! The lease loop: what leases due records, runs their steps and records the outcomes.

mod count;
pub mod crash_point;
pub(crate) mod housekeeping;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod run_step;
pub mod wake;
pub(crate) mod wake_relay;
