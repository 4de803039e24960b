//! `dps tenants`: the tenants with their domains, for people and programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::Tenant;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::outln;
use crate::documents::issuance;

/// Prints a page of tenants.
pub async fn list(
    calls: &dyn AdminCalls,
    after: &str,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let page = calls.tenants(after, limit).await?;
    if as_json {
        for tenant in page.items {
            outln!("{}", json!(tenant))?;
        }
        if let Some(next) = page.next {
            eprintln!("There may be more; continue with --after {next}");
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "tenant",
        "domains",
        "by status",
        "limited",
        "paused",
        "contested",
    ]);
    for tenant in &page.items {
        table.add_row([
            tenant.tenant_id.clone(),
            counted(tenant),
            statuses(tenant),
            tenant.limited.to_string(),
            tenant.paused.to_string(),
            tenant.contested.to_string(),
        ]);
    }
    outln!("{table}")?;
    if let Some(next) = page.next {
        outln!("There may be more; continue with --after {next}")?;
    }
    Ok(())
}

/// Prints one tenant.
pub async fn show(calls: &dyn AdminCalls, id: &str, as_json: bool) -> anyhow::Result<()> {
    let found = calls.tenant(id).await?;
    if as_json {
        outln!("{:#}", json!(found))?;
        return Ok(());
    }
    let tenant = &found.tenant;
    outln!("{}", tenant.tenant_id)?;
    outln!("  domains    {} ({})", counted(tenant), statuses(tenant))?;
    outln!("  limited    {}", tenant.limited)?;
    outln!("  paused     {}", tenant.paused)?;
    outln!("  contested  {}", tenant.contested)?;
    for pause in found.pauses.into_iter().filter_map(issuance::read) {
        outln!("  {pause}")?;
    }
    for limit in found.limits {
        let left = limit.left.map(|left| left.to_string());
        let left = left.unwrap_or_else(|| "any number".to_owned());
        outln!(
            "  limit      {}: {left} left, next at {}",
            limit.limit,
            limit.next_at
        )?;
    }
    Ok(())
}

fn counted(tenant: &Tenant) -> String {
    let more = if tenant.is_complete { "" } else { " or more" };
    format!("{}{more}", tenant.domains)
}

fn statuses(tenant: &Tenant) -> String {
    let groups = tenant.statuses.iter();
    let groups = groups.map(|group| {
        let status = group.key.as_deref().unwrap_or_default();
        format!("{status} {}", group.domains)
    });
    groups.collect::<Vec<_>>().join(", ")
}
