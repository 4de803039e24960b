//! Section `LetsEncrypt:Limits`: limits of the CA that differ from the published ones.

use dps_domain::limits::{CaLimits, Endpoint, Limit, LimitKind};
use dps_host::HumanDuration;
use serde::{Deserialize, Serialize};

use super::report::Report;

/// Value for no limit.
const LIFTED: &str = "none";
/// Longest period; a longer one is a mistake.
const LONGEST_PERIOD: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 60 * 60);

/// Limits by name, such as `300 per 3h`; `None` is the published limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Limits {
    /// Orders of the account.
    pub new_orders: Option<String>,
    /// New certificates of one registered domain.
    pub registered_domain: Option<String>,
    /// Certificates for exactly the same name.
    pub exact_set: Option<String>,
    /// Failed validations of one name.
    pub failed_validations: Option<String>,
    /// Consecutive failed validations of one name, after which the CA pauses it.
    pub consecutive_failures: Option<String>,
    /// Orders of one tenant for names without a certificate, under way or failed. A limit of ours;
    /// `None` is a quarter of `new_orders`.
    pub unproven_orders: Option<String>,
    /// Accounts registered from our address.
    pub new_accounts: Option<String>,
    /// Requests for the directory.
    pub directory_requests: Option<String>,
    /// Requests for nonces.
    pub new_nonce_requests: Option<String>,
    /// Requests for accounts.
    pub new_account_requests: Option<String>,
    /// Requests for orders.
    pub new_order_requests: Option<String>,
    /// Requests for revocations.
    pub revoke_cert_requests: Option<String>,
    /// Requests for renewal information.
    pub renewal_info_requests: Option<String>,
    /// All other requests.
    pub other_requests: Option<String>,
}

/// Returns the limits in the form of the section.
pub(super) fn shown(limits: &CaLimits) -> serde_json::Value {
    let one = |kind: LimitKind| (kind.as_str().to_owned(), written(&limits.get(kind)).into());
    LimitKind::ALL
        .into_iter()
        .map(one)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn written(limit: &Limit) -> String {
    if limit.is_none() {
        return LIFTED.to_owned();
    }
    let per = format!("{} per {}", limit.count, HumanDuration::from(limit.period));
    if limit.burst == limit.count {
        return per;
    }
    format!("{per}, burst {}", limit.burst)
}

/// Parses `300 per 3h`, `1 per 1d, burst 1152`, or `none`.
fn read(text: &str) -> Result<Limit, String> {
    if text.trim().eq_ignore_ascii_case(LIFTED) {
        return Ok(Limit::NONE);
    }
    let form = || {
        format!(
            "is {text:?}; write it like \"300 per 3h\", \"1 per 1d, burst 1152\" or \"{LIFTED}\""
        )
    };
    let (rate, burst) = match text.split_once(',') {
        Some((rate, burst)) => (
            rate,
            Some(burst.trim().strip_prefix("burst ").ok_or_else(form)?),
        ),
        None => (text, None),
    };
    let (count, period) = rate.split_once(" per ").ok_or_else(form)?;
    let number = |text: &str| match text.trim().parse::<u32>() {
        Ok(0) | Err(_) => Err(form()),
        Ok(number) => Ok(number),
    };
    let count = number(count)?;
    let burst = burst.map_or(Ok(count), number)?;
    let period: HumanDuration = period.trim().parse().map_err(|_| form())?;
    if period.get().is_zero() || period.get() > LONGEST_PERIOD {
        return Err(format!(
            "has the period {period}, which must be more than zero and at most one year"
        ));
    }
    Ok(Limit::bursting(burst, count, period.get()))
}

impl Limits {
    fn of(&self, kind: LimitKind) -> Option<&str> {
        match kind {
            LimitKind::NewOrders => &self.new_orders,
            LimitKind::RegisteredDomain => &self.registered_domain,
            LimitKind::ExactSet => &self.exact_set,
            LimitKind::FailedValidations => &self.failed_validations,
            LimitKind::ConsecutiveFailures => &self.consecutive_failures,
            LimitKind::UnprovenOrders => &self.unproven_orders,
            LimitKind::NewAccounts => &self.new_accounts,
            LimitKind::Requests(Endpoint::Directory) => &self.directory_requests,
            LimitKind::Requests(Endpoint::NewNonce) => &self.new_nonce_requests,
            LimitKind::Requests(Endpoint::NewAccount) => &self.new_account_requests,
            LimitKind::Requests(Endpoint::NewOrder) => &self.new_order_requests,
            LimitKind::Requests(Endpoint::RevokeCert) => &self.revoke_cert_requests,
            LimitKind::Requests(Endpoint::RenewalInfo) => &self.renewal_info_requests,
            LimitKind::Requests(Endpoint::Other) => &self.other_requests,
        }
        .as_deref()
    }

    /// The limits of the CA at this directory: the published ones with what is set here and can be
    /// read.
    pub fn effective(&self, directory_url: &str) -> CaLimits {
        let is_set = |kind| Some((kind, read(self.of(kind)?).ok()?));
        let set = LimitKind::ALL.into_iter().filter_map(is_set);
        let orders = is_set(LimitKind::NewOrders);
        let base = orders.into_iter().fold(
            CaLimits::published(directory_url),
            |limits, (kind, limit)| limits.with(kind, limit),
        );
        set.fold(base.with_tenants_part(), |limits, (kind, limit)| {
            limits.with(kind, limit)
        })
    }

    pub(super) fn check(&self, report: &mut Report) {
        for kind in LimitKind::ALL {
            if let Some(Err(reason)) = self.of(kind).map(read) {
                report.error(&format!("LetsEncrypt:Limits:{kind}"), reason);
            }
        }
    }
}
