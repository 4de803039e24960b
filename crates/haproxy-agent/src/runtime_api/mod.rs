//! HAProxy's Runtime API, as far as certificates go.
//!
//! One method per command, one connection per command (they are short-lived on purpose: a connection that is kept open stays
//! with the old worker after a reload). What goes into a command is safe by type: [`StoreName`] and [`ListName`] hold no
//! character that HAProxy's command line gives a meaning to, and a [`Payload`] is PEM written by ourselves, without the blank line
//! that would end it early. What comes back is parsed by [`answers`] into types, and errors never repeat PEM.

pub mod answers;
mod client;
mod endpoint;
mod error;
mod names;
mod payload;

pub use answers::{ListEntry, Process, Status, StoreListing, StoreState};
pub use client::{RuntimeApi, RuntimeLimits};
pub use endpoint::{Endpoint, EndpointError};
pub use error::RuntimeError;
pub use names::{ListName, NameError, StoreName};
pub use payload::Payload;
