//! The calls to the admin API of a server.

mod http;
mod options;

use std::time::Duration;

use async_trait::async_trait;
use dps_admin_api::{
    Acted, Action, Activities, ApproveRequest, Approved, CaAccount, CompareRequest, ComparisonDue,
    Count, CountBy, Diagnosis, DomainDetail, Domains, Edges, Explanation, Fleet, Issuance, Job,
    JobPreview, Jobs, LiftRequest, Lifted, Limits, PauseRequest, RedeliverRequest, Redelivering,
    Removals, Resumed, RevocationPreview, RevokeRequest, TenantDetail, Tenants, WebhookReceivers,
};
use dps_application::operator::Target;
use dps_application::operator::jobs::JobRequest;
use dps_domain::fleet::DomainFilter;
use dps_domain::job::DomainAction;
use dps_domain::pause::PauseScope;
use dps_domain::revocation::RevocationReason;
use dps_domain::{ActionId, Hostname, JobId};
use serde_json::json;

pub use self::http::Access;
use self::http::Http;
pub use self::options::ServerArgs;
use super::AdminCalls;
use crate::documents::{filter, issuance, jobs};

/// Limits of a page.
const PAGE: &str = "1000";
/// Longest diagnosis, and the time to send it.
const DIAGNOSIS: Duration = Duration::from_secs(40);

/// Calls to the admin API of a server.
#[derive(Debug)]
pub struct Server(Http);

/// The claim of a hostname, as the query of a call names it.
fn claim(of: Target<'_>) -> Vec<(&'static str, String)> {
    let id = of.claim.id.map(|id| ("id", id.to_string()));
    let tenant = of.claim.tenant.map(|tenant| ("tenant", tenant.to_owned()));
    id.into_iter().chain(tenant).collect()
}

fn action(reason: Option<&str>) -> Action {
    Action {
        reason: reason.map(str::to_owned),
    }
}

fn pause(scope: &PauseScope, reason: Option<&str>) -> PauseRequest {
    let (scope, subject) = issuance::wire_scope(scope);
    PauseRequest {
        scope,
        subject,
        reason: reason.map(str::to_owned),
    }
}

impl Server {
    /// Reads the files. Nothing is sent yet.
    ///
    /// # Errors
    /// The option whose file is missing or cannot be used.
    pub fn open(access: Access) -> anyhow::Result<Self> {
        Ok(Self(Http::open(access)?))
    }

    /// Diagnoses a domain now.
    pub async fn diagnose(&self, host: &Hostname) -> anyhow::Result<Diagnosis> {
        let path = ["domains", host.as_str(), "diagnose"];
        self.0.post_within(&path, &[], &json!({}), DIAGNOSIS).await
    }
}

#[async_trait]
impl AdminCalls for Server {
    async fn domains(
        &self,
        wanted: &DomainFilter,
        after: Option<&str>,
        limit: u32,
    ) -> anyhow::Result<Domains> {
        let place = [("after", after), ("limit", Some(&*limit.to_string()))];
        self.0
            .get(&["domains"], &(filter::wire(wanted), place))
            .await
    }

    async fn count(&self, wanted: &DomainFilter, by: Option<CountBy>) -> anyhow::Result<Count> {
        let by = [("by", by)];
        self.0
            .get(&["domains", "count"], &(filter::wire(wanted), by))
            .await
    }

    async fn domain(&self, of: Target<'_>, events: u32) -> anyhow::Result<DomainDetail> {
        let query = (claim(of), [("events", events)]);
        self.0.get(&["domains", of.hostname.as_str()], &query).await
    }

    async fn explain(&self, host: &Hostname) -> anyhow::Result<Explanation> {
        self.0
            .get(&["domains", host.as_str(), "explain"], &((), ()))
            .await
    }

    async fn act(
        &self,
        what: DomainAction,
        of: Target<'_>,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted> {
        let path = ["domains", of.hostname.as_str(), what.as_str()];
        self.0.post(&path, &claim(of), &action(reason)).await
    }

    async fn preview_revocation(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
    ) -> anyhow::Result<RevocationPreview> {
        let path = ["domains", of.hostname.as_str(), "revocation"];
        let for_ca = [("revocationReason", for_ca.as_str())];
        self.0.get(&path, &(claim(of), for_ca)).await
    }

    async fn revoke(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted> {
        let path = ["domains", of.hostname.as_str(), "revoke"];
        let request = revocation(for_ca, reason);
        self.0.post(&path, &claim(of), &request).await
    }

    async fn preview_job(&self, request: &JobRequest) -> anyhow::Result<JobPreview> {
        let request = jobs::wire_request(request, None, None);
        self.0.post(&["jobs", "preview"], &[], &request).await
    }

    async fn begin_job(
        &self,
        request: &JobRequest,
        confirmed: u64,
        reason: Option<&str>,
    ) -> anyhow::Result<Job> {
        let request = jobs::wire_request(request, Some(confirmed), reason);
        self.0.post(&["jobs"], &[], &request).await
    }

    async fn job(&self, id: JobId) -> anyhow::Result<Job> {
        self.0.get(&["jobs", &id.to_string()], &((), ())).await
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> anyhow::Result<Jobs> {
        let before = before.map(|id| id.to_string());
        self.0
            .get(&["jobs"], &([("before", before)], [("limit", limit)]))
            .await
    }

    async fn cancel_job(&self, id: JobId, reason: Option<&str>) -> anyhow::Result<Job> {
        let path = ["jobs", &id.to_string(), "cancel"];
        self.0.post(&path, &[], &action(reason)).await
    }

    async fn fleet(&self) -> anyhow::Result<Fleet> {
        self.0.get(&["fleet"], &((), ())).await
    }

    async fn issuance(&self) -> anyhow::Result<Issuance> {
        self.0.get(&["issuance"], &((), ())).await
    }

    async fn pause(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Issuance> {
        self.0
            .post(&["issuance", "pause"], &[], &pause(scope, reason))
            .await
    }

    async fn resume(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Resumed> {
        self.0
            .post(&["issuance", "resume"], &[], &pause(scope, reason))
            .await
    }

    async fn edges(&self) -> anyhow::Result<Edges> {
        self.0.get(&["edges"], &((), ())).await
    }

    async fn approve_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<Approved> {
        let request = ApproveRequest {
            name: url.to_owned(),
            reason: reason.map(str::to_owned),
        };
        self.0.post(&["edges", "approve"], &[], &request).await
    }

    async fn compare_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<ComparisonDue> {
        let request = CompareRequest {
            name: url.to_owned(),
            reason: reason.map(str::to_owned),
        };
        self.0.post(&["edges", "compare"], &[], &request).await
    }

    async fn limits(&self, after: &str) -> anyhow::Result<Limits> {
        let after = Some(after).filter(|after| !after.is_empty());
        self.0
            .get(&["limits"], &([("after", after)], [("limit", PAGE)]))
            .await
    }

    async fn lift(&self, request: &LiftRequest) -> anyhow::Result<Lifted> {
        self.0.post(&["limits", "lift"], &[], request).await
    }

    async fn removals(&self) -> anyhow::Result<Removals> {
        self.0.get(&["removals"], &((), ())).await
    }

    async fn approve_removals(&self, reason: Option<&str>) -> anyhow::Result<Removals> {
        self.0
            .post(&["removals", "approve"], &[], &action(reason))
            .await
    }

    async fn activity(&self, before: Option<ActionId>, limit: u32) -> anyhow::Result<Activities> {
        let before = before.map(|id| id.to_string());
        self.0
            .get(&["activity"], &([("before", before)], [("limit", limit)]))
            .await
    }

    async fn webhooks(&self) -> anyhow::Result<WebhookReceivers> {
        self.0.get(&["webhooks"], &((), ())).await
    }

    async fn redeliver(&self, request: &RedeliverRequest) -> anyhow::Result<Redelivering> {
        self.0.post(&["webhooks", "redeliver"], &[], request).await
    }

    async fn tenants(&self, after: &str, limit: u32) -> anyhow::Result<Tenants> {
        let after = Some(after).filter(|after| !after.is_empty());
        self.0
            .get(&["tenants"], &([("after", after)], [("limit", limit)]))
            .await
    }

    async fn tenant(&self, id: &str) -> anyhow::Result<TenantDetail> {
        self.0.get(&["tenants", id], &((), ())).await
    }

    async fn account(&self) -> anyhow::Result<CaAccount> {
        self.0.get(&["ca", "account"], &((), ())).await
    }
}

fn revocation(for_ca: RevocationReason, reason: Option<&str>) -> RevokeRequest {
    RevokeRequest {
        revocation_reason: for_ca.as_str().to_owned(),
        reason: reason.map(str::to_owned),
    }
}
