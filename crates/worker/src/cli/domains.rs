//! `dps domains list` and `show`: the records of the store, for people and programs.

mod claims;
mod timeline;

use std::time::Duration;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Domain, DomainDetail, EdgeDeployment, HistoryLine, Renewal};
use dps_application::Policy;
use dps_application::operator::fleet;
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::fleet_view::MAX_PAGE;
use dps_application::ports::renewal_info::RenewalInfoPoll;
use dps_application::ports::store::{Claimants, Deployment};
use dps_application::ports::store::{DomainEvent, DomainRecord, StoreError};
use dps_domain::fleet::{DomainFilter, NameFilter, Place};
use dps_domain::phase::{Next, Phase};
use dps_domain::sentence::last_sentence;
use dps_domain::{Failure, Hostname, Timestamp, caa, with_causes};
use serde_json::json;

use self::claims::{MAX_CLAIMS, claim, ownership_text};
use super::filter::check_edge;
use super::output::{OutputError, outln};
use crate::config::LetsEncrypt;

/// The options of [`list`].
#[derive(Debug)]
pub struct ListOptions {
    /// The wanted domains.
    pub filter: DomainFilter,
    /// The present time.
    pub now: Timestamp,
    /// The place after which to begin, as a person writes it.
    pub after: Option<String>,
    /// The largest number of domains.
    pub limit: u32,
    /// Whether a JSON document is printed for each domain.
    pub as_json: bool,
}

/// Prints the domains of a filter.
pub async fn list(
    store: &dyn CertificateStore,
    policy: &Policy,
    options: &ListOptions,
) -> anyhow::Result<()> {
    let (filter, now) = (&options.filter, options.now);
    check_edge(store, filter).await?;
    let plan = filter.plan(now);
    let after = options.after.as_deref();
    let after = after.map(|text| Place::parse(text, filter, &plan).context("--after"));
    let page = fleet::list(store, filter, now, after.transpose()?, options.limit).await?;
    if options.as_json {
        for listed in &page.domains {
            let record = &listed.record;
            let poll = poll(store, record).await;
            let what_to_do = what_to_do(store, policy, record).await?;
            let since = Some(listed.status_since);
            outln!(
                "{}",
                json!(domain(record, since, poll.as_ref(), what_to_do))
            )?;
        }
        if let Some(next) = page.next {
            eprintln!(
                "There may be more; continue with --after {}",
                next.to_text(filter)
            );
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "hostname",
        "tenant",
        "status",
        "since",
        "phase",
        "code",
        "next attempt",
        "certificate ends",
    ]);
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    for listed in &page.domains {
        let record = &listed.record;
        let code = record.last_failure.as_ref().map(Failure::code);
        table.add_row([
            record.hostname.to_string(),
            record.tenant_id.clone(),
            record.phase.status().to_string(),
            listed.status_since.to_string(),
            record.phase.name().to_owned(),
            code.map(|code| code.to_string()).unwrap_or_default(),
            moment(record.next_attempt_at),
            moment(record.phase.certificate_not_after()),
        ]);
    }
    outln!("{table}")?;
    if let Some(next) = page.next {
        let next = next.to_text(filter);
        outln!("There may be more; continue with --after {next}")?;
    }
    Ok(())
}

/// The options of [`show`].
#[derive(Debug, Clone, Copy)]
pub struct ShowOptions<'a> {
    /// How many of the newest lines of the history are shown.
    pub events: u32,
    /// Whether one JSON document is printed.
    pub as_json: bool,
    /// The CA, for the CAA record that is suggested.
    pub ca: &'a LetsEncrypt,
}

/// Prints one domain with the newest lines of its history, newest last.
pub async fn show(
    store: &dyn CertificateStore,
    policy: &Policy,
    hostname: &Hostname,
    options: &ShowOptions<'_>,
    has_left: impl Fn(&KnownEdge) -> bool,
) -> anyhow::Result<()> {
    let mut records = store
        .domains_by_hostname(hostname, Claimants::All, MAX_CLAIMS)
        .await?
        .into_iter();
    let record = records.next().with_context(|| {
        format!(
            "the service does not know the domain {hostname}; domains are created in the Cabinet"
        )
    })?;
    let others: Vec<DomainRecord> = records.collect();
    let deployments = store.deployments(record.id).await?;
    let known = store.edges().await?;
    let has_left = |edge: &str| {
        known
            .iter()
            .any(|known| known.name == edge && has_left(known))
    };
    let poll = poll(store, &record).await;
    let what_to_do = what_to_do(store, policy, &record).await?;
    let safest_caa = safest_caa_record(store, options.ca, &record).await?;
    let mut events = store.events(record.id, options.events).await?;
    events.reverse();
    if options.as_json {
        let since = status_since(store, &record).await?;
        let edge = |one: &Deployment| edge_deployment(one, has_left(&one.edge));
        let document = DomainDetail {
            domain: domain(&record, since, poll.as_ref(), what_to_do),
            safest_caa_record: safest_caa,
            edges: deployments.iter().map(edge).collect(),
            other_claims: others.iter().map(claim).collect(),
            events: events.into_iter().map(history_line).collect(),
        };
        outln!("{:#}", json!(document))?;
        return Ok(());
    }
    outln!("{} ({})", record.hostname.to_unicode(), record.hostname)?;
    outln!("  id            {}", record.id)?;
    outln!("  tenant        {}", record.tenant_id)?;
    outln!("  points to     {}", record.cname_target)?;
    outln!(
        "  status        {} ({})",
        record.phase.status(),
        record.phase.name()
    )?;
    outln!("  ownership     {}", ownership_text(&record.ownership))?;
    for other in &others {
        let (tenant, status) = (&other.tenant_id, other.phase.status());
        let ownership = ownership_text(&other.ownership);
        outln!(
            "  other claim   {} of {tenant} ({status}, {ownership})",
            other.id
        )?;
    }
    if let Some(at) = record.next_attempt_at {
        outln!("  next attempt  {at}")?;
    }
    show_renewal(&record, poll.as_ref())?;
    for deployment in &deployments {
        let is_current = Some(deployment.certificate_id) == record.phase.serving();
        let which = if is_current {
            "the current certificate"
        } else {
            "another certificate"
        };
        let (edge, since) = (&deployment.edge, deployment.deployed_at);
        if has_left(edge) {
            outln!(
                "  edge          {edge} is no longer configured; it received {which} at {since}"
            )?;
        } else {
            outln!("  edge          {edge} has presented {which} since {since}")?;
        }
    }
    if let Some(safest) = safest_caa {
        outln!("  safest CAA    {safest}; it forbids every other issuer there")?;
    }
    if let Some(failure) = &record.last_failure {
        outln!(
            "  code          {} (actor: {:?})",
            failure.code(),
            failure.actor()
        )?;
        let again = if failure.is_retryable() {
            "automatically"
        } else {
            "only on request: dps domains retry"
        };
        outln!("  retried       {again}")?;
        outln!("  what to do    {}", what_to_do.unwrap_or_default())?;
        outln!("  evidence      {}", json!(failure))?;
    }
    outln!("  history")?;
    timeline::print(&events)?;
    Ok(())
}

/// The CAA record that lets our account alone issue. `None` before the account is registered, and
/// for a CA whose name in CAA records is not known.
async fn safest_caa_record(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    record: &DomainRecord,
) -> Result<Option<String>, StoreError> {
    let Some(identity) = ca.caa_identity() else {
        return Ok(None);
    };
    let account = store.account(ca.directory_url.as_str()).await?;
    let url = account.and_then(|account| account.url);
    Ok(url.map(|url| caa::safest_record(&record.hostname, identity.as_str(), &url)))
}

/// The `RenewalInfo` poll of the domain; `None` if it cannot be read, so that all else is still
/// shown.
async fn poll(store: &dyn CertificateStore, record: &DomainRecord) -> Option<RenewalInfoPoll> {
    store.poll(record.id).await.unwrap_or_else(|error| {
        eprintln!(
            "{}: the renewal information cannot be read: {}",
            record.hostname,
            with_causes(&error)
        );
        None
    })
}

/// When the domain renews, and what the CA says to that.
fn show_renewal(record: &DomainRecord, poll: Option<&RenewalInfoPoll>) -> Result<(), OutputError> {
    let Phase::Live {
        not_after, next, ..
    } = &record.phase
    else {
        return Ok(());
    };
    outln!("  valid until   {not_after}")?;
    match next {
        Next::At(at) => outln!("  renews at     {at}")?,
        Next::Now(_) => outln!("  renews at     now")?,
    }
    let Some(poll) = poll else {
        return Ok(());
    };
    let info = &poll.renewal_info;
    if let Some(window) = info.window {
        outln!("  CA suggests   {} to {}", window.start(), window.end())?;
    }
    if let Some(url) = &info.explanation_url {
        outln!("  CA explains   {url}")?;
    }
    outln!("  CA polled at  {}", info.poll_at)
}

fn renewal(record: &DomainRecord, poll: Option<&RenewalInfoPoll>) -> Option<Renewal> {
    let Phase::Live {
        not_after, next, ..
    } = &record.phase
    else {
        return None;
    };
    let renew_at = match next {
        Next::At(at) => Some(*at),
        Next::Now(_) => None,
    };
    let info = poll.map(|poll| &poll.renewal_info);
    Some(Renewal {
        not_after: *not_after,
        renew_at,
        window: info.and_then(|info| info.window),
        explanation_url: info.and_then(|info| info.explanation_url.clone()),
        poll_at: info.map(|info| info.poll_at),
    })
}

/// How many lines of the history are read for what a DNS check noted.
const LINES_OF_EVIDENCE: u32 = 50;

/// The sentence about the last failure that the customer reads in the Cabinet.
async fn what_to_do(
    store: &dyn CertificateStore,
    policy: &Policy,
    record: &DomainRecord,
) -> Result<Option<String>, StoreError> {
    if record.last_failure.is_none() {
        return Ok(None);
    }
    let events = store.events(record.id, LINES_OF_EVIDENCE).await?;
    Ok(last_sentence(record, policy, &events))
}

/// When the status of a record last changed; `None` if the record is gone by now.
async fn status_since(
    store: &dyn CertificateStore,
    record: &DomainRecord,
) -> Result<Option<Timestamp>, StoreError> {
    let filter = DomainFilter {
        name: Some(NameFilter::Exact(record.hostname.clone())),
        ..DomainFilter::default()
    };
    let page = fleet::list(store, &filter, record.updated_at, None, MAX_PAGE).await?;
    let mut listed = page.domains.into_iter();
    let listed = listed.find(|listed| listed.record.id == record.id);
    Ok(listed.map(|listed| listed.status_since))
}

fn domain(
    record: &DomainRecord,
    status_since: Option<Timestamp>,
    poll: Option<&RenewalInfoPoll>,
    message: Option<String>,
) -> Domain {
    let failure = record.last_failure.as_ref();
    Domain {
        id: record.id,
        tenant_id: record.tenant_id.clone(),
        hostname: record.hostname.clone(),
        cname_target: record.cname_target.clone(),
        status: record.phase.status(),
        status_since,
        phase: record.phase.name(),
        attempt: record.attempt,
        next_attempt_at: record.next_attempt_at,
        ownership: ownership_text(&record.ownership),
        code: failure.map(Failure::code),
        last_failure: failure.cloned(),
        message,
        actor: failure.map(Failure::actor),
        renewal: renewal(record, poll),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

fn edge_deployment(deployment: &Deployment, has_left: bool) -> EdgeDeployment {
    EdgeDeployment {
        edge: deployment.edge.clone(),
        is_configured: !has_left,
        certificate_id: deployment.certificate_id,
        generation: deployment.generation,
        deployed_at: deployment.deployed_at,
    }
}

fn history_line(event: DomainEvent) -> HistoryLine {
    let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    HistoryLine {
        at: event.at,
        kind: event.kind,
        phase: event.phase,
        detail: event.detail,
        duration_ms: event.duration.map(millis),
        replica: event.replica,
    }
}
