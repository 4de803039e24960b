//! The calls of an `OpenAPI` document.

use reqwest::Method;
use serde_json::{Value, json};

/// An `OpenAPI` document.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// One operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// The path with its templates in braces.
    pub path: String,
    operation: Value,
}

/// Place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// A parameter of a call.
#[derive(Debug)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: Place,
    pub(crate) is_required: bool,
    pub(crate) schema: &'a Value,
}

impl Document {
    /// A document that is known to be valid.
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// Every call.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        for (path, methods) in self.0["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let name = method.to_uppercase();
                calls.extend(Method::from_bytes(name.as_bytes()).map(|method| Call {
                    method,
                    path: path.clone(),
                    operation: operation.clone(),
                }));
            }
        }
        calls
    }

    /// The schema, which may be a reference.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema["$ref"].as_str();
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        let target = pointer.and_then(|pointer| self.0.pointer(pointer));
        target.unwrap_or(schema)
    }

    /// The first way in which a value does not fit a schema of this document; `None` if it fits.
    pub(crate) fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        // References of the schema lead into the document, so both are one schema here.
        let mut whole = schema.clone();
        whole["components"] = self.0["components"].clone();
        let validator = match jsonschema::validator_for(&whole) {
            Ok(validator) => validator,
            Err(error) => return Some(format!("the schema cannot be used: {error}")),
        };
        let mut errors = validator.iter_errors(value);
        errors
            .next()
            .map(|error| format!("{}: {error}", error.instance_path()))
    }
}

impl Call {
    /// Method and path, as in the document.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it needs a token.
    pub fn is_guarded(&self) -> bool {
        self.operation["security"].is_array()
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        let listed = self.operation["parameters"].as_array();
        listed.into_iter().flatten().filter_map(|parameter| {
            Some(Parameter {
                name: parameter["name"].as_str()?,
                place: match parameter["in"].as_str()? {
                    "path" => Place::Path,
                    "query" => Place::Query,
                    _ => Place::Header,
                },
                is_required: parameter["required"] == json!(true),
                schema: &parameter["schema"],
            })
        })
    }

    /// The schema of its JSON body; `None` for a call without one.
    pub(crate) fn body(&self) -> Option<&Value> {
        let content = self.operation.get("requestBody")?;
        content.pointer("/content/application~1json/schema")
    }

    /// The names of the headers that a response of this status must have.
    pub(crate) fn answer_headers(&self, status: u16) -> impl Iterator<Item = &str> {
        let response = self.operation["responses"].get(status.to_string());
        let headers = response.and_then(|response| response["headers"].as_object());
        headers.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// The media types of a status and their schemas; `None` for a status that is not documented.
    pub(crate) fn answers(&self, status: u16) -> Option<Vec<(&str, &Value)>> {
        let response = self.operation["responses"].get(status.to_string())?;
        let content = response["content"].as_object().into_iter().flatten();
        let answers =
            content.map(|(media_type, content)| (media_type.as_str(), &content["schema"]));
        Some(answers.collect())
    }
}
