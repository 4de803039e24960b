//! `dps edges`: how the edges are, for people and programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::ports::FleetStore;
use dps_application::ports::fleet::{Comparison, KnownEdge};
use serde_json::{Value, json};

/// How an edge stands, in a word and what there is to say about it.
fn standing(edge: &KnownEdge) -> (&'static str, String) {
    let problem = || edge.problem.clone().unwrap_or_default();
    let reachability = edge.reachability;
    match (reachability.unreachable_since, reachability.answered_again_at) {
        (None, _) => ("answers", String::new()),
        (Some(since), Some(at)) => (
            "on probation",
            format!("failed at {since}, answers again since {at}"),
        ),
        (Some(since), None) => ("silent", format!("since {since}: {}", problem())),
    }
}

/// Prints every edge that is or was in the fleet.
pub async fn list(store: &dyn FleetStore, as_json: bool) -> anyhow::Result<()> {
    let edges = store.edges().await?;
    if as_json {
        for edge in &edges {
            println!("{}", value(edge));
        }
        return Ok(());
    }
    if edges.is_empty() {
        println!("No edge is known yet; `dps run` notes those of HAProxyAgent.");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "edge",
        "",
        "certificates",
        "behind",
        "unknown",
        "compared",
        "in the fleet",
    ]);
    let mut notes = Vec::new();
    for edge in &edges {
        let (word, note) = standing(edge);
        if !note.is_empty() {
            notes.push(format!("{} {note}", edge.name));
        }
        let number = |pick: fn(&Comparison) -> u64| {
            let compared = edge.compared.as_ref();
            compared.map_or_else(String::new, |compared| pick(compared).to_string())
        };
        table.add_row([
            edge.name.clone(),
            word.to_owned(),
            number(|compared| compared.certificates),
            number(|compared| compared.behind),
            number(|compared| compared.unknown),
            edge.compared
                .map_or_else(|| "never".to_owned(), |compared| compared.at.to_string()),
            edge.listed_at.to_string(),
        ]);
    }
    println!("{table}");
    for note in notes {
        println!("{note}");
    }
    Ok(())
}

fn value(edge: &KnownEdge) -> Value {
    let compared = edge.compared;
    json!({
        "name": edge.name,
        "standing": standing(edge).0,
        "unreachableSince": edge.reachability.unreachable_since,
        "answeredAgainAt": edge.reachability.answered_again_at,
        "problem": edge.problem,
        "certificates": compared.map(|compared| compared.certificates),
        "behind": compared.map(|compared| compared.behind),
        "unknown": compared.map(|compared| compared.unknown),
        "comparedAt": compared.map(|compared| compared.at),
        "firstSeenAt": edge.first_seen_at,
        "listedAt": edge.listed_at,
    })
}
