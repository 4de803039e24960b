//! `dps limits`: what is left of the CA's limits, for people and programs, and the lifting of a
//! wait.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{LiftRequest, Limit};
use dps_domain::Timestamp;
use serde_json::json;

use super::act;
use super::calls::AdminCalls;
use super::output::outln;
use crate::documents::limits::parse;

/// Prints every limit of the configured CA that is used in part or waited for.
pub async fn print(calls: &dyn AdminCalls, now: Timestamp, as_json: bool) -> anyhow::Result<()> {
    let limits = all(calls).await?;
    if as_json {
        for limit in limits {
            outln!("{}", json!(limit))?;
        }
        return Ok(());
    }
    if limits.is_empty() {
        outln!("No limit of the configured CA is used or waited for.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["limit", "of", "left", "next at", "CA: not before"]);
    for limit in limits {
        let left = limit.left.map(|left| left.to_string());
        let next_at = Some(limit.next_at).filter(|at| *at > now);
        table.add_row([
            limit.limit,
            limit.name.unwrap_or_else(|| "the account".to_owned()),
            left.unwrap_or_else(|| "no limit".to_owned()),
            next_at.map_or_else(|| "now".to_owned(), |at| at.to_string()),
            limit
                .blocked_until
                .map_or_else(String::new, |until| until.to_string()),
        ]);
    }
    outln!("{table}")?;
    Ok(())
}

async fn all(calls: &dyn AdminCalls) -> anyhow::Result<Vec<Limit>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = calls.limits(&after).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Lifts a limit, of one name if one is given, and prints what came of it.
pub async fn lift(
    calls: &dyn AdminCalls,
    request: &LiftRequest,
    as_json: bool,
) -> anyhow::Result<()> {
    let (kind, _) = parse(&request.limit, request.name.as_deref())?;
    let done = calls.lift(request).await?;
    if as_json {
        outln!("{}", json!(done))?;
        return Ok(());
    }
    let (lifted, woken) = (done.lifted, done.woken);
    outln!("{kind}: {lifted} lifted; {woken} waiting domains are due now.")?;
    outln!(
        "A running service continues within a minute. If the CA refuses a request again, it waits \
         again."
    )?;
    Ok(act::print_if_cut_short(done.is_complete)?)
}
