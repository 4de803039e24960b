//! `dps domains list` and `show`: the records of the store, for people and programs.

mod timeline;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::Policy;
use dps_application::operator::{Target, fleet};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::renewal_info::RenewalInfoPoll;
use dps_application::ports::store::DomainRecord;
use dps_domain::fleet::{DomainFilter, Place};
use dps_domain::phase::{Next, Phase};
use dps_domain::{Failure, Timestamp};
use serde_json::json;

use super::filter::check_edge;
use super::output::{OutputError, outln};
use crate::config::LetsEncrypt;
use crate::documents::{Found, Reader, ownership_text};

/// The options of [`list`].
#[derive(Debug)]
pub struct ListOptions<'a> {
    /// The CA, for the CAA record that is suggested.
    pub ca: &'a LetsEncrypt,
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
    options: &ListOptions<'_>,
) -> anyhow::Result<()> {
    let (filter, now) = (&options.filter, options.now);
    check_edge(store, filter).await?;
    let plan = filter.plan(now);
    let after = options.after.as_deref();
    let after = after.map(|text| Place::parse(text, filter, &plan).context("--after"));
    let page = fleet::list(store, filter, now, after.transpose()?, options.limit).await?;
    if options.as_json {
        for domain in reader(store, policy, options.ca)
            .page(&page.domains)
            .await?
        {
            outln!("{}", json!(domain))?;
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
    target: Target<'_>,
    options: &ShowOptions<'_>,
    has_left: impl Fn(&KnownEdge) -> bool,
) -> anyhow::Result<()> {
    let reader = reader(store, policy, options.ca);
    let hostname = target.hostname;
    let found = reader.find(target, options.events).await?;
    let found = found.with_context(|| {
        format!(
            "the service does not know the domain {hostname}; domains are created in the Cabinet"
        )
    })?;
    let has_left = |edge: &str| found.has_left(edge, &has_left);
    if options.as_json {
        outln!("{:#}", json!(found.document(has_left)))?;
        return Ok(());
    }
    let Found { record, others, .. } = &found;
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
    for other in others {
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
    show_renewal(record, found.poll.as_ref())?;
    for deployment in &found.deployments {
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
    if let Some(safest) = &found.safest_caa {
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
        outln!(
            "  what to do    {}",
            found.message.as_deref().unwrap_or_default()
        )?;
        outln!("  evidence      {}", json!(failure))?;
    }
    outln!("  history")?;
    timeline::print(&found.events)?;
    Ok(())
}

/// Warnings go to standard error, so that a program can read the rest.
fn reader<'a>(
    store: &'a dyn CertificateStore,
    policy: &'a Policy,
    ca: &'a LetsEncrypt,
) -> Reader<'a> {
    Reader {
        store,
        policy,
        ca,
        warn: &|host, problem| {
            eprintln!("{host}: the renewal information cannot be read: {problem}");
        },
    }
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
