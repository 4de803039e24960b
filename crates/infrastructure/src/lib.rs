//! Adapters to the outside parties: ACME, Cabinet, DNS, HTTP probe, edges, secrets.

pub mod dns;
pub mod http_probe;
