//! `dps activity`: the record of operators' actions, for people and programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_domain::ActionId;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::outln;

/// Prints the newest actions, or those before the given one.
pub async fn list(
    calls: &dyn AdminCalls,
    before: Option<ActionId>,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let page = calls.activity(before, limit).await?;
    if as_json {
        for activity in page.items {
            outln!("{}", json!(activity))?;
        }
        if let Some(next) = page.next {
            eprintln!("There may be more; continue with --before {next}");
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["at", "who", "action", "of", "count", "reason"]);
    for activity in page.items {
        let of = activity.subject.unwrap_or(activity.scope);
        let count = activity.count.filter(|count| *count != 1);
        table.add_row([
            activity.at.to_string(),
            activity.who,
            activity.action,
            of,
            count.map(|count| count.to_string()).unwrap_or_default(),
            activity.reason.unwrap_or_default(),
        ]);
    }
    outln!("{table}")?;
    if let Some(next) = page.next {
        outln!("There may be more; continue with --before {next}")?;
    }
    Ok(())
}
