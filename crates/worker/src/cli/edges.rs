//! `dps edges`: the edges for people and programs, and what an operator does with one.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::Edge;
use serde_json::json;

use super::act::Why;
use super::calls::AdminCalls;
use super::output::outln;

/// Prints every edge that is or was in the fleet, or waits for approval.
pub async fn list(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let edges = calls.edges().await?.items;
    if as_json {
        for edge in edges {
            outln!("{}", json!(edge))?;
        }
        return Ok(());
    }
    if edges.is_empty() {
        outln!("No edge is known yet; `dps run` adds those of the section HAProxyAgent.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "edge",
        "",
        "presents now",
        "compared",
        "expected",
        "refused",
        "unknown",
        "in the fleet",
    ]);
    let number = |counted: Option<u64>| counted.map_or_else(String::new, |n| n.to_string());
    for edge in &edges {
        let compared = edge.compared_at.map(|at| at.to_string());
        table.add_row([
            edge.name.clone(),
            edge.state.clone(),
            edge.presents.to_string(),
            compared.unwrap_or_else(|| "never".to_owned()),
            number(edge.certificates),
            number(edge.refused),
            number(edge.unknown),
            edge.listed_at.to_string(),
        ]);
    }
    outln!("{table}")?;
    outln!("The columns expected, refused and unknown count certificates at the last comparison.")?;
    for note in edges.iter().filter_map(note) {
        outln!("{note}")?;
    }
    Ok(())
}

/// A line about an edge that needs one.
fn note(edge: &Edge) -> Option<String> {
    let name = &edge.name;
    match (
        edge.state.as_str(),
        edge.unreachable_since,
        edge.answered_again_at,
    ) {
        ("no longer configured", _, _) => Some(format!(
            "{name} was last part of the fleet at {}",
            edge.listed_at
        )),
        ("waits for approval", _, _) => Some(format!(
            "{name} was found at {} and receives nothing until `dps edges approve {name}`",
            edge.first_seen_at
        )),
        (_, Some(since), Some(at)) => Some(format!(
            "{name} failed at {since} and has answered again since {at}"
        )),
        (_, Some(since), None) => {
            let problem = edge.problem.as_deref().unwrap_or_default();
            Some(format!("{name} since {since}: {problem}"))
        }
        (_, None, _) => None,
    }
}

/// Lets an edge that was found take part.
pub async fn approve(
    calls: &dyn AdminCalls,
    url: &str,
    why: &Why,
    as_json: bool,
) -> anyhow::Result<()> {
    let approved = calls.approve_edge(url, why.reason.as_deref()).await?;
    if as_json {
        outln!("{}", json!(approved))?;
        return Ok(());
    }
    let name = &approved.name;
    match (approved.is_new, approved.approved_at) {
        (true, _) => outln!(
            "{name} is approved: the service sends it certificates after its next DNS lookup \
             (HAProxyAgent:Discovery:Interval)."
        )?,
        (false, Some(at)) => {
            outln!("{name} needs no approval: it has been part of the fleet since {at}.")?;
        }
        (false, None) => outln!("{name} is in the configuration and needs no approval.")?,
    }
    Ok(())
}

/// Makes the comparison of an edge with what it should hold due now.
pub async fn compare(
    calls: &dyn AdminCalls,
    url: &str,
    why: &Why,
    as_json: bool,
) -> anyhow::Result<()> {
    let due = calls.compare_edge(url, why.reason.as_deref()).await?;
    if as_json {
        outln!("{}", json!(due))?;
        return Ok(());
    }
    let last = due.compared_at.map_or_else(
        || "it was never compared before".to_owned(),
        |at| format!("the last comparison ended at {at}"),
    );
    outln!("{}: the comparison is due now; {last}.", due.name)?;
    outln!("An edge that does not answer is compared when it answers again.")?;
    Ok(())
}
