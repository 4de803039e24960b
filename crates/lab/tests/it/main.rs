//! The lab's parts against real programs, sockets and packets.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

mod acme_http;
mod dns;
mod haproxy;
mod pebble;
mod ports;
mod postgres;
mod process;
mod tls;
mod web;
