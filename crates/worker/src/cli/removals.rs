//! `dps removals`: the brake on removals, for people and programs.

use dps_admin_api::Removals;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::outln;

/// Prints the removals of the present day.
pub async fn show(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let removals = calls.removals().await?;
    if as_json {
        outln!("{}", json!(removals))?;
        return Ok(());
    }
    outln!("Removed or renamed today: {}.", removals.removed_today)?;
    match removals.approved_until {
        Some(until) => outln!("All removals are approved until {until}.")?,
        None => outln!(
            "Removals beyond Workers:Removal:BrakePercent of the domains are held back until `dps \
             removals approve`."
        )?,
    }
    Ok(())
}

/// Lets all removals through for a day.
pub async fn approve(
    calls: &dyn AdminCalls,
    reason: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let approved = calls.approve_removals(reason).await?;
    if as_json {
        outln!("{}", json!(approved))?;
        return Ok(());
    }
    let Removals { approved_until, .. } = approved;
    let until = approved_until.map_or_else(String::new, |until| format!(" until {until}"));
    outln!("All removals are approved{until}; the service now applies those that it held back.")?;
    Ok(())
}
