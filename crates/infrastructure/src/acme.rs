//! A certificate authority that speaks ACME (RFC 8555), over our own transport.
//!
//! [`AcmeAuthority`] makes the single steps of our port and never waits for the CA: the scheduler
//! decides whether and when to call again. `instant-acme` signs and knows the protocol. The
//! transport below it is ours. It adds timeouts and bounds for every response, nonces recycled from
//! responses, and one directory for all accounts. It also records the real responses, from which
//! errors are made. Only the directory's host and the configured hosts are called. A problem of the
//! CA becomes exactly one [`CaError`](dps_application::ports::ca::CaError); an answer that is not
//! ACME is an outage, whatever its status.

mod accounts;
mod authority;
mod call;
mod directory;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hosts;
mod lenient;
mod nonces;
mod pacer;
mod problem;
mod renewal_info;
mod settings;
mod transport;
mod views;

pub use authority::AcmeAuthority;
pub use settings::{AcmeSettings, AcmeSetupError};
