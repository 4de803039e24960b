//! The calls to the store itself, as the person at the command line.

use anyhow::Context as _;
use async_trait::async_trait;
use dps_admin_api::{
    Acted, Activities, Approved, CaAccount, ComparisonDue, Count, CountBy, DomainDetail, Domains,
    Edges, Explanation, Fleet, Issuance, Job, JobPreview, Jobs, LiftRequest, Lifted, Limits,
    RedeliverRequest, Redelivering, Removals, Resumed, RevocationPreview, TenantDetail, Tenants,
    WebhookReceivers,
};
use dps_application::operator::jobs::{self, JobRequest};
use dps_application::operator::{self, Target, fleet, pauses};
use dps_application::ports::{CertificateStore, Clock as _};
use dps_application::{Policy, workers};
use dps_domain::fleet::{DomainFilter, Place};
use dps_domain::job::DomainAction;
use dps_domain::limits::LimitKind;
use dps_domain::pause::PauseScope;
use dps_domain::record::operator::Requester;
use dps_domain::revocation::RevocationReason;
use dps_domain::{ActionId, Hostname, JobId, Timestamp};

use super::AdminCalls;
use crate::config::{Replica, Settings};
use crate::documents::fleet::{self as counts, By};
use crate::documents::{self, Reader, acted, activity, edges, issuance, limits, webhooks};
use crate::system::SystemClock;

/// Limits of a page.
const PAGE: u32 = 1_000;

/// Calls to the store of the settings.
#[derive(Debug)]
pub struct StoreCalls<'a, S> {
    store: &'a S,
    settings: &'a Settings,
    policy: Policy,
    /// The person that runs the command.
    who: String,
}

impl<'a, S: CertificateStore> StoreCalls<'a, S> {
    /// Calls to this store.
    pub fn new(store: &'a S, settings: &'a Settings) -> Self {
        Self {
            store,
            settings,
            policy: settings.policy(),
            who: Replica::operator(),
        }
    }

    fn by<'b>(&'b self, reason: Option<&'b str>) -> Requester<'b> {
        Requester {
            reason,
            ..Requester::from(self.who.as_str())
        }
    }

    /// Reads domains. Warnings go to standard error, so that a program can read the rest.
    fn reader(&self) -> Reader<'_> {
        Reader {
            store: self.store,
            policy: &self.policy,
            ca: &self.settings.lets_encrypt,
            now: now(),
            warn: &|host, problem| {
                eprintln!("{host}: the renewal information cannot be read: {problem}");
            },
        }
    }

    async fn check_edge(&self, filter: &DomainFilter) -> anyhow::Result<()> {
        let unknown = documents::filter::unknown_edge(self.store, filter).await?;
        Ok(unknown.map_or(Ok(()), Err)?)
    }

    async fn shown_removals(&self) -> anyhow::Result<Removals> {
        let (removed_today, approved_until) = workers::removals(self.store, now()).await?;
        Ok(Removals {
            removed_today,
            brake_percent: self.policy.removal_brake_percent,
            approved_until,
        })
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn unknown(host: &Hostname) -> String {
    format!("the service does not know the domain {host}; domains are created in the Cabinet")
}

#[async_trait]
impl<S: CertificateStore> AdminCalls for StoreCalls<'_, S> {
    async fn domains(
        &self,
        filter: &DomainFilter,
        after: Option<&str>,
        limit: u32,
    ) -> anyhow::Result<Domains> {
        self.check_edge(filter).await?;
        let now = now();
        let plan = filter.plan(now);
        let after = after.map(|text| Place::parse(text, filter, &plan).context("--after"));
        let page = fleet::list(self.store, filter, now, after.transpose()?, limit).await?;
        Ok(Domains {
            items: self.reader().page(&page.domains).await?,
            next: page.next.map(|next| next.to_text(filter)),
        })
    }

    async fn count(&self, filter: &DomainFilter, by: Option<CountBy>) -> anyhow::Result<Count> {
        self.check_edge(filter).await?;
        Ok(counts::counted(self.store, filter, now(), by.map(By::of)).await?)
    }

    async fn domain(&self, of: Target<'_>, events: u32) -> anyhow::Result<DomainDetail> {
        let found = self.reader().find(of, events).await?;
        let found = found.with_context(|| unknown(of.hostname))?;
        let (configured, now) = (&self.settings.haproxy_agent, now());
        let has_left =
            |edge: &str| found.has_left(edge, |known| edges::has_left(known, configured, now));
        Ok(found.document(has_left))
    }

    async fn explain(&self, host: &Hostname) -> anyhow::Result<Explanation> {
        let rules = (self.settings, &self.policy);
        let found = documents::explanation(self.store, rules, host, now()).await?;
        found.with_context(|| unknown(host))
    }

    async fn act(
        &self,
        action: DomainAction,
        of: Target<'_>,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted> {
        let (store, by) = (self.store, self.by(reason));
        let require = self.policy.ownership.require;
        let record = match action {
            DomainAction::Retry => operator::retry(store, by, now(), of, require).await?,
            DomainAction::Renew => operator::renew(store, by, now(), of).await?,
            DomainAction::Recheck => operator::recheck(store, by, now(), of).await?,
            other => anyhow::bail!("{} is not such an action", other.as_str()),
        };
        Ok(acted(&record))
    }

    async fn preview_revocation(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
    ) -> anyhow::Result<RevocationPreview> {
        let found = operator::revoke::preview(self.store, now(), of, for_ca).await?;
        Ok(documents::revocation(&found, for_ca))
    }

    async fn revoke(
        &self,
        of: Target<'_>,
        for_ca: RevocationReason,
        reason: Option<&str>,
    ) -> anyhow::Result<Acted> {
        let by = self.by(reason);
        let record = operator::revoke::revoke(self.store, by, now(), of, for_ca).await?;
        Ok(acted(&record))
    }

    async fn preview_job(&self, request: &JobRequest) -> anyhow::Result<JobPreview> {
        self.check_edge(&request.filter).await?;
        let limits = self.settings.lets_encrypt.effective_limits();
        let orders = limits.get(LimitKind::NewOrders);
        let found = jobs::preview(self.store, now(), request, orders).await?;
        Ok(documents::jobs::wire_preview(request, &found))
    }

    async fn begin_job(
        &self,
        request: &JobRequest,
        confirmed: u64,
        reason: Option<&str>,
    ) -> anyhow::Result<Job> {
        let by = self.by(reason);
        let job = jobs::begin(self.store, by, now(), request, confirmed).await?;
        Ok(documents::jobs::wire(&job))
    }

    async fn job(&self, id: JobId) -> anyhow::Result<Job> {
        let job = self.store.job(id).await?;
        let job = job.with_context(|| format!("no job {id} is known"))?;
        Ok(documents::jobs::wire(&job))
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> anyhow::Result<Jobs> {
        Ok(documents::jobs::page(self.store, before, limit).await?)
    }

    async fn cancel_job(&self, id: JobId, reason: Option<&str>) -> anyhow::Result<Job> {
        let job = jobs::cancel(self.store, self.by(reason), now(), id).await?;
        Ok(documents::jobs::wire(&job))
    }

    async fn fleet(&self) -> anyhow::Result<Fleet> {
        Ok(counts::survey(self.store, now()).await?)
    }

    async fn issuance(&self) -> anyhow::Result<Issuance> {
        Ok(issuance::status(self.store, now()).await?)
    }

    async fn pause(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Issuance> {
        pauses::pause(self.store, self.by(reason), now(), scope).await?;
        self.issuance().await
    }

    async fn resume(&self, scope: &PauseScope, reason: Option<&str>) -> anyhow::Result<Resumed> {
        let in_time = operator::in_time();
        let done = pauses::resume(self.store, self.by(reason), now(), scope, &in_time).await?;
        Ok(Resumed {
            woken: done.woken,
            is_complete: done.is_complete,
        })
    }

    async fn edges(&self) -> anyhow::Result<Edges> {
        let configured = &self.settings.haproxy_agent;
        let items = edges::all(self.store, configured, now()).await?;
        Ok(Edges { items })
    }

    async fn approve_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<Approved> {
        let configured = &self.settings.haproxy_agent;
        let author = (self.by(reason), now());
        Ok(edges::approve(self.store, configured, author, url).await?)
    }

    async fn compare_edge(&self, url: &str, reason: Option<&str>) -> anyhow::Result<ComparisonDue> {
        let configured = &self.settings.haproxy_agent;
        let author = (self.by(reason), now());
        Ok(edges::compare(self.store, configured, author, url).await?)
    }

    async fn limits(&self, after: &str) -> anyhow::Result<Limits> {
        let ca = &self.settings.lets_encrypt;
        let page = limits::page(self.store, ca, now(), (after, PAGE)).await?;
        Ok(limits::wire_page(page))
    }

    async fn lift(&self, request: &LiftRequest) -> anyhow::Result<Lifted> {
        let (kind, subject) = limits::parse(&request.limit, request.name.as_deref())?;
        let author = (self.by(request.reason.as_deref()), now());
        let directory_url = self.settings.lets_encrypt.directory_url.as_str();
        let of = (kind, subject.as_deref());
        let in_time = operator::in_time();
        let done = operator::limits::lift(self.store, author, directory_url, of, &in_time).await?;
        Ok(limits::wire_lifted(&done))
    }

    async fn removals(&self) -> anyhow::Result<Removals> {
        self.shown_removals().await
    }

    async fn approve_removals(&self, reason: Option<&str>) -> anyhow::Result<Removals> {
        let until = workers::approve_removals(self.store, self.by(reason), now()).await?;
        until.context("another process is changing the count of removals; try again")?;
        self.shown_removals().await
    }

    async fn activity(&self, before: Option<ActionId>, limit: u32) -> anyhow::Result<Activities> {
        Ok(activity::page(self.store, before, limit).await?)
    }

    async fn webhooks(&self) -> anyhow::Result<WebhookReceivers> {
        let configured = self.settings.webhook_receivers();
        Ok(webhooks::receivers(self.store, &configured).await?)
    }

    async fn redeliver(&self, request: &RedeliverRequest) -> anyhow::Result<Redelivering> {
        let author = (self.by(request.reason.as_deref()), now());
        Ok(webhooks::redeliver(self.store, author, request).await?)
    }

    async fn tenants(&self, after: &str, limit: u32) -> anyhow::Result<Tenants> {
        Ok(documents::tenants(self.store, after, limit).await?)
    }

    async fn tenant(&self, id: &str) -> anyhow::Result<TenantDetail> {
        let ca = &self.settings.lets_encrypt;
        let found = documents::tenant(self.store, ca, now(), id).await?;
        found.context("the service knows no domain of this tenant")
    }

    async fn account(&self) -> anyhow::Result<CaAccount> {
        let ca = &self.settings.lets_encrypt;
        let identities = ca.caa_identities.clone();
        Ok(documents::account(self.store, ca, now(), identities).await?)
    }
}
