//! The world around the service, on loopback and under control.
//!
//! A custom domain becomes `Active` only when several outside parties agree. They are resolvers, a
//! certificate authority, an HAProxy, a database, and the web server to which the name points. This
//! crate brings all of them onto one machine so that tests, the demo and drills meet real parts
//! instead of stand-ins. [`process`] starts programs and never leaves one running. [`dns`] is a
//! name server that speaks real packets and can misbehave. [`pebble`], [`postgres`] and [`haproxy`]
//! run the Debian packages of those names, and so does [`prometheus`]. [`web`] is another server
//! that answers in our place. [`acme_double`] is a CA that misbehaves. [`tls`] connects to an edge
//! as a client does, once or repeatedly. [`collector`] receives the spans of
//! OpenTelemetry. [`browser`] is a Chromium.
//!
//! Everything binds to a loopback address and waits for conditions instead of times. It ends when
//! its handle is dropped or the process dies. Nothing here is meant to face real clients.

pub mod acme_double;
pub mod browser;
pub mod collector;
pub mod dns;
pub mod error;
pub mod flood;
pub mod haproxy;
pub mod pebble;
pub mod port;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod tls;
pub mod wait;
pub mod web;

pub use error::LabError;
pub use port::{free_port, free_ports};
