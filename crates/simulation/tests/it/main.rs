//! The service in virtual time: its command, outages, random sequences of operations, and the
//! ledger beside an independent model of the CA's limits.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

mod command;
mod contested;
mod freeze;
mod ledger;
mod outages;
mod random_operations;
