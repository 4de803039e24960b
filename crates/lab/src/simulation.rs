//! Models of the parties around the service, for runs in virtual time.

pub mod ca_limits;
