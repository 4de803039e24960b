//! HAProxy's Runtime API, as far as certificates go.
//!
//! One method per command on a connection of its own, or many certificates over one connection
//! ([`RuntimeApi::install_all`]). Connections are short-lived on purpose: one that is kept open
//! stays with the old worker after a reload. The arguments of a command are safe by type.
//! [`StoreName`] and [`ListName`] hold no character with a meaning to HAProxy's command line. A
//! [`Payload`] is PEM that we wrote, without the blank line that would end it early. [`answers`]
//! parses the answers into types, and errors never repeat PEM.

pub mod answers;
mod batch;
mod client;
mod command;
mod connection;
mod endpoint;
mod error;
mod names;
mod payload;

pub use answers::{ListEntry, Process, Status, StoreListing, StoreState};
pub use batch::Installation;
pub use client::{RuntimeApi, RuntimeLimits};
pub use endpoint::{Endpoint, EndpointError};
pub use error::RuntimeError;
pub use names::{ListName, NameError, StoreName};
pub use payload::Payload;
