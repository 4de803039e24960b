//! A name server that plays resolver: real packets over UDP and TCP, data that changes at run time,
//! faults on demand.
//!
//! A [`Zone`] holds the data; a [`DnsServer`] answers from one. Two servers on two zones are two
//! resolvers that disagree, two servers on one zone agree. Like a recursive resolver, the server
//! follows CNAMEs through its own data and puts the whole chain into the answer. The
//! recursion-available bit is set, and the authoritative bit is clear. A server started as
//! authoritative answers for the zones in its data alone, with the authoritative bit.

mod answer;
mod server;
mod zone;

pub use server::DnsServer;
pub use zone::{Fault, Kind, Zone};
