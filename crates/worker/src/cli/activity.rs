//! `dps activity`: the record of operators' actions, for people and programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Activities, Activity};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{RecordedAction, StoreError};
use dps_domain::ActionId;
use serde_json::json;

use super::output::outln;

/// Prints the newest actions, or those before the given one.
pub async fn list(
    store: &dyn CertificateStore,
    before: Option<ActionId>,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let page = page(store, before, limit).await?;
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

/// A page of actions, as programs read it.
pub async fn page(
    store: &dyn CertificateStore,
    before: Option<ActionId>,
    limit: u32,
) -> Result<Activities, StoreError> {
    let items: Vec<Activity> = (store.actions(before, limit).await?.into_iter())
        .map(wire)
        .collect();
    let is_full = items.len() >= limit as usize;
    let next = items.last().map(|last| last.id.clone());
    Ok(Activities {
        next: next.filter(|_| is_full),
        items,
    })
}

fn wire(recorded: RecordedAction) -> Activity {
    let action = recorded.action;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Activity {
        id: recorded.id.to_string(),
        at: action.at,
        who: action.who,
        source: action.source,
        role: given(action.role),
        action: action.kind.as_str().to_owned(),
        scope: action.scope.as_str().to_owned(),
        subject: given(action.subject),
        reason: action.reason,
        before: given(action.before),
        after: given(action.after),
        count: action.count,
    }
}
