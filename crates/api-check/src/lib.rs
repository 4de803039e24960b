//! Sends generated requests to an HTTP API, and compares each answer with the API's `OpenAPI`
//! document.
//!
//! A request is right, or wrong as callers are known to be. It has another type, a missing or
//! unknown member, or a text that is long, empty or hostile. Each answer must have a status and a
//! media type that the document names for the call, and a body that fits the schema. An answer of
//! 500 or more is a fault of the server, unless the check allows it.

mod document;
mod generate;
mod send;

use std::collections::BTreeMap;

pub use document::{Call, Document};
pub use send::{ApiCheck, Report, Violation, Violations};

/// Good values of parameters and members by name. They let requests reach things that exist.
pub type KnownValues = BTreeMap<&'static str, Vec<serde_json::Value>>;
