//! Reading answers within bounds, and the error of those that are no success.

use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use super::AgentClient;
use crate::{AgentError, Problem, ProblemCode};

/// Longer answers are given up; a page of 1,000 inventory items has about 250 kB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// An answer, with the turn of its call until the body is read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// `None` for a call that takes no turn.
    pub(super) _turn: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }
}

impl AgentClient {
    pub(super) async fn accept(&self, answer: Answer) -> Result<Answer, AgentError> {
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(answer).await)
        }
    }

    pub(super) async fn refusal(&self, answer: Answer) -> AgentError {
        let agent = self.base.to_string();
        let status = answer.status();
        let problem = match self.body(answer).await {
            Ok(body) => serde_json::from_slice::<Problem>(&body).ok(),
            Err(error) => return error,
        };
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            let detail = problem.map_or_else(
                || "it does not say why".to_owned(),
                |problem| problem.detail,
            );
            return AgentError::Unauthorized { agent, detail };
        }
        problem.map_or_else(
            || {
                self.not_an_agent(&format!(
                    "status {} without a problem document",
                    status.as_u16()
                ))
            },
            |problem| self.refused(problem),
        )
    }

    pub(super) fn refused(&self, problem: Problem) -> AgentError {
        let agent = self.base.to_string();
        let is_the_callers = (400..500).contains(&problem.status);
        match problem {
            problem if problem.code == ProblemCode::EdgeMismatch => AgentError::Mismatch {
                agent,
                detail: problem.detail,
            },
            Problem { code, detail, .. }
                if is_the_callers && code != ProblemCode::RequestTimeout =>
            {
                AgentError::Refused {
                    agent,
                    code,
                    detail,
                }
            }
            Problem { code, detail, .. } => {
                unreachable_because(&self.base, &format!("{code}: {detail}"), None)
            }
        }
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, AgentError> {
        let body = self.body(answer).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.not_an_agent(&format!("the answer cannot be read: {error}")))
    }

    pub(super) async fn body(&self, mut answer: Answer) -> Result<Vec<u8>, AgentError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.response.chunk().await.map_err(|source| {
            unreachable_because(
                &self.base,
                "the answer broke off",
                Some(source.without_url()),
            )
        })? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.not_an_agent("the answer is longer than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn not_an_agent(&self, detail: &str) -> AgentError {
        unreachable_because(&self.base, detail, None)
    }
}

pub(super) fn unreachable_because(
    base: &Url,
    detail: &str,
    source: Option<reqwest::Error>,
) -> AgentError {
    AgentError::Unreachable {
        agent: base.to_string(),
        detail: detail.to_owned(),
        source,
    }
}
