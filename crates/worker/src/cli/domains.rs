//! `dps domains list` and `show`: what the store knows, for people and programs.

mod claims;
mod timeline;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::Policy;
use dps_application::operator::fleet;
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::renewal_info::RenewalInfoPoll;
use dps_application::ports::store::{Claimants, Deployment};
use dps_application::ports::store::{DomainEvent, DomainRecord, StoreError};
use dps_domain::fleet::{DomainFilter, Place};
use dps_domain::phase::{Next, Phase};
use dps_domain::sentence::last_sentence;
use dps_domain::{Failure, Hostname, Timestamp, caa, with_causes};
use serde_json::{Value, json};

use self::claims::{MAX_CLAIMS, claim_value, ownership_text};
use super::output::{OutputError, outln};
use crate::config::LetsEncrypt;

/// Prints domains by hostname.
pub async fn list(
    store: &dyn CertificateStore,
    policy: &Policy,
    (filter, now): (&DomainFilter, Timestamp),
    after: Option<&str>,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let plan = filter.plan(now);
    let after = after.map(|text| Place::parse(text, filter, &plan));
    let page = fleet::list(store, filter, now, after.transpose()?, limit).await?;
    let records: Vec<&DomainRecord> = page.domains.iter().map(|one| &one.record).collect();
    if as_json {
        for record in records.iter().copied() {
            let poll = poll(store, record).await;
            let what_to_do = what_to_do(store, policy, record).await?;
            outln!("{}", value(record, poll.as_ref(), what_to_do.as_deref()))?;
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["hostname", "status", "phase", "code", "next attempt"]);
    for record in records.iter().copied() {
        table.add_row([
            record.hostname.to_string(),
            record.phase.status().to_string(),
            record.phase.name().to_owned(),
            record
                .last_failure
                .as_ref()
                .map(|failure| failure.code().to_string())
                .unwrap_or_default(),
            record
                .next_attempt_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
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
        let mut document = value(&record, poll.as_ref(), what_to_do.as_deref());
        document["safestCaaRecord"] = json!(safest_caa);
        let edge = |deployment| deployment_value(deployment, has_left(&deployment.edge));
        document["edges"] = deployments.iter().map(edge).collect();
        document["otherClaims"] = others.iter().map(claim_value).collect();
        document["events"] = events.iter().map(event_value).collect();
        outln!("{document:#}")?;
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

fn renewal_value(record: &DomainRecord, poll: Option<&RenewalInfoPoll>) -> Value {
    let Phase::Live {
        not_after, next, ..
    } = &record.phase
    else {
        return Value::Null;
    };
    let renew_at = match next {
        Next::At(at) => Some(*at),
        Next::Now(_) => None,
    };
    let info = poll.map(|poll| &poll.renewal_info);
    json!({
        "notAfter": not_after,
        "renewAt": renew_at,
        "window": info.and_then(|info| info.window),
        "explanationUrl": info.and_then(|info| info.explanation_url.as_ref()),
        "askAt": info.map(|info| info.poll_at),
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

fn value(record: &DomainRecord, poll: Option<&RenewalInfoPoll>, what_to_do: Option<&str>) -> Value {
    json!({
        "id": record.id,
        "tenantId": record.tenant_id,
        "hostname": record.hostname,
        "cnameTarget": record.cname_target,
        "status": record.phase.status(),
        "phase": record.phase.name(),
        "attempt": record.attempt,
        "nextAttemptAt": record.next_attempt_at,
        "ownership": ownership_text(&record.ownership),
        "lastFailure": record.last_failure,
        "message": what_to_do,
        "actor": record.last_failure.as_ref().map(Failure::actor),
        "renewal": renewal_value(record, poll),
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    })
}

fn deployment_value(deployment: &Deployment, has_left: bool) -> Value {
    json!({
        "edge": deployment.edge,
        "isConfigured": !has_left,
        "certificateId": deployment.certificate_id,
        "generation": deployment.generation,
        "deployedAt": deployment.deployed_at,
    })
}

fn event_value(event: &DomainEvent) -> Value {
    json!({
        "at": event.at,
        "kind": event.kind,
        "phase": event.phase,
        "detail": event.detail,
        "durationMs": event.duration.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "replica": event.replica,
    })
}
