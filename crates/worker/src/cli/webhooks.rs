//! `dps webhooks`: the deliveries to the receivers of events, and their repetition.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::RedeliverRequest;
use dps_domain::Timestamp;
use serde_json::json;

use super::act::Why;
use super::calls::AdminCalls;
use super::output::outln;

/// The events to deliver again.
#[derive(Debug, Clone, Args)]
#[group(id = "which", required = true, multiple = false, args = ["event", "since"])]
pub struct Redeliver {
    /// Identifier of an event, as its header webhook-id and the log name it
    #[arg(value_name = "ID")]
    pub event: Option<String>,
    /// Every event since this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Only to the receiver of this name, as `dps webhooks list` prints it
    #[arg(long, value_name = "NAME")]
    pub receiver: Option<String>,
    /// The reason
    #[command(flatten)]
    pub why: Why,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Prints the deliveries to every receiver that is configured or has any.
pub async fn list(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let receivers = calls.webhooks().await?.items;
    if as_json {
        for receiver in receivers {
            outln!("{}", json!(receiver))?;
        }
        return Ok(());
    }
    if receivers.is_empty() {
        outln!("No receiver is configured; see Webhooks in `dps config sample`.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "receiver",
        "setting",
        "pending",
        "since",
        "failed",
        "last success",
    ]);
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    for one in receivers {
        table.add_row([
            one.receiver,
            one.setting.unwrap_or_else(|| "not configured".to_owned()),
            one.pending.to_string(),
            time(one.oldest_pending),
            one.failed.to_string(),
            time(one.last_success),
        ]);
    }
    outln!("{table}")?;
    Ok(())
}

/// Requests that events be delivered again, and prints their number.
pub async fn redeliver(calls: &dyn AdminCalls, request: Redeliver) -> anyhow::Result<()> {
    let done = calls
        .redeliver(&RedeliverRequest {
            event: request.event,
            since: request.since,
            receiver: request.receiver,
            reason: request.why.reason,
        })
        .await?;
    if done.deliveries == 0 {
        anyhow::bail!(
            "there is no such event that was delivered or given up; events are kept for 14 days, \
             and `dps webhooks list` prints the names of receivers"
        );
    }
    if request.json {
        outln!("{}", json!(done))?;
        return Ok(());
    }
    let due = done.deliveries;
    outln!("{due} deliveries are due again; a running service continues within seconds.")?;
    Ok(())
}
