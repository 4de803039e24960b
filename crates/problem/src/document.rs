//! The document.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::codes::{CodeMember, ProblemKind as _};

/// The media type of a [`Problem`] (RFC 9457 §3).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// The type of problems whose code says it all (RFC 9457 §4.2.1).
const ABOUT_BLANK: &str = "about:blank";

/// Why a call was refused (RFC 9457). `C` is the type of the code, `R` that of the resource which a
/// conflict shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem<C, R = NoResource> {
    /// URI reference of the kind of problem; `about:blank` when the code says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words, the same at each occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The fault this time, and the remedy. Never repeats a key.
    pub detail: String,
    /// The stable code.
    pub code: C,
    /// The field, parameter or header that is wrong, by its name on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The resource as it is now, when its version moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<R>>,
}

/// The resource of an interface whose problems show none; whatever stands there is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoResource;

impl<'de> Deserialize<'de> for NoResource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self)
    }
}

impl<C: CodeMember, R> Problem<C, R> {
    /// A problem of the given kind.
    pub fn new(kind: C::Kind, detail: impl Into<String>) -> Self {
        Self {
            kind: ABOUT_BLANK.to_owned(),
            title: kind.title().to_owned(),
            status: kind.http_status(),
            detail: detail.into(),
            code: C::of(kind),
            field: None,
            current: None,
        }
    }

    /// The same, naming the field, parameter or header at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the resource as it is now.
    #[must_use]
    pub fn with_current(mut self, resource: R) -> Self {
        self.current = Some(Box::new(resource));
        self
    }

    /// The code as one of the interface, unless it belongs to another implementation or a later
    /// contract.
    pub fn code(&self) -> Option<C::Kind> {
        self.code.kind()
    }
}

/// The members as they come.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "R: Deserialize<'de>")]
struct Members<R> {
    #[serde(rename = "type")]
    kind: Option<String>,
    title: Option<String>,
    status: Option<u16>,
    detail: Option<String>,
    code: Option<String>,
    field: Option<String>,
    current: Option<Box<R>>,
}

impl<'de, C: CodeMember, R: Deserialize<'de>> Deserialize<'de> for Problem<C, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::<R>::deserialize(deserializer)?;
        if C::NEEDS_ALL_MEMBERS {
            for (name, is_missing) in [
                ("type", members.kind.is_none()),
                ("title", members.title.is_none()),
                ("status", members.status.is_none()),
                ("detail", members.detail.is_none()),
            ] {
                if is_missing {
                    return Err(D::Error::missing_field(name));
                }
            }
        }
        Ok(Self {
            kind: members.kind.unwrap_or_else(|| ABOUT_BLANK.to_owned()),
            title: members.title.unwrap_or_default(),
            status: members.status.unwrap_or_default(),
            detail: members.detail.unwrap_or_default(),
            code: C::read(members.code).ok_or_else(|| D::Error::missing_field("code"))?,
            field: members.field,
            current: members.current,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    crate::problem_codes! {
        /// Two codes.
        enum Code {
            /// One.
            Conflict => "CONFLICT", 409, "The resource has changed";
            /// Another one.
            Closed => "CLOSED", 503, "Nobody is here";
        }
    }

    impl Serialize for Code {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }

    impl CodeMember for Code {
        type Kind = Self;
        const NEEDS_ALL_MEMBERS: bool = true;

        fn of(kind: Self) -> Self {
            kind
        }

        fn kind(&self) -> Option<Self> {
            Some(*self)
        }

        fn read(member: Option<String>) -> Option<Self> {
            Self::named(&member?)
        }
    }

    #[test]
    fn a_problem_is_read_as_it_was_written() {
        let plain: Problem<Code> = Problem::new(Code::Closed, "come again");
        let json = serde_json::to_value(&plain).unwrap();
        let members = json!({
            "type": "about:blank", "title": "Nobody is here", "status": 503,
            "detail": "come again", "code": "CLOSED",
        });
        assert_eq!(json, members);
        assert_eq!(
            serde_json::from_value::<Problem<Code>>(json).unwrap(),
            plain
        );
        let conflict: Problem<Code, u8> = Problem::new(Code::Conflict, "read it again")
            .at("If-Match")
            .with_current(7);
        let json = serde_json::to_value(&conflict).unwrap();
        assert_eq!(
            (&json["field"], &json["current"]),
            (&json!("If-Match"), &json!(7))
        );
        let read: Problem<Code, u8> = serde_json::from_value(json).unwrap();
        assert_eq!(read, conflict);
        assert_eq!(read.code(), Some(Code::Conflict));
    }

    #[test]
    fn a_document_without_a_member_that_the_interface_needs_is_refused() {
        let whole = json!({
            "type": "about:blank", "title": "t", "status": 409, "detail": "d", "code": "CONFLICT",
            "current": {"of": "another interface"},
        });
        assert!(serde_json::from_value::<Problem<Code>>(whole.clone()).is_ok());
        for member in ["type", "title", "status", "detail", "code"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(member);
            let error = serde_json::from_value::<Problem<Code>>(part).unwrap_err();
            assert!(error.to_string().contains(member), "{error}");
        }
    }
}
