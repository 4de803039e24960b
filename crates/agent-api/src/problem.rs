//! Refusals: problem documents (RFC 9457) with a code of our own.

use dps_problem::{CodeMember, problem_codes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use dps_problem::PROBLEM_CONTENT_TYPE;

/// A problem document. `detail` names the fault and the remedy, and never repeats a key.
pub type Problem = dps_problem::Problem<ProblemCode>;

problem_codes! {
    /// Every reason for which the agent refuses. Stable; clients take new ones as
    /// [`ProblemCode::Unknown`].
    pub enum ProblemCode {
        /// The request cannot be read: not JSON, a field missing, a hostname or token that is none.
        RequestMalformed => "REQUEST_MALFORMED", 400, "The request cannot be read";
        /// No token, a wrong one, or a call that is only answered over mutual TLS.
        Unauthorized => "UNAUTHORIZED", 401, "The caller does not prove itself as it must";
        /// No such path.
        NotFound => "NOT_FOUND", 404, "There is nothing here";
        /// The method is not offered on this path.
        MethodNotAllowed => "METHOD_NOT_ALLOWED", 405, "This method is not offered here";
        /// The request took too long to arrive or to serve.
        RequestTimeout => "REQUEST_TIMEOUT", 408, "The request took too long";
        /// The agent holds a newer certificate of this hostname.
        GenerationStale => "GENERATION_STALE", 409, "A newer generation is held already";
        /// The same generation was applied with another certificate.
        GenerationConflict => "GENERATION_CONFLICT", 409, "The generation is taken by another certificate";
        /// The body is larger than the agent reads.
        RequestTooLarge => "REQUEST_TOO_LARGE", 413, "The request is too large";
        /// The chain cannot be parsed.
        ChainMalformed => "CHAIN_MALFORMED", 422, "The certificate chain cannot be read";
        /// A certificate is not signed by the next one.
        ChainOutOfOrder => "CHAIN_OUT_OF_ORDER", 422, "The certificate chain is out of order";
        /// The private key cannot be parsed.
        KeyMalformed => "KEY_MALFORMED", 422, "The private key cannot be read";
        /// The private key belongs to another certificate.
        KeyMismatch => "KEY_MISMATCH", 422, "The private key belongs to another certificate";
        /// The certificate is for other names.
        NameNotCovered => "NAME_NOT_COVERED", 422, "The certificate does not cover the hostname";
        /// The certificate is not valid yet.
        NotYetValid => "NOT_YET_VALID", 422, "The certificate is not valid yet";
        /// The certificate is not valid any more.
        Expired => "EXPIRED", 422, "The certificate has expired";
        /// The key is too weak.
        WeakKey => "WEAK_KEY", 422, "The key is too weak";
        /// A signature uses a broken hash.
        WeakSignature => "WEAK_SIGNATURE", 422, "A signature is too weak";
        /// The certificate is not for TLS servers.
        WrongUsage => "WRONG_USAGE", 422, "The certificate is not for TLS servers";
        /// A certificate above the leaf is not an authority's.
        NotAnAuthority => "NOT_AN_AUTHORITY", 422, "An intermediate certificate may not issue others";
        /// The fingerprint is not the chain's.
        FingerprintMismatch => "FINGERPRINT_MISMATCH", 422, "The fingerprint is not the chain's";
        /// Chain or key do not fit into HAProxy's buffer.
        PayloadTooLarge => "PAYLOAD_TOO_LARGE", 422, "The certificate does not fit into HAProxy's buffer";
        /// HAProxy checked the certificate and refused it.
        EdgeRejected => "EDGE_REJECTED", 422, "HAProxy refused the certificate";
        /// HAProxy took the certificate but presents another one.
        EdgeMismatch => "EDGE_MISMATCH", 500, "The edge presents another certificate";
        /// The agent's disk or something else of the agent failed.
        Internal => "INTERNAL", 500, "The agent failed";
        /// HAProxy does not answer on its Runtime API.
        HaproxyUnreachable => "HAPROXY_UNREACHABLE", 503, "HAProxy does not answer";
        /// The agent holds as much as it is allowed to.
        CapacityExhausted => "CAPACITY_EXHAUSTED", 507, "The agent's limit is reached";
        /// A code of a newer agent.
        Unknown => "UNKNOWN", 500, "Unknown problem";
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProblemCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::named(&text).unwrap_or(Self::Unknown))
    }
}

impl CodeMember for ProblemCode {
    type Kind = Self;

    /// Another server's document must not pass for a refusal of the agent.
    const NEEDS_ALL_MEMBERS: bool = true;

    fn of(kind: Self) -> Self {
        kind
    }

    fn kind(&self) -> Option<Self> {
        Some(*self)
    }

    fn read(member: Option<String>) -> Option<Self> {
        member.map(|text| Self::named(&text).unwrap_or(Self::Unknown))
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
