//! The Cabinet: domains come in from it, and their status is reported to it.

pub(crate) mod brake;
mod circuit;
pub mod health;
pub(crate) mod intake;
pub mod outbox;
mod pace;
pub(crate) mod reporter;
pub(crate) mod resync;
