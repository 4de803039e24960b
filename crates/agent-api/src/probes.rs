//! The HTTP probe from an edge.

use std::net::IpAddr;

use dps_domain::Hostname;
use dps_domain::cdn::Cdn;
use dps_domain::probe::ProbeAnswer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /internal/v1/probes`: fetch this token from this address, as a CA would (RFC 8555 §8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeRequest {
    /// The `Host` of the request.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// The only address that is connected to.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: IpAddr,
    /// A challenge token; it stands in the path.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    pub token: String,
    /// The body that makes the answer ours.
    #[schema(max_length = 512)]
    pub expected: String,
}

/// The answer of the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    tag = "answer",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "as `ProbeAnswer` in the domain, field by field"
)]
pub enum ProbeResult {
    Ours,
    WrongBody {
        server: Option<String>,
    },
    Redirect {
        status: u16,
        location: Option<String>,
    },
    Status {
        status: u16,
    },
    Refused,
    Timeout,
    Unroutable,
    Local {
        detail: String,
    },
    Cdn {
        name: String,
        description: String,
    },
    Forbidden {
        kind: String,
    },
    /// An answer that this version does not know.
    #[serde(other)]
    Unknown,
}

impl From<ProbeAnswer> for ProbeResult {
    fn from(answer: ProbeAnswer) -> Self {
        match answer {
            ProbeAnswer::Ours => Self::Ours,
            ProbeAnswer::WrongBody { server } => Self::WrongBody { server },
            ProbeAnswer::Redirect { status, location } => Self::Redirect { status, location },
            ProbeAnswer::Status(status) => Self::Status { status },
            ProbeAnswer::Refused => Self::Refused,
            ProbeAnswer::Timeout => Self::Timeout,
            ProbeAnswer::Unroutable => Self::Unroutable,
            ProbeAnswer::Local { detail } => Self::Local { detail },
            ProbeAnswer::Cdn { name, answer } => Self::Cdn {
                name: name.to_owned(),
                description: answer,
            },
            ProbeAnswer::Forbidden { kind } => Self::Forbidden {
                kind: kind.to_owned(),
            },
        }
    }
}

impl From<ProbeResult> for ProbeAnswer {
    fn from(result: ProbeResult) -> Self {
        match result {
            ProbeResult::Ours => Self::Ours,
            ProbeResult::WrongBody { server } => Self::WrongBody { server },
            ProbeResult::Redirect { status, location } => Self::Redirect { status, location },
            ProbeResult::Status { status } => Self::Status(status),
            ProbeResult::Refused => Self::Refused,
            ProbeResult::Timeout => Self::Timeout,
            ProbeResult::Unroutable => Self::Unroutable,
            ProbeResult::Local { detail } => Self::Local { detail },
            ProbeResult::Cdn { name, description } => match Cdn::by_name(&name) {
                Some(cdn) => Self::Cdn {
                    name: cdn.name,
                    answer: description,
                },
                None => Self::WrongBody { server: Some(name) },
            },
            // The address passed our own rules, so the edge's are a fault of the platform's.
            ProbeResult::Forbidden { kind } => Self::Local {
                detail: format!("it does not connect to {kind} addresses"),
            },
            ProbeResult::Unknown => Self::Local {
                detail: "it gives an answer that this version does not know".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_survives_the_wire_and_a_new_one_blames_nobody() {
        for answer in [
            ProbeAnswer::Ours,
            ProbeAnswer::WrongBody {
                server: Some("nginx".into()),
            },
            ProbeAnswer::Redirect {
                status: 301,
                location: None,
            },
            ProbeAnswer::Status(404),
            ProbeAnswer::Refused,
            ProbeAnswer::Timeout,
            ProbeAnswer::Unroutable,
            ProbeAnswer::Cdn {
                name: "Cloudflare",
                answer: "status 403".into(),
            },
            ProbeAnswer::Local {
                detail: "no descriptor".into(),
            },
        ] {
            let sent = serde_json::to_string(&ProbeResult::from(answer.clone())).unwrap();
            let read: ProbeResult = serde_json::from_str(&sent).unwrap();
            assert_eq!(ProbeAnswer::from(read), answer, "{sent}");
        }
        let new: ProbeResult = serde_json::from_str(r#"{"answer":"teapot","hot":true}"#).unwrap();
        assert!(matches!(new.into(), ProbeAnswer::Local { .. }));
    }
}
