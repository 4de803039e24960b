//! Stories of one domain, with the real store in memory and models for the parties outside.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on ends there")]

mod accounts;
mod backlog;
mod ca;
mod caa;
mod cabinet;
mod directories;
mod fleet;
mod limits;
mod lost_orders;
mod odd_cabinet;
mod outbox;
mod outside;
mod ownership;
mod preflight;
mod pruning;
mod renewal_information;
mod resync;
mod stories;
mod timeline;
mod world;
