//! The lab's parts against real programs, sockets and packets.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod dns;
mod ports;
mod postgres;
mod process;
