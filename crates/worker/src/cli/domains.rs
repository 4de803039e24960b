//! `dps domains list` and `show`: the records of the store, for people and programs.

mod timeline;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::Renewal;
use dps_application::operator::Target;
use dps_domain::Timestamp;
use dps_domain::fleet::DomainFilter;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::{OutputError, outln};

/// The options of [`list`].
#[derive(Debug)]
pub struct ListOptions {
    /// The wanted domains.
    pub filter: DomainFilter,
    /// The place after which to begin, as a person writes it.
    pub after: Option<String>,
    /// The largest number of domains.
    pub limit: u32,
    /// Whether a JSON document is printed for each domain.
    pub as_json: bool,
}

/// Prints the domains of a filter.
pub async fn list(calls: &dyn AdminCalls, options: &ListOptions) -> anyhow::Result<()> {
    let (filter, after) = (&options.filter, options.after.as_deref());
    let page = calls.domains(filter, after, options.limit).await?;
    if options.as_json {
        for domain in page.items {
            outln!("{}", json!(domain))?;
        }
        if let Some(next) = page.next {
            eprintln!("There may be more; continue with --after {next}");
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
    for domain in page.items {
        let since = domain.status_since;
        let code = domain.code.map(|code| code.to_string());
        table.add_row([
            domain.hostname.to_string(),
            domain.tenant_id,
            domain.status.to_string(),
            moment(since),
            domain.phase.into_owned(),
            code.unwrap_or_default(),
            moment(domain.next_attempt_at),
            moment(domain.certificate_ends_at),
        ]);
    }
    outln!("{table}")?;
    if let Some(next) = page.next {
        outln!("There may be more; continue with --after {next}")?;
    }
    Ok(())
}

/// Prints one domain with the newest lines of its history, newest last.
pub async fn show(
    calls: &dyn AdminCalls,
    target: Target<'_>,
    events: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let found = calls.domain(target, events).await?;
    if as_json {
        outln!("{:#}", json!(found))?;
        return Ok(());
    }
    let domain = &found.domain;
    outln!("{} ({})", domain.hostname.to_unicode(), domain.hostname)?;
    outln!("  id            {}", domain.id)?;
    outln!("  tenant        {}", domain.tenant_id)?;
    outln!("  points to     {}", domain.cname_target)?;
    outln!("  status        {} ({})", domain.status, domain.phase)?;
    outln!("  ownership     {}", domain.ownership)?;
    for other in &found.other_claims {
        let (tenant, status, ownership) = (&other.tenant_id, other.status, &other.ownership);
        outln!(
            "  other claim   {} of {tenant} ({status}, {ownership})",
            other.id
        )?;
    }
    if let Some(at) = domain.next_attempt_at {
        outln!("  next attempt  {at}")?;
    }
    if let Some(renewal) = &domain.renewal {
        show_renewal(renewal)?;
    }
    for deployment in &found.edges {
        let which = if deployment.is_current {
            "the current certificate"
        } else {
            "another certificate"
        };
        let (edge, since) = (&deployment.edge, deployment.deployed_at);
        if deployment.is_configured {
            outln!("  edge          {edge} has presented {which} since {since}")?;
        } else {
            outln!(
                "  edge          {edge} is no longer configured; it received {which} at {since}"
            )?;
        }
    }
    if let Some(safest) = &found.safest_caa_record {
        outln!("  safest CAA    {safest}; it forbids every other issuer there")?;
    }
    if let Some(failure) = &domain.last_failure {
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
            domain.message.as_deref().unwrap_or_default()
        )?;
        outln!("  evidence      {}", json!(failure))?;
    }
    outln!("  history")?;
    timeline::print(&found.events)?;
    Ok(())
}

/// When the domain renews, and what the CA says to that.
fn show_renewal(renewal: &Renewal) -> Result<(), OutputError> {
    outln!("  valid until   {}", renewal.not_after)?;
    match (renewal.renew_at, renewal.frozen_until) {
        (None, _) => outln!("  renews at     now")?,
        (Some(at), None) => outln!("  renews at     {at}")?,
        (Some(at), Some(until)) => {
            outln!("  renews at     {at}, delayed by a freeze until {until}")?;
        }
    }
    if let Some(window) = renewal.window {
        outln!("  CA suggests   {} to {}", window.start(), window.end())?;
    }
    if let Some(url) = &renewal.explanation_url {
        outln!("  CA explains   {url}")?;
    }
    match renewal.poll_at {
        Some(at) => outln!("  CA polled at  {at}"),
        None => Ok(()),
    }
}
