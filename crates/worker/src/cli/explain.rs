//! `dps explain`: where a domain stands, for people and programs.

use dps_admin_api::Explanation;
use dps_domain::Hostname;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::{OutputError, outln};

/// Prints where a domain stands, from what is stored.
pub async fn print(
    calls: &dyn AdminCalls,
    hostname: &Hostname,
    as_json: bool,
) -> anyhow::Result<()> {
    let found = calls.explain(hostname).await?;
    if as_json {
        outln!("{:#}", json!(found))?;
        return Ok(());
    }
    Ok(show(&found)?)
}

fn show(found: &Explanation) -> Result<(), OutputError> {
    outln!("{} ({})", found.hostname.to_unicode(), found.hostname)?;
    let since = found.status_since.map_or_else(String::new, |since| {
        format!(" since {}", since.whole_second())
    });
    outln!("  {}{since} ({})", found.status, found.phase)?;
    outln!("  {}", found.summary)?;
    show_failure(found)?;
    outln!("\nNext")?;
    match found.next.at {
        Some(at) => outln!("  {}, at {}", found.next.summary, at.whole_second())?,
        None => outln!("  {}", found.next.summary)?,
    }
    if let Some(lease) = &found.lease {
        let holder = lease.holder.as_deref().unwrap_or("a process");
        let until = lease.until.whole_second();
        let last = lease.last_replica.as_deref();
        let last = last.filter(|last| *last != holder);
        let last = last.map_or_else(String::new, |replica| format!("; {replica} acted last"));
        outln!("  {holder} works on it, with a lease until {until}{last}")?;
    }
    show_evidence(found)?;
    show_ca(found)?;
    show_edges(found)
}

fn show_failure(found: &Explanation) -> Result<(), OutputError> {
    outln!("\nWho must act")?;
    outln!("  {}", found.responsible.as_str())?;
    if let Some(code) = found.code {
        outln!("\nThe customer reads ({code})")?;
        outln!("  {}", found.message.as_deref().unwrap_or_default())?;
    }
    if let Some(remedy) = &found.remedy {
        outln!("\nWhat you can do")?;
        outln!("  {remedy}")?;
    }
    Ok(())
}

fn show_evidence(found: &Explanation) -> Result<(), OutputError> {
    let evidence = &found.evidence;
    if let Some(at) = evidence.dns_at {
        outln!("\nDNS, at {}", at.whole_second())?;
        for seen in &evidence.dns {
            let mut path = seen.chain.clone();
            path.push(seen.answer.clone());
            let (kind, path) = (seen.kind.as_str(), path.join(" → "));
            outln!("  {} ({kind}): {path}", seen.server)?;
        }
    }
    if let Some(at) = evidence.probes_at {
        outln!("\nHTTP probe, at {}", at.whole_second())?;
        for seen in &evidence.probes {
            outln!("  {}: {}", seen.address, seen.answer)?;
        }
    }
    if let (Some(at), Some(words)) = (evidence.ca_at, &evidence.ca_words) {
        outln!("\nThe CA said, at {}", at.whole_second())?;
        outln!("  {words}")?;
    }
    Ok(())
}

fn show_ca(found: &Explanation) -> Result<(), OutputError> {
    let delaying = found.limits.iter().filter(|limit| limit.until.is_some());
    for (index, limit) in delaying.enumerate() {
        if index == 0 {
            outln!("\nLimits that delay the next order")?;
        }
        let of = limit.name.as_deref().unwrap_or("the account");
        if let Some(until) = limit.until {
            outln!("  {} of {of}, until {}", limit.limit, until.whole_second())?;
        }
    }
    if !found.orders.is_empty() {
        outln!("\nOrders")?;
    }
    for order in &found.orders {
        let state = if order.is_open { "open" } else { "closed" };
        let placed_at = order.placed_at.whole_second();
        outln!("  {} ({state}, placed at {placed_at})", order.url)?;
    }
    if let Some(certificate) = &found.certificate {
        outln!("\nCertificate")?;
        outln!("  SHA-256 {}", certificate.fingerprint)?;
        outln!("  ends at {}", certificate.not_after.whole_second())?;
        if let Some(at) = certificate.renew_at {
            outln!("  renews at {}", at.whole_second())?;
        }
    }
    Ok(())
}

fn show_edges(found: &Explanation) -> Result<(), OutputError> {
    if found.edges.is_empty() {
        return Ok(());
    }
    outln!("\nEdges")?;
    for edge in &found.edges {
        let presents = match (&edge.presented, edge.is_wanted) {
            (None, true) => "presents no certificate, as it should".to_owned(),
            (None, false) => "was never seen to present a certificate".to_owned(),
            (Some(_), true) => "presents this certificate".to_owned(),
            (Some(other), false) => format!("presents another certificate, SHA-256 {other}"),
        };
        let since = edge.since.map_or_else(String::new, |since| {
            format!(" since {}", since.whole_second())
        });
        outln!("  {} ({}): {presents}{since}", edge.edge, edge.state)?;
    }
    outln!("\n`dps diagnose {}` checks all of it now.", found.hostname)
}
