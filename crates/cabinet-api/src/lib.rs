//! Wire types of the Cabinet API, contract v1.
//!
//! The Cabinet owns custom domains; the service polls it and reports back. Both sides share these types, so they cannot
//! drift apart, and a platform that brings its own Cabinet reads here what the service expects. Reading is tolerant: unknown
//! fields are passed over, a [`Page`] is decoded item by item so that one bad item spoils no other, and statuses and hostnames
//! stay text until they are asked for ([`CustomDomain::status`], [`CustomDomain::canonical_host`]). Every refusal is a
//! [`Problem`] document (RFC 9457) with a stable [`ProblemCode`]. [`limits`] holds the sizes that both sides keep to.

mod custom_domain;
mod customer;
mod page;
mod problem;
mod report;

pub mod limits;

pub use custom_domain::{CustomDomain, parse_version_tag, version_tag};
pub use customer::{CreateRequest, CustomerView};
pub use page::{ChangesPage, ItemError, Page};
pub use problem::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode};
pub use report::StatusReport;

/// Where the calls of the service live; `/{id}`, `/{id}/status` and `/changes` below it.
pub const INTERNAL_PATH: &str = "/internal/v1/custom-domains";

/// Where the calls of customers live; `/{id}` and `/{id}/retry` below it.
pub const CUSTOMER_PATH: &str = "/api/v1/custom-domains";
