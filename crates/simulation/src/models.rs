//! Models of the parties around the service. Each has its state behind its own lock.
//!
//! They serve the simulation and the tests of `dps-application`. Names are numbered by a
//! [`NameBook`](names::NameBook), and the time is any clock's. The CA's limits ([`ca_limits`]) are
//! an oracle for the service's ledger, and share nothing with it.

pub mod ca;
pub mod ca_limits;
pub mod cabinet;
pub mod claims;
pub mod dns;
pub mod edges;
pub mod line;
pub mod names;
pub mod pki;
pub mod tally;
