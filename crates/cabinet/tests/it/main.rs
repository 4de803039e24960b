//! The contract over real HTTP, on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod claims;
mod customer;
mod document;
mod feed;
mod hostile;
mod lists;
mod quotas;
mod reports;
mod requests;
mod server;
mod setup;
mod world;
