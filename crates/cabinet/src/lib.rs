//! The reference Cabinet: source of truth for custom domains.
//!
//! A customer requests a hostname. The Cabinet checks the name, stores the tenant's claim to it and
//! returns the record to create. The service finds the domain in the lists or the change feed,
//! works on it and reports. A platform may replace all of this by its own implementation of the
//! same contract (`docs/openapi/cabinet-v1.json`).
//!
//! [`bind`] opens the database, applies migrations and listens; [`Bound::run`] serves until it is
//! stopped. A request passes the check of its bearer token and is read within bounds. `rules`, pure
//! functions of the stored record and the time, decide on it, and `store` applies it in one
//! transaction.
//!
//! **Order.** Each change by the customer side takes the next position of one counter inside its
//! transaction, so positions become visible in order. A cursor never skips a domain, and shows one
//! twice only if it changed. Lists are ordered by the position at creation, the change feed by that
//! of the last change. Reports of the service do not move a domain in the feed, since the service
//! knows them. Removed domains leave lists and feed after a time, by `pruning`.
//!
//! `setup` is the page on which a customer reads what to do, behind a signed link.

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
mod setup;
mod store;
mod target;

pub use error::CabinetError;
pub use http::openapi_document;
pub use ports::Ports;
pub use server::{Bound, bind, bind_with};
pub use settings::{Settings, SettingsError, SetupPageSettings};
