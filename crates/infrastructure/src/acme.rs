//! A certificate authority that speaks ACME (RFC 8555), over our own way to it.
//!
//! [`AcmeAuthority`] makes the single steps of our port and never waits for the CA: whether to ask
//! again, and when, is for the scheduler. `instant-acme` signs and knows the protocol; the
//! transport below it is ours and does what the library leaves out: time-outs and a bound for every
//! answer, nonces recycled from answers instead of fetched, one directory for all accounts, and a
//! record of what really came, from which errors are told. Only the directory's host and those that
//! are configured are called. A problem of the CA becomes exactly one
//! [`CaError`](dps_application::ports::ca::CaError); an answer that is not ACME is an outage,
//! whatever its status.

mod accounts;
mod authority;
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
