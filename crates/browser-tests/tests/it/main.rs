//! Our pages in a real browser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod harness;
mod setup_page;
