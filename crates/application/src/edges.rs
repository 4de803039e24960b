//! The edges: which there are, whether they answer, and what each of them holds.

pub mod fleet;
pub(crate) mod health;
pub(crate) mod reconcile;
