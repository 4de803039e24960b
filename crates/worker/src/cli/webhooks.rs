//! `dps webhooks`: the deliveries to the receivers of events, and their repetition.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{Redelivered, Redelivery, WebhookState};
use dps_domain::Timestamp;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::webhook::WebhookReceiver;
use serde_json::json;

use super::act::{Author, Why};
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
}

/// Prints the deliveries to every receiver that is configured or has any.
pub async fn list(
    store: &dyn CertificateStore,
    configured: &[WebhookReceiver],
    as_json: bool,
) -> anyhow::Result<()> {
    let mut states = store.webhooks_state().await?;
    for receiver in configured {
        if !states.iter().any(|state| state.receiver == receiver.name) {
            states.push(WebhookState {
                receiver: receiver.name.clone(),
                pending: 0,
                failed: 0,
                oldest_pending: None,
                last_success: None,
            });
        }
    }
    states.sort_by(|one, other| one.receiver.cmp(&other.receiver));
    let setting = |state: &WebhookState| {
        let mut known = configured.iter();
        let index = known.position(|known| known.name == state.receiver);
        index.map(|index| format!("Webhooks:{index}"))
    };
    if as_json {
        for state in &states {
            let line = json!({
                "receiver": state.receiver,
                "setting": setting(state),
                "pending": state.pending,
                "failed": state.failed,
                "oldestPending": state.oldest_pending,
                "lastSuccess": state.last_success,
            });
            outln!("{line}")?;
        }
        return Ok(());
    }
    if states.is_empty() {
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
    for state in &states {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        table.add_row([
            state.receiver.clone(),
            setting(state).unwrap_or_else(|| "not configured".to_owned()),
            state.pending.to_string(),
            time(state.oldest_pending),
            state.failed.to_string(),
            time(state.last_success),
        ]);
    }
    outln!("{table}")?;
    Ok(())
}

/// Requests that events be delivered again, and prints their number.
pub async fn redeliver(
    store: &dyn CertificateStore,
    request: Redeliver,
    now: Timestamp,
) -> anyhow::Result<()> {
    let author = Author::of_command(request.why);
    let (which, words) = match (request.event, request.since) {
        (Some(id), _) => (Redelivered::Event(id.clone()), id),
        (None, Some(since)) => (Redelivered::Since(since), format!("since {since}")),
        (None, None) => anyhow::bail!("name an event, or a time with --since"),
    };
    let receiver = request.receiver;
    let words = match &receiver {
        Some(name) => format!("{words} to {name}"),
        None => words,
    };
    let (kind, scope) = (ActionKind::WebhooksRedeliver, ActionScope::All);
    let action = OperatorAction::new(author.requester(), now, kind, scope, &words);
    let redelivery = Redelivery { which, receiver };
    let requested = store.webhooks_redeliver(&redelivery, &action).await?;
    if requested == 0 {
        anyhow::bail!(
            "there is no such event that was delivered or given up; events are kept for 14 days, and \
             `dps webhooks list` prints the names of receivers"
        );
    }
    outln!("{requested} deliveries are due again; a running service continues within seconds.")?;
    Ok(())
}
