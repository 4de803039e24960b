//! `dps edges`: how the edges are, for people and programs, and an operator's approval of those
//! that were found.

use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::Edge;
use dps_application::operator;
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use serde_json::json;

use super::act::Author;
use super::output::outln;
use crate::config::HAProxyAgent;

/// A service notes each hour which edges are in the fleet; one that was not noted for so long is
/// not.
const NOTED_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// Whether an edge has no part in the fleet any more: the configuration does not name it, and the
/// DNS does not either.
pub fn has_left(edge: &KnownEdge, configured: &HAProxyAgent, now: Timestamp) -> bool {
    if is_configured(&edge.name, configured) {
        return false;
    }
    // Without any URL this is `dps standalone`, whose agent is its own.
    let may_be_unnamed = configured.discovery.name.is_some() || configured.urls().is_empty();
    !may_be_unnamed || now.since(edge.listed_at) > NOTED_WITHIN
}

/// Whether the configuration names an edge.
fn is_configured(name: &str, configured: &HAProxyAgent) -> bool {
    let mut urls = configured.urls().into_iter();
    urls.any(|url| url.as_str().trim_end_matches('/') == name)
}

/// The state of an edge, in a word and a note.
pub fn state_of(
    edge: &KnownEdge,
    configured: &HAProxyAgent,
    now: Timestamp,
) -> (&'static str, String) {
    let problem = || edge.problem.clone().unwrap_or_default();
    let reachability = edge.reachability;
    if has_left(edge, configured, now) {
        let note = format!("was last part of the fleet at {}", edge.listed_at);
        return ("no longer configured", note);
    }
    if edge.approved_at.is_none() {
        let note = format!(
            "was found at {} and receives nothing until `dps edges approve {}`",
            edge.first_seen_at, edge.name
        );
        return ("waits for approval", note);
    }
    match (
        reachability.unreachable_since,
        reachability.answered_again_at,
    ) {
        (None, _) => ("answers", String::new()),
        (Some(since), Some(at)) => (
            "on probation",
            format!("failed at {since} and has answered again since {at}"),
        ),
        (Some(since), None) => ("silent", format!("since {since}: {}", problem())),
    }
}

/// Prints every edge that is or was in the fleet, or waits for approval.
pub async fn list(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    now: Timestamp,
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        for edge in all(store, configured, now).await? {
            outln!("{}", json!(edge))?;
        }
        return Ok(());
    }
    let mut edges = Vec::new();
    for edge in store.edges().await? {
        let presents = store.edge_presents(&edge.name).await?;
        edges.push((edge, presents));
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
    let mut notes = Vec::new();
    for (edge, presents) in &edges {
        let (word, note) = state_of(edge, configured, now);
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
            presents.to_string(),
            edge.compared
                .map_or_else(|| "never".to_owned(), |compared| compared.at.to_string()),
            number(|compared| compared.certificates),
            number(|compared| compared.refused),
            number(|compared| compared.unknown),
            edge.listed_at.to_string(),
        ]);
    }
    outln!("{table}")?;
    outln!("The columns expected, refused and unknown count certificates at the last comparison.")?;
    for note in notes {
        outln!("{note}")?;
    }
    Ok(())
}

/// Lets an edge that was found take part.
pub async fn approve(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    url: &str,
    author: &Author,
    now: Timestamp,
) -> anyhow::Result<()> {
    let name = url.trim_end_matches('/');
    if is_configured(name, configured) {
        outln!("{name} is in the configuration and needs no approval.")?;
        return Ok(());
    }
    let known = store.edges().await?;
    if let Some(at) = known
        .iter()
        .find(|edge| edge.name == name)
        .and_then(|edge| edge.approved_at)
    {
        outln!("{name} needs no approval: it has been part of the fleet since {at}.")?;
        return Ok(());
    }
    if !operator::edges::approve(store, author.requester(), now, name).await? {
        anyhow::bail!(
            "the edge {name} is not known; `dps edges` lists the edges that wait for approval"
        );
    }
    outln!(
        "{name} is approved: the service sends it certificates after its next DNS lookup \
         (HAProxyAgent:Discovery:Interval)."
    )?;
    Ok(())
}

/// Every edge as programs read it.
pub async fn all(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    now: Timestamp,
) -> Result<Vec<Edge>, StoreError> {
    let mut edges = Vec::new();
    for edge in store.edges().await? {
        let presents = store.edge_presents(&edge.name).await?;
        let (state, _) = state_of(&edge, configured, now);
        edges.push(wire(edge, presents, state));
    }
    Ok(edges)
}

/// Every edge with its state in a word. Unlike [`all`], it counts no certificate.
pub async fn states(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    now: Timestamp,
) -> Result<Vec<(KnownEdge, &'static str)>, StoreError> {
    let edges = store.edges().await?.into_iter();
    let state = |edge: &KnownEdge| state_of(edge, configured, now).0;
    Ok(edges
        .map(|edge| {
            let state = state(&edge);
            (edge, state)
        })
        .collect())
}

fn wire(edge: KnownEdge, presents: u64, state: &str) -> Edge {
    let compared = edge.compared;
    Edge {
        name: edge.name,
        state: state.to_owned(),
        approved_at: edge.approved_at,
        unreachable_since: edge.reachability.unreachable_since,
        answered_again_at: edge.reachability.answered_again_at,
        problem: edge.problem,
        presents,
        certificates: compared.map(|compared| compared.certificates),
        refused: compared.map(|compared| compared.refused),
        unknown: compared.map(|compared| compared.unknown),
        compared_at: compared.map(|compared| compared.at),
        first_seen_at: edge.first_seen_at,
        listed_at: edge.listed_at,
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::reachability::Reachability;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn known(name: &str) -> KnownEdge {
        KnownEdge {
            name: name.to_owned(),
            reachability: Reachability::default(),
            problem: None,
            first_seen_at: NOW,
            listed_at: NOW,
            approved_at: Some(NOW),
            compared: None,
        }
    }

    #[test]
    fn an_edge_that_is_no_longer_configured_is_distinguished_from_one_that_waits_or_answers() {
        let mut configured = HAProxyAgent {
            base_urls: vec!["https://edge1.internal:9403".parse().unwrap()],
            ..HAProxyAgent::default()
        };
        let word = |edge: &KnownEdge, configured: &HAProxyAgent| state_of(edge, configured, NOW).0;
        assert_eq!(
            word(&known("https://edge1.internal:9403"), &configured),
            "answers"
        );
        let mut other = known("https://edge2.internal:9403");
        other.reachability = Reachability::default()
            .failed(NOW, NOTED_WITHIN)
            .answered(NOW, NOTED_WITHIN);
        assert_eq!(word(&other, &configured), "no longer configured");
        configured.discovery.name = Some("_agent._tcp.edges.internal".to_owned());
        assert_eq!(word(&other, &configured), "on probation");
        other.approved_at = None;
        assert_eq!(word(&other, &configured), "waits for approval");
        other.listed_at = NOW - 2 * NOTED_WITHIN;
        assert_eq!(word(&other, &configured), "no longer configured");
    }
}
