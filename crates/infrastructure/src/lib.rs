//! Adapters to the outside parties: ACME, Cabinet, DNS, HTTP probe, edges, secrets.
//!
//! `dps-application` defines its needs of the outside as ports. Each module here implements one of
//! them and knows one protocol:
//!
//! - [`acme`]: the certificate authority
//! - [`cabinet`]: the platform that owns the domains
//! - [`dns`]: the resolvers
//! - [`http_probe`]: the path that a challenge will take
//! - [`edge`]: the agents that serve certificates
//! - [`pki`]: keys and certificates
//! - [`secrets`]: the encryption of keys before they reach the store
//!
//! No module knows another or the store. All of them treat the other side as hostile or broken.
//! Every response is bounded in size and time, and every fault becomes an error with its remedy.
//! Time comes from the `Clock` port. Only a refused ACME nonce is retried here.

pub mod acme;
pub mod cabinet;
pub mod dns;
pub mod edge;
pub mod edge_directory;
pub mod http_probe;
mod local_fault;
pub mod pki;
mod retry_after;
pub mod secrets;
mod spans;
pub mod webhook;
