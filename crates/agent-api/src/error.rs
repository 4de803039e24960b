//! Errors between the service and an agent.

use crate::ProblemCode;

/// A call to an agent failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No answer came in time, or the server that answered is in no state to do the work (any 5xx),
    /// or is no agent. Try again later.
    #[error("the agent at {agent} cannot do it now: {detail}")]
    Unreachable {
        /// The agent's base URL.
        agent: String,
        /// The cause in words.
        detail: String,
        /// The HTTP client's error; `None` if it reported none.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The agent checked the request and refused it; the same request will be refused again.
    #[error("the agent at {agent} refused ({code}): {detail}")]
    Refused {
        /// The agent's base URL.
        agent: String,
        /// The agent's code.
        code: ProblemCode,
        /// The agent's sentence.
        detail: String,
    },
    /// The agent does not accept our token or client certificate: an operator must act.
    #[error("the agent at {agent} refuses our credentials: {detail}")]
    Unauthorized {
        /// The agent's base URL.
        agent: String,
        /// The agent's sentence.
        detail: String,
    },
    /// HAProxy took the certificate, but a handshake showed another one; the agent went back to the
    /// one before.
    #[error("the edge of {agent} presents another certificate: {detail}")]
    Mismatch {
        /// The agent's base URL.
        agent: String,
        /// The certificate that it presents, in words.
        detail: String,
    },
}

impl AgentError {
    /// The same failure for another certificate of the same call; what the HTTP client says stays
    /// with the first.
    pub(crate) fn repeated(&self) -> Self {
        match self {
            Self::Unreachable { agent, detail, .. } => Self::Unreachable {
                agent: agent.clone(),
                detail: detail.clone(),
                source: None,
            },
            Self::Refused {
                agent,
                code,
                detail,
            } => Self::Refused {
                agent: agent.clone(),
                code: *code,
                detail: detail.clone(),
            },
            Self::Unauthorized { agent, detail } => Self::Unauthorized {
                agent: agent.clone(),
                detail: detail.clone(),
            },
            Self::Mismatch { agent, detail } => Self::Mismatch {
                agent: agent.clone(),
                detail: detail.clone(),
            },
        }
    }

    /// The stable code for metrics: the agent's own where it refused.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "EDGE_UNREACHABLE",
            Self::Refused { code, .. } => code.as_str(),
            Self::Unauthorized { .. } => "UNAUTHORIZED",
            Self::Mismatch { .. } => "EDGE_MISMATCH",
        }
    }
}
