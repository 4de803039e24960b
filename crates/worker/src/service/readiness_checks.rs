//! The checks of readiness, one per party that the service depends on.

mod command;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_application::Service;
use dps_domain::ownership::RequireProof;
use dps_domain::{Status, with_causes};
use dps_host::mutual_tls::ClientTls;

pub(crate) use self::command::{of_ca, of_command};
use crate::http::HealthCheck;

/// Every check of the service; that of our own certificate only with mutual TLS.
pub(super) fn all(service: &Service, agent_tls: Option<&ClientTls>) -> Vec<Arc<dyn HealthCheck>> {
    let mut checks: Vec<Arc<dyn HealthCheck>> = vec![
        Arc::new(StoreAnswers(service.clone())),
        Arc::new(CabinetAnswers(service.clone())),
        Arc::new(IntakeGoesOn(service.clone())),
        Arc::new(EdgesAnswer(service.clone())),
        Arc::new(ResolversAnswer(service.clone())),
        Arc::new(ProofsArePossible(service.clone())),
    ];
    if let Some(tls) = agent_tls {
        checks.push(Arc::new(OurCertificate(tls.clone(), service.clone())));
    }
    checks
}

/// Without the store nothing can be done.
struct StoreAnswers(Service);

#[async_trait]
impl HealthCheck for StoreAnswers {
    fn name(&self) -> &'static str {
        "store"
    }

    fn is_required(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        self.0
            .store
            .ping()
            .await
            .map_err(|error| with_causes(&error))
    }
}

/// Without the Cabinet no domain comes in and no report goes out, but renewals go on: shown, not
/// required.
struct CabinetAnswers(Service);

#[async_trait]
impl HealthCheck for CabinetAnswers {
    fn name(&self) -> &'static str {
        "cabinet"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let page = self.0.cabinet.list(Status::PendingRemoval, None).await;
        page.map(drop).map_err(|error| error.to_string())
    }
}

/// Passes of the intake that may fail before it is shown.
const LATE_PASSES: u32 = 10;
/// An intake is not called late before this.
const LATE: Duration = Duration::from_secs(5 * 60);

/// Domains that the Cabinet offers but that are not taken in, or not removed: shown, not required.
struct IntakeGoesOn(Service);

#[async_trait]
impl HealthCheck for IntakeGoesOn {
    fn name(&self) -> &'static str {
        "intake"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let late_after = (self.0.policy.intake_interval * LATE_PASSES).max(LATE);
        let status = self.0.cabinet_health.status();
        status.check(self.0.now(), late_after)
    }
}

/// An unreachable edge is waited for, then left out and brought up to date when it returns: shown,
/// not required.
struct EdgesAnswer(Service);

#[async_trait]
impl HealthCheck for EdgesAnswer {
    fn name(&self) -> &'static str {
        "edges"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let members = self.0.fleet.members();
        let waiting = self.0.fleet.waiting();
        if members.is_empty() && waiting.is_empty() {
            return Err("no edge is configured or found".into());
        }
        let known = self
            .0
            .store
            .edges()
            .await
            .map_err(|error| with_causes(&error))?;
        let unreachable: Vec<String> = known
            .iter()
            .filter(|known| known.reachability.is_failing())
            .filter(|known| members.iter().any(|edge| edge.name() == known.name))
            .map(|known| known.problem.clone().unwrap_or_else(|| known.name.clone()))
            .collect();
        let mut problems = Vec::new();
        if !unreachable.is_empty() {
            let (count, all) = (unreachable.len(), members.len());
            problems.push(format!(
                "{count} of {all} edges: {}",
                unreachable.join("; ")
            ));
        }
        if !waiting.is_empty() {
            problems.push(format!(
                "wait for `dps edges approve`: {}",
                waiting.join(", ")
            ));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(problems.join("; "))
    }
}

/// Without a target per domain, a CNAME names no tenant: contested names need a TXT record. Without
/// a Cabinet that keeps the record, customers do not read it in its field. Shown, not required.
struct ProofsArePossible(Service);

#[async_trait]
impl HealthCheck for ProofsArePossible {
    fn name(&self) -> &'static str {
        "ownership"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let policy = &self.0.policy.ownership;
        if policy.require == RequireProof::Never {
            return Ok(());
        }
        let mut problems = Vec::new();
        if policy.unique_targets.is_empty() {
            problems.push(
                "domains share their CNAME target, so a CNAME does not tell whose a hostname is; \
                 give each domain a target of its own, as Cabinet:CnameTarget with {random} does, \
                 and name the suffix in Workers:DomainVerification:UniqueTargets",
            );
        }
        if self.0.cabinet_health.status().drops_proofs {
            problems.push(
                "the Cabinet accepted a report and did not keep its ownershipVerification, so the \
                 customer reads the TXT record in lastErrorMessage alone; let the Cabinet store \
                 the field, and show it to the customer and in the answer to the report",
            );
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(problems.join("; "))
    }
}

/// A resolver that does not answer is passed over while another works: shown, not required.
struct ResolversAnswer(Service);

#[async_trait]
impl HealthCheck for ResolversAnswer {
    fn name(&self) -> &'static str {
        "resolvers"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let all = self.0.resolvers.status();
        let problems: Vec<String> = all
            .iter()
            .filter_map(|resolver| {
                let problem = resolver.problem.as_ref()?;
                Some(format!("{}: {problem}", resolver.address))
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} of {} resolvers: {}",
            problems.len(),
            all.len(),
            problems.join("; ")
        ))
    }
}

/// From so long before its end, the certificate that we show to agents is reported.
const WARN_BEFORE_EXPIRY: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificate that we show to agents: shown and not required, since it works until the moment
/// that it does not.
struct OurCertificate(ClientTls, Service);

#[async_trait]
impl HealthCheck for OurCertificate {
    fn name(&self) -> &'static str {
        "agentTls"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let state = self.0.state();
        if let Some(problem) = state.problem {
            return Err(format!(
                "the changed files of HAProxyAgent:Tls cannot be used: {problem}"
            ));
        }
        if self.1.now() + WARN_BEFORE_EXPIRY < state.expires_at {
            return Ok(());
        }
        Err(format!(
            "the certificate of HAProxyAgent:Tls is valid until {}; renew it with `dps pki renew`",
            state.expires_at
        ))
    }
}
