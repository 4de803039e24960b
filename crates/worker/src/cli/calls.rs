//! The calls of the commands: to the store, or to the admin API of a server.
//!
//! A command reads and acts through [`AdminCalls`] and prints the document that it gets, so its
//! output is the same in both ways.

mod server;
mod store;

use async_trait::async_trait;
use dps_admin_api::{
    Acted, Activities, Approved, CaAccount, ComparisonDue, Count, CountBy, DomainDetail, Domains,
    Edges, Explanation, Fleet, Issuance, Job, JobPreview, Jobs, LiftRequest, Lifted, Limits,
    RedeliverRequest, Redelivering, Removals, Resumed, RevocationPreview, TenantDetail, Tenants,
    WebhookReceivers,
};
use dps_application::operator::Target;
use dps_application::operator::jobs::JobRequest;
use dps_domain::fleet::DomainFilter;
use dps_domain::job::DomainAction;
use dps_domain::pause::PauseScope;
use dps_domain::revocation::RevocationReason;
use dps_domain::{ActionId, Hostname, JobId};

pub use self::server::{Access, Server, ServerArgs};
pub use self::store::StoreCalls;

/// The calls, by the names of the admin API. `reason` is the reason for the history.
#[async_trait]
pub trait AdminCalls: Sync {
    /// A page of the domains of a filter, after a place.
    async fn domains(
        &self,
        filter: &DomainFilter,
        after: Option<&str>,
        limit: u32,
    ) -> anyhow::Result<Domains>;
    /// The number of domains of a filter.
    async fn count(&self, filter: &DomainFilter, by: Option<CountBy>) -> anyhow::Result<Count>;
    /// A domain with this many lines of its history.
    async fn domain(&self, of: Target<'_>, events: u32) -> anyhow::Result<DomainDetail>;
    /// Where a domain stands.
    async fn explain(&self, host: &Hostname) -> anyhow::Result<Explanation>;
    /// Retries, renews or rechecks a domain.
    async fn act(
        &self,
        action: DomainAction,
        of: Target<'_>,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted>;
    /// The certificate that a revocation would be about.
    async fn preview_revocation(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
    ) -> anyhow::Result<RevocationPreview>;
    /// Requests the revocation of a certificate.
    async fn revoke(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted>;
    /// The effect that a job would have.
    async fn preview_job(&self, request: &JobRequest) -> anyhow::Result<JobPreview>;
    /// Begins a job of at most as many domains as were confirmed.
    async fn begin_job(
        &self,
        request: &JobRequest,
        confirmed: u64,
        reason: Option<&str>,
    ) -> anyhow::Result<Job>;
    /// A job.
    async fn job(&self, id: JobId) -> anyhow::Result<Job>;
    /// A page of jobs.
    async fn jobs(&self, before: Option<JobId>, limit: u32) -> anyhow::Result<Jobs>;
    /// Cancels a job.
    async fn cancel_job(&self, id: JobId, reason: Option<&str>) -> anyhow::Result<Job>;
    /// The fleet in numbers.
    async fn fleet(&self) -> anyhow::Result<Fleet>;
    /// The state of issuance.
    async fn issuance(&self) -> anyhow::Result<Issuance>;
    /// Pauses issuance.
    async fn pause(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Issuance>;
    /// Ends a pause.
    async fn resume(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Resumed>;
    /// The edges.
    async fn edges(&self) -> anyhow::Result<Edges>;
    /// Approves an edge.
    async fn approve_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<Approved>;
    /// Makes the comparison of an edge due.
    async fn compare_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<ComparisonDue>;
    /// A page of limits, after a place.
    async fn limits(&self, after: &str) -> anyhow::Result<Limits>;
    /// Lifts a limit.
    async fn lift(&self, request: &LiftRequest) -> anyhow::Result<Lifted>;
    /// The brake on removals.
    async fn removals(&self) -> anyhow::Result<Removals>;
    /// Approves all removals for a day.
    async fn approve_removals(&self, reason: Option<&str>) -> anyhow::Result<Removals>;
    /// A page of operators' actions.
    async fn activity(&self, before: Option<ActionId>, limit: u32) -> anyhow::Result<Activities>;
    /// The receivers of events.
    async fn webhooks(&self) -> anyhow::Result<WebhookReceivers>;
    /// Requests that events be delivered again.
    async fn redeliver(&self, request: &RedeliverRequest) -> anyhow::Result<Redelivering>;
    /// A page of tenants, after a place.
    async fn tenants(&self, after: &str, limit: u32) -> anyhow::Result<Tenants>;
    /// A tenant.
    async fn tenant(&self, id: &str) -> anyhow::Result<TenantDetail>;
    /// The account at the CA.
    async fn account(&self) -> anyhow::Result<CaAccount>;
}
