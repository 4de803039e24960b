//! The `dps` binary as a library: configuration, command line, health and metrics over HTTP.
//!
//! At its start, [`cli`] parses the command, and [`config`] reads and checks the settings of the
//! role. `wiring` gives every port of the application its adapter. The workers run until the
//! shutdown token fires. Meanwhile [`http`] serves liveness, readiness and the metrics of
//! [`telemetry`].

pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
pub mod documents;
pub mod http;
pub mod roles;
pub mod service;
pub mod standalone;
pub mod system;
pub mod telemetry;
pub mod wiring;
