//! The edges: how they have been answering, what each should hold, and what each was seen to hold.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::FleetStore;
use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_application::ports::store::DeploymentStore;
use dps_application::ports::store::{Deployed, Deployment, Desired, comparison_task};
use dps_application::ports::store::{StoreError, StoredChallenge};
use dps_domain::action::OperatorAction;
use dps_domain::inventory::Entry;
use dps_domain::reachability::Reachability;
use dps_domain::{DomainId, Hostname, Timestamp};

use super::row::Row;
use super::{Content, MemoryStore, State};

impl State {
    fn edge(&mut self, name: &str, now: Timestamp) -> &mut KnownEdge {
        self.edges
            .entry(name.to_owned())
            .or_insert_with(|| KnownEdge {
                name: name.to_owned(),
                reachability: Reachability::default(),
                problem: None,
                first_seen_at: now,
                listed_at: now,
                approved_at: None,
                compared: None,
            })
    }
}

/// The certificate that the row's domain is served with.
fn desired(row: &Row) -> Option<Desired> {
    let serving = row.record.phase.serving()?;
    let stored = row
        .certificates
        .iter()
        .find(|stored| stored.certificate.id == serving)?;
    let details = &stored.certificate.details;
    Some(Desired {
        domain_id: row.record.id,
        certificate_id: serving,
        entry: Entry {
            hostname: row.record.hostname.clone(),
            fingerprint: details.fingerprint.clone(),
            generation: stored.generation,
            not_after: details.not_after,
        },
    })
}

#[async_trait]
impl FleetStore for MemoryStore {
    async fn edges(&self) -> Result<Vec<KnownEdge>, StoreError> {
        Ok(self.state().edges.values().cloned().collect())
    }

    async fn edges_put_listed(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        for name in names {
            let edge = state.edge(name, now);
            edge.listed_at = now;
            edge.approved_at.get_or_insert(now);
        }
        Ok(())
    }

    async fn edges_put_found(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        for name in names {
            state.edge(name, now).listed_at = now;
        }
        Ok(())
    }

    async fn edge_approve(&self, name: &str, action: &OperatorAction) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(edge) = state.edges.get_mut(name) else {
            return Ok(false);
        };
        edge.approved_at.get_or_insert(action.at);
        state.record(action);
        Ok(true)
    }

    async fn edge_mark_failed(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
        problem: &str,
    ) -> Result<Reachability, StoreError> {
        let mut state = self.state();
        let edge = state.edge(name, now);
        edge.reachability = edge.reachability.failed(now, grace);
        edge.problem = Some(problem.to_owned());
        Ok(edge.reachability)
    }

    async fn edge_mark_answered(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Reachability, StoreError> {
        let mut state = self.state();
        let Some(edge) = state.edges.get_mut(name) else {
            return Ok(Reachability::default());
        };
        let before = edge.reachability;
        edge.reachability = before.answered(now, grace);
        if edge.reachability != before {
            edge.problem = None;
        }
        Ok(edge.reachability)
    }

    async fn edge_store_comparison(
        &self,
        name: &str,
        comparison: &Comparison,
    ) -> Result<(), StoreError> {
        if let Some(edge) = self.state().edges.get_mut(name) {
            edge.compared = Some(*comparison);
        }
        Ok(())
    }

    async fn edge_forget(&self, name: &str, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.state();
        let holding =
            |deployments: &Vec<Deployment>| deployments.iter().any(|held| held.edge == name);
        let domains = state.deployments.iter().filter(|(_, held)| holding(held));
        let domains: Vec<DomainId> = domains.map(|(id, _)| *id).take(limit as usize).collect();
        for id in &domains {
            if let Some(held) = state.deployments.get_mut(id) {
                held.retain(|held| held.edge != name);
            }
        }
        if domains.len() < limit as usize {
            state.edges.remove(name);
            state.tasks.remove(&comparison_task(name));
        }
        Ok(u64::try_from(domains.len()).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl DeploymentStore for MemoryStore {
    async fn edge_presents(&self, name: &str) -> Result<u64, StoreError> {
        let state = self.state();
        let held = state.deployments.values().flatten();
        Ok(held.filter(|held| held.edge == name).count() as u64)
    }

    async fn desired(
        &self,
        after: Option<&Hostname>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Desired>, StoreError> {
        let state = self.state();
        let from = after.map_or(Unbounded, Excluded);
        let ids = state.by_hostname.range::<Hostname, _>((from, Unbounded));
        let rows = ids
            .flat_map(|(_, ids)| ids)
            .filter_map(|id| state.rows.get(id));
        let valid = rows
            .filter_map(desired)
            .filter(|desired| desired.entry.not_after > now);
        Ok(valid.take(limit as usize).collect())
    }

    async fn challenges(&self, limit: u32) -> Result<Vec<StoredChallenge>, StoreError> {
        let state = self.state();
        let published = state.rows.values().flat_map(|row| {
            let is_open = |id| row.orders.iter().any(|order| order.id == id && order.open);
            row.challenges
                .iter()
                .filter(move |challenge| is_open(challenge.order_id))
        });
        let mut published: Vec<StoredChallenge> = published.cloned().collect();
        published.sort_by_key(|challenge| challenge.order_id);
        published.truncate(limit as usize);
        Ok(published)
    }

    async fn edge_store_deployed(
        &self,
        edge: &str,
        deployed: &[Deployed],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if self.content == Content::Slim {
            return Ok(());
        }
        for one in deployed
            .iter()
            .filter(|one| state.rows.contains_key(&one.domain_id))
            .collect::<Vec<_>>()
        {
            let held = state.deployments.entry(one.domain_id).or_default();
            let newer = held
                .iter()
                .any(|held| held.edge == edge && held.generation > one.generation);
            if !newer {
                held.retain(|held| held.edge != edge);
                held.push(Deployment {
                    edge: edge.to_owned(),
                    certificate_id: one.certificate_id,
                    generation: one.generation,
                    deployed_at: at,
                });
                held.sort_by(|one, other| one.edge.cmp(&other.edge));
            }
        }
        Ok(())
    }

    async fn edge_forget_deployed(&self, domain: DomainId, edge: &str) -> Result<(), StoreError> {
        if let Some(held) = self.state().deployments.get_mut(&domain) {
            held.retain(|held| held.edge != edge);
        }
        Ok(())
    }

    async fn deployments(&self, domain: DomainId) -> Result<Vec<Deployment>, StoreError> {
        Ok(self
            .state()
            .deployments
            .get(&domain)
            .cloned()
            .unwrap_or_default())
    }
}
