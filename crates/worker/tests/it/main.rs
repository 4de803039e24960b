//! The real `dps` binary in a world of real parts: DNS server, Pebble, HAProxy with the shipped
//! rules, SQLite and PostgreSQL, and the three roles as processes of their own. What is promised to
//! users is proven here, through the same doors that users have: the Cabinet's public API, the
//! edge's port, the command line, signals and files.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod active;
mod broken;
mod clocks;
mod cluster;
mod command_line;
mod crashes;
mod demo;
mod famine;
mod fleet;
mod limits;
mod mistakes;
mod mutual_tls;
mod operator;
mod outages;
mod pki;
mod renewal;
mod resync;
mod secrets;
mod shipped_haproxy;
mod state;
mod trust;
mod units;
mod unreadable;
mod upgrade;
mod world;
