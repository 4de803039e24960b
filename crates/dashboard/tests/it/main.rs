//! Every page, rendered: well-formed, accessible, without inline code, and safe with hostile texts.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod html;
mod pages;
mod samples;
