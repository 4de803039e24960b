//! Wire types of the Cabinet API, contract v1.
//!
//! The Cabinet owns custom domains; the service polls it and reports back. Both sides share these
//! types, so they cannot drift apart. They are also the reference for a platform with its own
//! Cabinet. The service reads a [`Page`] item by item, and only the fields that it uses
//! ([`read_domain`]). So one bad item does not affect the others. Every refusal is a [`Problem`]
//! document (RFC 9457) with a stable [`ProblemCode`]. [`limits`] holds the sizes that both sides
//! keep to.

mod custom_domain;
mod customer;
mod ownership;
mod page;
mod problem;
mod reading;
mod report;
mod status_name;

pub mod limits;

pub use custom_domain::{CustomDomain, parse_version_tag, version_tag};
pub use customer::{CreateRequest, CustomerView};
pub use ownership::OwnershipVerification;
pub use page::{ChangesPage, Page};
pub use problem::{Code, PROBLEM_CONTENT_TYPE, Problem, ProblemCode, ProblemSchema};
pub use reading::{DomainEntry, ItemError, is_tenant_id, read_body, read_domain};
pub use report::StatusReport;
pub use status_name::StatusName;

/// Where the calls of the service live; `/{id}`, `/{id}/status` and `/changes` below it.
pub const INTERNAL_PATH: &str = "/internal/v1/custom-domains";

/// Where the calls of customers live; `/{id}` and `/{id}/retry` below it.
pub const CUSTOMER_PATH: &str = "/api/v1/custom-domains";
