//! The reference Cabinet: source of truth for custom domains.
//!
//! A customer asks for a hostname, the Cabinet checks the name, gives it to one holder and tells
//! the record to create; the service finds the domain in the lists or the change feed, works on it
//! and reports. A platform may replace all of this by its own implementation of the same contract
//! (`docs/openapi/cabinet-v1.json`); this one makes the system whole without it.
//!
//! [`bind`] opens the database, applies migrations and listens; [`Bound::run`] serves until told to
//! stop. Requests pass the bearer token, are read within bounds, become a decision of `rules` (pure
//! functions of the stored record and the time) and one transaction of `store`.
//!
//! **Order.** Each change by the customer side takes the next position of one counter inside its
//! transaction, so positions become visible in order: a cursor never skips a domain, and never
//! shows one twice unless it changed. Lists are ordered by the position at creation, the change
//! feed by that of the last change. Reports of the service do not move a domain in the feed: the
//! service already knows what it said. Removed domains leave lists and feed after a time, by
//! `pruning`.

mod cursor;
mod error;
mod http;
mod names;
mod ports;
mod pruning;
mod refusal;
mod rules;
mod server;
mod settings;
mod store;

pub use error::CabinetError;
pub use http::openapi_document;
pub use ports::Ports;
pub use server::{Bound, bind, bind_with};
pub use settings::{Settings, SettingsError};
