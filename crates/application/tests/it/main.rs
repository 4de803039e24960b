//! Stories of one domain, with the real store in memory and models for the parties outside.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on ends there")]

mod accounts;
mod backlog;
mod ca;
mod caa;
mod cabinet;
mod diagnose;
mod directories;
mod fleet;
mod freeze;
mod http_probe;
mod jobs;
mod kept_proofs;
mod limits;
mod lost_orders;
mod odd_cabinet;
mod outbox;
mod outside;
mod ownership;
mod pauses;
mod pruning;
mod renewal_information;
mod requested_revocation;
mod resync;
mod revocation;
mod stories;
mod timeline;
mod webhooks;
mod world;
