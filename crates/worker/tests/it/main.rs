//! The real `dps` binary among real parts: DNS server, Pebble, HAProxy with the shipped rules,
//! SQLite and PostgreSQL. The three roles are separate processes. These tests prove the promises to
//! users, through the interfaces of users: the Cabinet's public API, the edge's port, the command
//! line, signals and files.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod active;
mod admin;
mod admin_calls;
mod admin_document;
mod alerts;
mod broken;
mod caa;
mod clocks;
mod cluster;
mod codes;
mod command_line;
mod crashes;
mod crowds;
mod dashboard;
mod dashboard_browser;
mod demo;
mod diagnose;
mod doctor;
mod explain;
mod famine;
mod fleet;
mod hairpin;
mod http_probe;
mod issuance;
mod jobs;
mod kept_proofs;
mod limits;
mod mistakes;
mod moving;
mod mutual_tls;
mod operator;
mod outages;
mod ownership;
mod pki;
mod plan;
mod proxied;
mod renewal;
mod resync;
mod revocation;
mod secrets;
mod server;
mod shipped_haproxy;
mod signals;
mod stale_dns;
mod state;
mod traces;
mod trust;
mod units;
mod unreadable;
mod upgrade;
mod webhooks;
mod world;
