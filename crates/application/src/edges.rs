//! The edges: the members of the fleet, their health, and the certificates that each holds.

pub(crate) mod deployment;
pub mod fleet;
pub(crate) mod health;
pub(crate) mod partition;
pub(crate) mod presented;
pub(crate) mod reconcile;
