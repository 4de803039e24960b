//! `dps limits`: what is left of the CA's limits, for people and programs, and the lifting of a
//! wait.

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::operator::limits::{Lifted, LimitState, lift, show};
use dps_application::ports::CertificateStore;
use dps_domain::limits::LimitKind;
use dps_domain::{Hostname, Timestamp};
use serde_json::{Value, json};

use super::output::outln;
use crate::config::{LetsEncrypt, Replica};

/// Prints every limit of the configured CA that is used in part or waited for.
pub async fn print(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    as_json: bool,
) -> anyhow::Result<()> {
    let limits = ca.effective_limits();
    let states = show(store, (ca.directory_url.as_str(), &limits), now).await?;
    if as_json {
        for state in &states {
            outln!("{}", value(state))?;
        }
        return Ok(());
    }
    if states.is_empty() {
        outln!("No limit of {} is used or waited for.", ca.directory_url)?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["limit", "of", "left", "next at", "CA: not before"]);
    for state in &states {
        table.add_row([
            state.kind.to_string(),
            state
                .subject
                .clone()
                .unwrap_or_else(|| "the account".to_owned()),
            left(state).map_or_else(|| "no limit".to_owned(), |left| left.to_string()),
            if state.next_at > now {
                state.next_at.to_string()
            } else {
                "now".to_owned()
            },
            state
                .blocked_until
                .map_or_else(String::new, |until| until.to_string()),
        ]);
    }
    outln!("{table}")?;
    Ok(())
}

/// Lifts a limit, of one name if one is given, and prints what came of it.
pub async fn lift_by_name(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    limit: &str,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let kind = LimitKind::named(limit).with_context(|| {
        let known = LimitKind::ALL.map(LimitKind::as_str).join(", ");
        format!("{limit:?} is not a limit; the limits are {known}")
    })?;
    let hostname = |name| Hostname::parse(name).with_context(|| format!("{name:?} cannot be used"));
    let subject = match (kind, name) {
        (_, None) => None,
        // Counted by tenant.
        (LimitKind::UnprovenOrders, Some(tenant)) => Some(tenant.to_owned()),
        (LimitKind::RegisteredDomain, Some(name)) => {
            Some(hostname(name)?.registered_domain().to_owned())
        }
        (_, Some(name)) => Some(hostname(name)?.as_str().to_owned()),
    };
    let subject = subject.as_deref();
    let directory_url = ca.directory_url.as_str();
    let Lifted { buckets, woken } = lift(
        store,
        (&Replica::operator(), now),
        directory_url,
        (kind, subject),
    )
    .await?;
    let lifted = buckets.len();
    outln!("{kind}: {lifted} lifted; {woken} waiting domains are due now.")?;
    outln!(
        "A running service continues within a minute. If the CA refuses a request again, it waits \
         again."
    )?;
    Ok(())
}

fn left(state: &LimitState) -> Option<u32> {
    Some(state.left).filter(|left| *left != u32::MAX)
}

fn value(state: &LimitState) -> Value {
    json!({
        "limit": state.kind.as_str(),
        "name": state.subject,
        "left": left(state),
        "nextAt": state.next_at,
        "blockedUntil": state.blocked_until,
    })
}
