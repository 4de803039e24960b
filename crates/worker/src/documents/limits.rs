//! The limits of the CA.

use dps_admin_api::{Lifted, Limit, Limits};
use dps_application::operator;
use dps_application::operator::limits::{Headroom, LimitState, LimitsPage};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::limits::LimitKind;
use dps_domain::text::shown;
use dps_domain::{Hostname, Timestamp};

use crate::config::LetsEncrypt;

fn left(state: &LimitState) -> Option<u32> {
    Some(state.left).filter(|left| *left != u32::MAX)
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

/// A page of limits as programs read it.
pub fn wire_page(page: LimitsPage) -> Limits {
    Limits {
        items: page.states.into_iter().map(wire).collect(),
        next: page.next,
    }
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

/// The effect of a lift as programs read it.
pub fn wire_lifted(lifted: &operator::limits::Lifted) -> Lifted {
    Lifted {
        lifted: lifted.buckets.len(),
        woken: lifted.woken,
        is_complete: lifted.is_complete,
    }
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
