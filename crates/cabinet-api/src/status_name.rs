//! The status as a caller may name it.

use dps_domain::Status;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Schema of a status in a request: one of [`Status::ALL`]. In an answer a status is open text,
/// because a later contract may know more.
#[derive(Debug)]
pub enum StatusName {}

impl PartialSchema for StatusName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Where a domain stands."))
            .enum_values(Some(Status::ALL.map(Status::as_str)))
            .into()
    }
}

impl ToSchema for StatusName {}
