//! Adapters to the outside parties: ACME, Cabinet, DNS, HTTP probe, edges, secrets.
//!
//! `dps-application` names what it needs of the outside as ports; each module here gives one of
//! them a body and knows one protocol: [`acme`] the certificate authority, [`cabinet`] the platform
//! that owns the domains, [`dns`] the resolvers, [`http_probe`] the path a challenge will take,
//! [`edge`] the agents that serve certificates, [`pki`] keys and certificates, [`secrets`] what
//! encrypts keys before they reach the store. No module knows another or the store. All of them
//! treat the other side as hostile or broken: every answer is bounded in size and time, and every
//! fault becomes an error that says what to do about it. Time comes from the `Clock` port; nothing
//! here retries but a refused ACME nonce.

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
