//! The world around the service, on loopback and under control.
//!
//! A custom domain only becomes `Active` when several outside parties agree: resolvers, a
//! certificate authority, an HAProxy, a database, and the internet's habit of answering in the
//! wrong way. This crate brings all of them onto one machine so that tests, the demo and drills
//! meet real parts instead of stand-ins. [`process`] starts programs and never leaves one behind;
//! [`dns`] is a name server that speaks real packets and can be told to misbehave; [`pebble`],
//! [`postgres`] and [`haproxy`] run the Debian packages of those names; [`web`] plays the stranger
//! that answers in our place, and [`acme_double`] a CA on its worst day; [`tls`] looks at an edge
//! with a client's eyes, once or without pause while something changes underneath.
//!
//! Everything binds to 127.0.0.1 (or another loopback address), waits for conditions instead
//! of times, and is torn down when its handle is dropped or the process dies, whichever comes
//! first. Nothing here is meant to face real clients.

pub mod acme_double;
pub mod dns;
pub mod error;
pub mod flood;
pub mod haproxy;
pub mod pebble;
pub mod port;
pub mod postgres;
pub mod process;
pub mod tls;
pub mod wait;
pub mod web;

pub use error::LabError;
pub use port::{free_port, free_ports};
