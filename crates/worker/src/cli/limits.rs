//! `dps limits`: what is left of the CA's limits, for people and programs, and the lifting of a
//! wait.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::Limit;
use dps_application::operator;
use dps_application::operator::limits::{Headroom, Lifted, LimitState, LimitsPage, lift, show};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::limits::LimitKind;
use dps_domain::text::shown;
use dps_domain::{Hostname, Timestamp};
use serde_json::json;

use super::act::{self, Author};
use super::output::outln;
use crate::config::LetsEncrypt;

/// Prints every limit of the configured CA that is used in part or waited for.
pub async fn print(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        for limit in all(store, ca, now).await? {
            outln!("{}", json!(limit))?;
        }
        return Ok(());
    }
    let limits = ca.effective_limits();
    let states = show(store, (ca.directory_url.as_str(), &limits), now).await?;
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
    (author, now): (&Author, Timestamp),
    limit: &str,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let (kind, subject) = parse(limit, name)?;
    let subject = subject.as_deref();
    let directory_url = ca.directory_url.as_str();
    let in_time = operator::in_time();
    let done = lift(
        store,
        (author.requester(), now),
        directory_url,
        (kind, subject),
        &in_time,
    );
    let Lifted {
        buckets,
        woken,
        is_complete,
    } = done.await?;
    let lifted = buckets.len();
    outln!("{kind}: {lifted} lifted; {woken} waiting domains are due now.")?;
    outln!(
        "A running service continues within a minute. If the CA refuses a request again, it waits \
         again."
    )?;
    Ok(act::print_if_cut_short(is_complete)?)
}

fn left(state: &LimitState) -> Option<u32> {
    Some(state.left).filter(|left| *left != u32::MAX)
}

/// The limits of the configured CA that are used in part or waited for, as programs read them.
pub async fn all(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
) -> Result<Vec<Limit>, StoreError> {
    let limits = ca.effective_limits();
    let states = show(store, (ca.directory_url.as_str(), &limits), now).await?;
    Ok(states.into_iter().map(wire).collect())
}

/// A page of the limits of the configured CA that are used in part or waited for.
pub async fn page(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    place: (&str, u32),
) -> Result<LimitsPage, StoreError> {
    let limits = ca.effective_limits();
    operator::limits::page(store, (ca.directory_url.as_str(), &limits), now, place).await
}

/// The limits of the account and the address, used or not.
pub async fn of_account(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
) -> Result<Vec<Headroom>, StoreError> {
    let limits = ca.effective_limits();
    operator::limits::of_account(store, (ca.directory_url.as_str(), &limits), now).await
}

/// A bucket as programs read it.
pub fn wire(state: LimitState) -> Limit {
    Limit {
        limit: state.kind.as_str().to_owned(),
        left: left(&state),
        name: state.subject,
        next_at: state.next_at,
        blocked_until: state.blocked_until,
    }
}

/// A limit or the name of one that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct LimitError {
    /// The argument or field.
    pub field: &'static str,
    /// The reason, with the remedy.
    pub problem: String,
}

/// Parses a limit and the name whose limit it is; of a hostname, the part that the limit counts.
pub fn parse(limit: &str, name: Option<&str>) -> Result<(LimitKind, Option<String>), LimitError> {
    let unknown = || {
        let known = LimitKind::ALL.map(LimitKind::as_str).join(", ");
        let limit = shown(limit, 100);
        LimitError {
            field: "limit",
            problem: format!("{limit:?} is not a limit; the limits are {known}"),
        }
    };
    let kind = LimitKind::named(limit).ok_or_else(unknown)?;
    let hostname = |name: &str| {
        Hostname::parse(name).map_err(|error| LimitError {
            field: "name",
            problem: format!("{:?} cannot be used: {error}", shown(name, 300)),
        })
    };
    let subject = match (kind, name) {
        (_, None) => None,
        // Counted by tenant.
        (LimitKind::UnprovenOrders, Some(tenant)) => Some(tenant.to_owned()),
        (LimitKind::RegisteredDomain, Some(name)) => {
            Some(hostname(name)?.registered_domain().to_owned())
        }
        (_, Some(name)) => Some(hostname(name)?.as_str().to_owned()),
    };
    Ok((kind, subject))
}
