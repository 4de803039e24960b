//! Adapters to the outside parties: ACME, Cabinet, DNS, HTTP probe, edges, secrets.

pub mod cabinet;
pub mod dns;
pub mod edge;
pub mod http_probe;
pub mod acme;
pub mod pki;
