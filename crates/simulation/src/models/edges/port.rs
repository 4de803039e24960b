//! The edges as the service sees them, and the HTTP probe that is answered by them.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dps_application::ports::edge::{
    DeployRequest, EdgeError, EdgeHealth, InventoryPage, UndeployResult,
};
use dps_application::ports::{Edge, HttpProbe};
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;

use super::{EdgeFault, EdgeFleet, EdgeModel, Served};
use crate::models::tally::locked;

/// One edge as the service sees it.
#[derive(Debug)]
pub struct EdgePort {
    fleet: Arc<EdgeFleet>,
    index: usize,
}

impl EdgePort {
    /// Each edge of the fleet.
    pub fn all(fleet: &Arc<EdgeFleet>) -> Vec<Arc<dyn Edge>> {
        let port = |index| {
            let fleet = Arc::clone(fleet);
            Arc::new(Self { fleet, index }) as Arc<dyn Edge>
        };
        (0..fleet.edges.len()).map(port).collect()
    }

    fn edge(&self) -> &EdgeModel {
        &self.fleet.edges[self.index]
    }

    async fn call<T>(&self, effect: impl FnOnce() -> Result<T, EdgeError>) -> Result<T, EdgeError> {
        let answer = self.edge().line.call(effect).await;
        answer.unwrap_or_else(|| {
            Err(EdgeError::Unreachable {
                edge: self.edge().name.clone(),
                detail: "no answer".into(),
            })
        })
    }
}

#[async_trait]
impl Edge for EdgePort {
    fn name(&self) -> &str {
        &self.edge().name
    }

    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError> {
        let fault = locked(&self.edge().state).fault;
        if fault == Some(EdgeFault::Hanging) {
            std::future::pending::<()>().await;
        }
        self.call(|| {
            let mut state = locked(&self.edge().state);
            state
                .challenges
                .insert(token.to_owned(), key_authorization.to_owned());
            Ok(())
        })
        .await
    }

    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError> {
        self.call(|| {
            locked(&self.edge().state).challenges.remove(token);
            Ok(())
        })
        .await
    }

    async fn deploy(&self, request: &DeployRequest) -> Result<(), EdgeError> {
        let result = self.call(|| self.fleet.deploy(self.index, request)).await;
        if matches!(result, Err(EdgeError::Newer { .. })) {
            self.fleet.refused_as_older.count();
        }
        result
    }

    /// Applies a batch of a reconciliation. A deployment may have overtaken it, so a certificate
    /// refused as older is not counted as a fault.
    async fn deploy_batch(&self, requests: &[DeployRequest]) -> Vec<Result<(), EdgeError>> {
        let deploy = |request| self.fleet.deploy(self.index, request);
        let results = self
            .call(|| Ok(requests.iter().map(deploy).collect()))
            .await;
        results.unwrap_or_else(|error| requests.iter().map(|_| Err(error.clone())).collect())
    }

    async fn undeploy(
        &self,
        hostname: &Hostname,
        up_to: Option<u64>,
    ) -> Result<UndeployResult, EdgeError> {
        self.call(|| {
            let number = self.fleet.names.book.number(hostname.as_str());
            let held = number.and_then(|number| {
                self.fleet
                    .served(self.index, number)
                    .map(|held| (number, held))
            });
            let Some((number, held)) = held else {
                return Ok(UndeployResult::Done);
            };
            if up_to.is_some_and(|up_to| held.generation > up_to) {
                return Ok(UndeployResult::NewerKept);
            }
            self.fleet
                .replace(self.index, number, hostname, Served::default());
            Ok(UndeployResult::Done)
        })
        .await
    }

    async fn check(&self) -> Result<EdgeHealth, EdgeError> {
        let health = || EdgeHealth {
            started_at: Some(locked(&self.edge().state).started_at),
        };
        self.call(|| Ok(health())).await
    }

    async fn inventory(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<InventoryPage, EdgeError> {
        self.call(|| Ok(self.fleet.inventory(self.index, cursor, limit)))
            .await
    }
}

/// Fetches tokens from the edges the way the service does it from outside.
#[derive(Debug)]
pub struct ProbeModel(pub Arc<EdgeFleet>);

#[async_trait]
impl HttpProbe for ProbeModel {
    async fn probe(
        &self,
        _: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        let fleet = &self.0;
        let mut edges = fleet
            .names
            .edges_at(address)
            .map(|index| &fleet.edges[index]);
        let first = edges.clone().next();
        let Some(edge) = edges.find(|edge| edge.is_available()).or(first) else {
            return ProbeAnswer::Refused;
        };
        let answer = edge
            .line
            .call(|| fleet.answers_at(address, token, expected));
        match answer.await {
            Some(true) => ProbeAnswer::Ours,
            Some(false) => ProbeAnswer::Status(404),
            None => ProbeAnswer::Refused,
        }
    }
}
