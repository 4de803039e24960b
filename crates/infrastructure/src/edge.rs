//! One edge, reached through its HAProxyDomainAgent.
//!
//! [`AgentEdge`] converts the results of `dps-agent-api`'s client. An agent that does not answer,
//! answers with a 5xx or refuses our credentials is an unreachable edge. A refusal after a check is
//! a rejection. Another certificate in the handshake is a mismatch. A challenge counts as published
//! only when the agent's public path answers it.

use std::net::IpAddr;

use async_trait::async_trait;
use dps_agent_api::{
    AgentClient, AgentError, ApplyRequest, ChallengeToken, ProbeRequest, ProblemCode,
};
use dps_application::ports::Edge;
use dps_application::ports::edge::{
    DeployRequest, EdgeDisposition, EdgeError, EdgeHealth, EdgeProbe, InventoryPage, Presented,
    UndeployResult,
};
use dps_domain::inventory::Entry;
use dps_domain::{Hostname, with_causes};
use tracing::Instrument as _;

use crate::local_fault;
use crate::spans::{self, in_span};

/// An edge, called through its agent.
#[derive(Debug, Clone)]
pub struct AgentEdge {
    client: AgentClient,
    name: String,
}

impl AgentEdge {
    /// The edge whose agent `client` talks to.
    pub fn new(client: AgentClient) -> Self {
        let name = client.base().as_str().trim_end_matches('/').to_owned();
        let client = client.with_headers(dps_traces::add_context);
        Self { client, name }
    }

    /// Makes a call in a span of its own.
    async fn call<T>(
        &self,
        what: &'static str,
        host: Option<&Hostname>,
        call: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        in_span(spans::agent_call(&self.name, what, host), call).await
    }

    fn token(&self, token: &str) -> Result<ChallengeToken, EdgeError> {
        ChallengeToken::parse(token).map_err(|error| EdgeError::Rejected {
            edge: self.name.clone(),
            reason: error.to_string(),
        })
    }

    fn not_proven(&self, detail: &str) -> EdgeError {
        EdgeError::Unreachable {
            edge: self.name.clone(),
            detail: detail.to_owned(),
        }
    }

    fn translate(&self, error: AgentError) -> EdgeError {
        let edge = self.name.clone();
        match error {
            AgentError::Unreachable { detail, source, .. } => {
                if let Some(detail) = source.as_ref().and_then(local_fault::of_call) {
                    return EdgeError::Local { edge, detail };
                }
                EdgeError::Unreachable {
                    edge,
                    // A failure keeps only text, so the causes are written out.
                    detail: match source {
                        Some(source) => format!("{detail}: {}", with_causes(&source)),
                        None => detail,
                    },
                }
            }
            AgentError::Unauthorized { detail, .. } => EdgeError::Unreachable {
                edge,
                detail: format!("it refuses our credentials: {detail}"),
            },
            AgentError::Refused {
                code: ProblemCode::GenerationStale,
                detail,
                ..
            } => EdgeError::Newer { edge, detail },
            AgentError::Refused { code, detail, .. } => EdgeError::Rejected {
                edge,
                reason: format!("{code}: {detail}"),
            },
            AgentError::Mismatch { detail, .. } => EdgeError::Mismatch { edge, detail },
        }
    }
}

fn apply_request(request: &DeployRequest) -> ApplyRequest {
    ApplyRequest {
        hostname: request.hostname.clone(),
        chain_pem: request.chain_pem.clone(),
        private_key_pem: request.key_pem.clone(),
        fingerprint: request.fingerprint.clone(),
        generation: request.generation,
    }
}

#[async_trait]
impl Edge for AgentEdge {
    fn name(&self) -> &str {
        &self.name
    }

    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError> {
        let token = self.token(token)?;
        let publish = self.client.publish_challenge(&token, key_authorization);
        let published = self.call("publish_challenge", None, publish).await;
        published.map_err(|error| self.translate(error))?;
        let read = self.client.read_challenge(&token);
        let read = self.call("read_challenge", None, read).await;
        match read.map_err(|error| self.translate(error))? {
            Some(answer) if answer.trim_ascii_end() == key_authorization.trim_ascii_end() => Ok(()),
            Some(_) => {
                Err(self.not_proven("the public path answers the challenge with another text"))
            }
            None => {
                Err(self.not_proven("the public path does not know the challenge just published"))
            }
        }
    }

    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError> {
        let Ok(token) = ChallengeToken::parse(token) else {
            // Such a token cannot have been published.
            return Ok(());
        };
        let withdraw = self.client.withdraw_challenge(&token);
        let withdrawn = self.call("withdraw_challenge", None, withdraw).await;
        withdrawn.map_err(|error| self.translate(error))
    }

    async fn deploy(&self, request: &DeployRequest) -> Result<(), EdgeError> {
        let body = apply_request(request);
        let apply = self.client.apply(&body);
        let applied = self.call("deploy", Some(&request.hostname), apply).await;
        applied.map(drop).map_err(|error| self.translate(error))
    }

    async fn deploy_batch(&self, requests: &[DeployRequest]) -> Vec<Result<(), EdgeError>> {
        let requests: Vec<ApplyRequest> = requests.iter().map(apply_request).collect();
        let mut local = None;
        let translate = |result: Result<_, AgentError>| {
            // A call that failed as a whole has its cause with the first certificate only.
            let is_repeated = matches!(&result, Err(AgentError::Unreachable { source: None, .. }));
            let error = match (result, &local) {
                (Ok(_), _) => return Ok(()),
                (Err(_), Some(local)) if is_repeated => EdgeError::clone(local),
                (Err(error), _) => self.translate(error),
            };
            if error.disposition() == EdgeDisposition::Local {
                local = Some(error.clone());
            }
            Err(error)
        };
        let apply = self.client.apply_batch(&requests);
        let span = spans::agent_call(&self.name, "deploy_batch", None);
        let results = apply.instrument(span.clone()).await;
        if results.iter().any(Result::is_err) {
            spans::record_error(&span);
        }
        results.into_iter().map(translate).collect()
    }

    async fn undeploy(
        &self,
        hostname: &Hostname,
        up_to: Option<u64>,
    ) -> Result<UndeployResult, EdgeError> {
        let remove = async {
            match up_to {
                Some(generation) => self.client.remove_generation(hostname, generation).await,
                None => self.client.remove(hostname).await,
            }
        };
        let removed = self.call("undeploy", Some(hostname), remove).await;
        match removed.map_err(|error| self.translate(error)) {
            Ok(()) => Ok(UndeployResult::Done),
            Err(error) => match error.disposition() {
                EdgeDisposition::Superseded => Ok(UndeployResult::NewerKept),
                EdgeDisposition::Local
                | EdgeDisposition::Unreachable
                | EdgeDisposition::Refused => Err(error),
            },
        }
    }

    async fn probe(
        &self,
        host: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> Result<EdgeProbe, EdgeError> {
        let request = ProbeRequest {
            hostname: host.clone(),
            address,
            token: token.to_owned(),
            expected: expected.to_owned(),
        };
        let probe = self.client.probe(&request);
        match self.call("probe", Some(host), probe).await {
            Ok(result) => Ok(EdgeProbe::Answered(result.into())),
            Err(AgentError::Refused {
                code: ProblemCode::NotFound,
                ..
            }) => Ok(EdgeProbe::Unsupported),
            Err(error) => Err(self.translate(error)),
        }
    }

    async fn presented(&self, hostname: &Hostname) -> Result<Presented, EdgeError> {
        let presented = self.client.presented(hostname);
        match self.call("presented", Some(hostname), presented).await {
            Ok(seen) => Ok(match seen.fingerprint {
                Some(fingerprint) => Presented::Certificate(fingerprint),
                None => Presented::Nothing(seen.problem.unwrap_or_default()),
            }),
            Err(AgentError::Refused {
                code: ProblemCode::NotFound,
                ..
            }) => Ok(Presented::Unsupported),
            Err(error) => Err(self.translate(error)),
        }
    }

    async fn check(&self) -> Result<EdgeHealth, EdgeError> {
        // Without a span: every few seconds, for each edge, beside all steps.
        let health = self.client.health().await;
        let health = health.map_err(|error| self.translate(error))?;
        if !health.haproxy.reachable {
            let problem = health.haproxy.problem.as_deref();
            return Err(self.not_proven(problem.unwrap_or("its HAProxy does not answer")));
        }
        Ok(EdgeHealth {
            started_at: health.started_at,
        })
    }

    async fn inventory(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<InventoryPage, EdgeError> {
        let read = self.client.inventory(cursor, limit);
        let page = self.call("inventory", None, read).await;
        let page = page.map_err(|error| self.translate(error))?;
        let entries = page.items.into_iter().map(|item| Entry {
            hostname: item.hostname,
            fingerprint: item.fingerprint,
            generation: item.generation,
            not_after: item.not_after,
        });
        Ok(InventoryPage {
            entries: entries.collect(),
            next: page.next_cursor,
            digest: page.digest,
        })
    }
}
