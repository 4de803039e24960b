//! Counterparts that no well-behaved server would be.

#![expect(
    clippy::allow_attributes,
    reason = "each test binary uses another part of these helpers"
)]
#![allow(dead_code, reason = "each test binary uses another part of these helpers")]

pub(crate) mod dns;
pub(crate) mod raw;
