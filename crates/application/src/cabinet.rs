//! The Cabinet: domains come in from it, and their status is reported to it.

pub(crate) mod align;
pub(crate) mod brake;
pub(crate) mod circuit;
pub(crate) mod feed;
pub mod health;
pub mod outbox;
mod pace;
pub(crate) mod polling;
pub(crate) mod reporter;
pub(crate) mod resync;
