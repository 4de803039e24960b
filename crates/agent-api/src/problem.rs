//! Refusals: problem documents (RFC 9457) with a code of our own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// A problem document. `detail` names what is wrong and what to do, and never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `about:blank`: `code` is the stable name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, and the remedy.
    pub detail: String,
    /// The stable code.
    pub code: ProblemCode,
    /// The field of the request that is to blame, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $title:literal, $status:literal;)*) => {
        /// Every reason for which the agent refuses. Stable; clients take new ones as
        /// [`ProblemCode::Unknown`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
            /// A code of a newer agent.
            #[serde(other, rename = "UNKNOWN")]
            Unknown,
        }

        impl ProblemCode {
            /// Every code but [`ProblemCode::Unknown`].
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code on the wire and in metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "UNKNOWN",
                }
            }

            /// The code in words.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                    Self::Unknown => "Unknown problem",
                }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown => 500,
                }
            }
        }
    };
}

codes! {
    /// The request cannot be read: not JSON, a field missing, a hostname or token that is none.
    RequestMalformed = "REQUEST_MALFORMED", "The request cannot be read", 400;
    /// No token, a wrong one, or a call that is only answered over mutual TLS.
    Unauthorized = "UNAUTHORIZED", "The caller does not prove itself as it must", 401;
    /// No such path.
    NotFound = "NOT_FOUND", "There is nothing here", 404;
    /// The method is not offered on this path.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", "This method is not offered here", 405;
    /// The request took too long to arrive or to serve.
    RequestTimeout = "REQUEST_TIMEOUT", "The request took too long", 408;
    /// The agent holds a newer certificate of this hostname.
    GenerationStale = "GENERATION_STALE", "A newer generation is held already", 409;
    /// The same generation was applied with another certificate.
    GenerationConflict = "GENERATION_CONFLICT", "The generation is taken by another certificate", 409;
    /// The body is larger than the agent reads.
    RequestTooLarge = "REQUEST_TOO_LARGE", "The request is too large", 413;
    /// The chain cannot be parsed.
    ChainMalformed = "CHAIN_MALFORMED", "The certificate chain cannot be read", 422;
    /// A certificate is not signed by the next one.
    ChainOutOfOrder = "CHAIN_OUT_OF_ORDER", "The certificate chain is out of order", 422;
    /// The private key cannot be parsed.
    KeyMalformed = "KEY_MALFORMED", "The private key cannot be read", 422;
    /// The private key belongs to another certificate.
    KeyMismatch = "KEY_MISMATCH", "The private key belongs to another certificate", 422;
    /// The certificate is for other names.
    NameNotCovered = "NAME_NOT_COVERED", "The certificate does not cover the hostname", 422;
    /// The certificate is not valid yet.
    NotYetValid = "NOT_YET_VALID", "The certificate is not valid yet", 422;
    /// The certificate is not valid any more.
    Expired = "EXPIRED", "The certificate has expired", 422;
    /// The key is too weak.
    WeakKey = "WEAK_KEY", "The key is too weak", 422;
    /// A signature uses a broken hash.
    WeakSignature = "WEAK_SIGNATURE", "A signature is too weak", 422;
    /// The certificate is not for TLS servers.
    WrongUsage = "WRONG_USAGE", "The certificate is not for TLS servers", 422;
    /// A certificate above the leaf is not an authority's.
    NotAnAuthority = "NOT_AN_AUTHORITY", "An intermediate certificate may not issue others", 422;
    /// The fingerprint is not the chain's.
    FingerprintMismatch = "FINGERPRINT_MISMATCH", "The fingerprint is not the chain's", 422;
    /// Chain or key do not fit into HAProxy's buffer.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", "The certificate does not fit into HAProxy's buffer", 422;
    /// HAProxy looked at the certificate and refused it.
    EdgeRejected = "EDGE_REJECTED", "HAProxy refused the certificate", 422;
    /// HAProxy took the certificate but presents another one.
    EdgeMismatch = "EDGE_MISMATCH", "The edge presents another certificate", 500;
    /// The agent's disk or something else of the agent failed.
    Internal = "INTERNAL", "The agent failed", 500;
    /// HAProxy does not answer on its Runtime API.
    HaproxyUnreachable = "HAPROXY_UNREACHABLE", "HAProxy does not answer", 503;
    /// The agent holds as much as it is allowed to.
    CapacityExhausted = "CAPACITY_EXHAUSTED", "The agent's limit is reached", 507;
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            field: None,
        }
    }

    /// Names the field of the request that is to blame.
    #[must_use]
    pub fn about(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_name_on_the_wire() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(
                serde_json::from_value::<ProblemCode>(code.as_str().into()).unwrap(),
                *code
            );
        }
    }

    #[test]
    fn a_code_of_a_newer_agent_is_read_as_unknown() {
        let text = r#"{"type":"about:blank","title":"t","status":422,"detail":"d","code":"BRAND_NEW","more":1}"#;
        assert_eq!(
            serde_json::from_str::<Problem>(text).unwrap().code,
            ProblemCode::Unknown
        );
    }
}
