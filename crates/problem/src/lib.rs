//! Problem documents (RFC 9457), which every HTTP interface of ours sends for a refusal.
//!
//! An interface lists its codes by [`problem_codes!`](crate::problem_codes) and names
//! [`Problem`] with a type for its member `code`. Servers send a problem by `dps_host::problem`.

mod codes;
mod document;
#[cfg(feature = "openapi")]
pub mod openapi;

pub use codes::{CodeMember, ProblemKind};
pub use document::{NoResource, PROBLEM_CONTENT_TYPE, Problem};
