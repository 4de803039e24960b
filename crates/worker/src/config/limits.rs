//! Section `LetsEncrypt:Limits`: the CA's limits where they differ from what is published.

use dps_domain::limits::{CaLimits, Endpoint, Limit, LimitKind};
use dps_host::HumanDuration;
use serde::{Deserialize, Serialize};

use super::report::Report;

/// Longer periods are a slip: no CA counts over more.
const LONGEST_PERIOD: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 60 * 60);

/// One limit: so much per period.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OneLimit {
    /// How many per period; 0 lifts the limit.
    pub count: u32,
    /// The period.
    pub period: HumanDuration,
    /// How many at once, instead of `Count`.
    #[serde(default)]
    pub burst: Option<u32>,
}

/// The limits by name; what is not set is as the CA publishes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Limits {
    /// Orders of the account.
    pub new_orders: Option<OneLimit>,
    /// New certificates of a registered domain.
    pub registered_domain: Option<OneLimit>,
    /// Certificates for exactly the same name.
    pub exact_set: Option<OneLimit>,
    /// Failed validations of a name.
    pub failed_validations: Option<OneLimit>,
    /// Failed validations of a name in a row.
    pub consecutive_failures: Option<OneLimit>,
    /// Accounts registered from our address.
    pub new_accounts: Option<OneLimit>,
    /// Requests for the directory.
    pub directory_requests: Option<OneLimit>,
    /// Requests for nonces.
    pub new_nonce_requests: Option<OneLimit>,
    /// Requests to register.
    pub new_account_requests: Option<OneLimit>,
    /// Requests for orders.
    pub new_order_requests: Option<OneLimit>,
    /// Requests to revoke.
    pub revoke_cert_requests: Option<OneLimit>,
    /// Requests for renewal information.
    pub renewal_info_requests: Option<OneLimit>,
    /// All other requests.
    pub other_requests: Option<OneLimit>,
}

/// The limits in the form in which they are configured; null where there is none.
pub(super) fn shown(limits: &CaLimits) -> serde_json::Value {
    let one = |kind| {
        let limit = limits.get(kind);
        let set = (!limit.is_none()).then(|| OneLimit {
            count: limit.count,
            period: limit.period.into(),
            burst: Some(limit.burst),
        });
        (kind.as_str().to_owned(), serde_json::json!(set))
    };
    LimitKind::ALL
        .into_iter()
        .map(one)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Limits {
    const fn of(&self, kind: LimitKind) -> Option<&OneLimit> {
        match kind {
            LimitKind::NewOrders => &self.new_orders,
            LimitKind::RegisteredDomain => &self.registered_domain,
            LimitKind::ExactSet => &self.exact_set,
            LimitKind::FailedValidations => &self.failed_validations,
            LimitKind::ConsecutiveFailures => &self.consecutive_failures,
            LimitKind::NewAccounts => &self.new_accounts,
            LimitKind::Requests(Endpoint::Directory) => &self.directory_requests,
            LimitKind::Requests(Endpoint::NewNonce) => &self.new_nonce_requests,
            LimitKind::Requests(Endpoint::NewAccount) => &self.new_account_requests,
            LimitKind::Requests(Endpoint::NewOrder) => &self.new_order_requests,
            LimitKind::Requests(Endpoint::RevokeCert) => &self.revoke_cert_requests,
            LimitKind::Requests(Endpoint::RenewalInfo) => &self.renewal_info_requests,
            LimitKind::Requests(Endpoint::Other) => &self.other_requests,
        }
        .as_ref()
    }

    /// The limits of the CA at this directory: the published ones with what is set here.
    pub fn effective(&self, directory_url: &str) -> CaLimits {
        LimitKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, self.of(kind)?)))
            .fold(CaLimits::published(directory_url), |limits, (kind, set)| {
                let burst = set.burst.unwrap_or(set.count);
                limits.with(kind, Limit::bursting(burst, set.count, set.period.get()))
            })
    }

    pub(super) fn check(&self, report: &mut Report) {
        for kind in LimitKind::ALL {
            let Some(set) = self.of(kind).filter(|set| set.count > 0) else {
                continue;
            };
            let key = |field| format!("LetsEncrypt:Limits:{kind}:{field}");
            let period = set.period.get();
            if period.is_zero() || period > LONGEST_PERIOD {
                report.error(
                    &key("Period"),
                    "must be more than nothing and at most a year; to lift the limit set Count to 0",
                );
            }
            if set.burst == Some(0) {
                report.error(
                    &key("Burst"),
                    "must be at least 1; to lift the limit set Count to 0",
                );
            }
        }
    }
}
