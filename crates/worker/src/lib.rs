//! The `dps` binary as a library: configuration, command line, health and metrics over HTTP.
//!
//! A start goes like this: [`cli`] says what is asked, [`config`] reads and checks the settings of
//! the role, `wiring` gives every port of the application its adapter, the workers run until the
//! shutdown token fires, and [`http`] shows meanwhile whether the process is alive, whether it is
//! ready, and what [`telemetry`] has counted.

pub mod cli;
pub mod config;
pub mod demo;
pub mod http;
pub mod roles;
pub mod service;
pub mod standalone;
pub mod system;
pub mod telemetry;
pub mod wiring;
