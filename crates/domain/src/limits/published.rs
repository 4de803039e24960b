//! All limits, and the numbers that CAs publish, by directory URL.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::bucket::Limit;
use super::charge::BucketKey;

/// A limit of a CA, by what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Orders of our account.
    NewOrders,
    /// New certificates of a registered domain, over all accounts.
    RegisteredDomain,
    /// Certificates for exactly the same names, over all accounts.
    ExactSet,
    /// Failed validations of a name by our account.
    FailedValidations,
    /// Failed validations of a name by our account without a success between; the CA pauses the
    /// name beyond.
    ConsecutiveFailures,
    /// Orders of one tenant for names without a certificate that are under way or failed. It is our
    /// own limit, so that no tenant uses up [`LimitKind::NewOrders`].
    UnprovenOrders,
    /// Accounts registered from our address.
    NewAccounts,
    /// Requests from our address.
    Requests(Endpoint),
}

/// The resources of RFC 8555 §7.1 and RFC 9773, as CAs limit requests to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The directory.
    Directory,
    /// `newNonce`.
    NewNonce,
    /// `newAccount`.
    NewAccount,
    /// `newOrder`.
    NewOrder,
    /// `revokeCert`.
    RevokeCert,
    /// `renewalInfo`.
    RenewalInfo,
    /// Accounts, orders, authorizations, challenges, finalize, certificates.
    Other,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Directory,
        Self::NewNonce,
        Self::NewAccount,
        Self::NewOrder,
        Self::RevokeCert,
        Self::RenewalInfo,
        Self::Other,
    ];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::NewNonce => "new_nonce",
            Self::NewAccount => "new_account",
            Self::NewOrder => "new_order",
            Self::RevokeCert => "revoke_cert",
            Self::RenewalInfo => "renewal_info",
            Self::Other => "other",
        }
    }
}

impl LimitKind {
    /// Every limit.
    pub const ALL: [Self; 14] = [
        Self::NewOrders,
        Self::RegisteredDomain,
        Self::ExactSet,
        Self::FailedValidations,
        Self::ConsecutiveFailures,
        Self::UnprovenOrders,
        Self::NewAccounts,
        Self::Requests(Endpoint::Directory),
        Self::Requests(Endpoint::NewNonce),
        Self::Requests(Endpoint::NewAccount),
        Self::Requests(Endpoint::NewOrder),
        Self::Requests(Endpoint::RevokeCert),
        Self::Requests(Endpoint::RenewalInfo),
        Self::Requests(Endpoint::Other),
    ];

    /// The name in the store and in the configuration below `LetsEncrypt:Limits`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewOrders => "NewOrders",
            Self::RegisteredDomain => "RegisteredDomain",
            Self::ExactSet => "ExactSet",
            Self::FailedValidations => "FailedValidations",
            Self::ConsecutiveFailures => "ConsecutiveFailures",
            Self::UnprovenOrders => "UnprovenOrders",
            Self::NewAccounts => "NewAccounts",
            Self::Requests(Endpoint::Directory) => "DirectoryRequests",
            Self::Requests(Endpoint::NewNonce) => "NewNonceRequests",
            Self::Requests(Endpoint::NewAccount) => "NewAccountRequests",
            Self::Requests(Endpoint::NewOrder) => "NewOrderRequests",
            Self::Requests(Endpoint::RevokeCert) => "RevokeCertRequests",
            Self::Requests(Endpoint::RenewalInfo) => "RenewalInfoRequests",
            Self::Requests(Endpoint::Other) => "OtherRequests",
        }
    }

    /// The value of the label `limit` in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NewOrders => "new_orders",
            Self::RegisteredDomain => "registered_domain",
            Self::ExactSet => "exact_set",
            Self::FailedValidations => "failed_validations",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::UnprovenOrders => "unproven_orders",
            Self::NewAccounts => "new_accounts",
            Self::Requests(Endpoint::Directory) => "directory_requests",
            Self::Requests(Endpoint::NewNonce) => "new_nonce_requests",
            Self::Requests(Endpoint::NewAccount) => "new_account_requests",
            Self::Requests(Endpoint::NewOrder) => "new_order_requests",
            Self::Requests(Endpoint::RevokeCert) => "revoke_cert_requests",
            Self::Requests(Endpoint::RenewalInfo) => "renewal_info_requests",
            Self::Requests(Endpoint::Other) => "other_requests",
        }
    }

    /// The limit of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// The longest wait for a limit of this kind: the longer of its published period and its period
    /// here.
    pub fn longest_wait(self, limit: &Limit) -> Duration {
        let published = match self {
            Self::NewOrders | Self::UnprovenOrders | Self::NewAccounts => 3 * HOUR,
            Self::RegisteredDomain | Self::ExactSet => 7 * DAY,
            Self::ConsecutiveFailures => DAY,
            Self::FailedValidations | Self::Requests(_) => HOUR,
        };
        published.max(limit.period)
    }

    /// The longest time between the debit and the CA's count. A request waits for its turn and for
    /// the network, and a certificate counts only when it is issued.
    pub const fn margin(self) -> Duration {
        match self {
            Self::NewOrders | Self::NewAccounts | Self::FailedValidations => {
                Duration::from_secs(60)
            }
            Self::RegisteredDomain | Self::ExactSet => Duration::from_secs(300),
            Self::ConsecutiveFailures => Duration::from_secs(3_600),
            Self::Requests(_) => Duration::from_millis(50),
            // No CA counts it.
            Self::UnprovenOrders => Duration::ZERO,
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Let's Encrypt's production directory.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Let's Encrypt's staging directory.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// The account's orders divided by the largest part for one tenant's unproven orders.
const TENANTS_PART: u32 = 4;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The limits of one CA; a kind that is absent has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaLimits(BTreeMap<LimitKind, Limit>);

impl CaLimits {
    /// The limit that a bucket is counted under; [`Limit::NONE`] for one of another version.
    pub fn of_bucket(&self, key: &BucketKey) -> Limit {
        key.parts()
            .map_or(Limit::NONE, |(kind, _, _)| self.get(kind))
    }

    /// The published limits of the CA at this directory, with the part for each tenant; none for an
    /// unknown CA.
    ///
    /// Let's Encrypt: <https://letsencrypt.org/docs/rate-limits/> and `/docs/staging-environment/`,
    /// August 2026.
    pub fn published(directory_url: &str) -> Self {
        let published = match directory_url {
            LETS_ENCRYPT => [
                (LimitKind::NewAccounts, Limit::per(10, 3 * HOUR)),
                (LimitKind::NewOrders, Limit::per(300, 3 * HOUR)),
                (LimitKind::RegisteredDomain, Limit::per(50, 7 * DAY)),
                (LimitKind::ExactSet, Limit::per(5, 7 * DAY)),
                (LimitKind::FailedValidations, Limit::per(5, HOUR)),
                (
                    LimitKind::ConsecutiveFailures,
                    Limit::bursting(1_152, 1, DAY),
                ),
            ]
            .into_iter()
            .chain(request_rates(half(300, 200), half(250, 125)))
            .fold(Self::default(), |limits, (kind, limit)| {
                limits.with(kind, limit)
            }),
            LETS_ENCRYPT_STAGING => [
                (LimitKind::NewAccounts, Limit::per(50, 3 * HOUR)),
                (LimitKind::NewOrders, Limit::per(1_500, 3 * HOUR)),
                (LimitKind::RegisteredDomain, Limit::per(30_000, SECOND)),
                (LimitKind::ExactSet, Limit::per(30_000, 7 * DAY)),
                (LimitKind::FailedValidations, Limit::per(200, HOUR)),
                (LimitKind::ConsecutiveFailures, Limit::per(3_600, 6 * HOUR)),
            ]
            .into_iter()
            .chain(request_rates(half(20, 40), half(20, 20)))
            .fold(Self::default(), |limits, (kind, limit)| {
                limits.with(kind, limit)
            }),
            _ => Self::default(),
        };
        published.with_tenants_part()
    }

    /// The same with another limit of one kind; [`Limit::NONE`] lifts it. The margin is that of the
    /// kind.
    #[must_use]
    pub fn with(mut self, kind: LimitKind, limit: Limit) -> Self {
        if limit.is_none() {
            self.0.remove(&kind);
        } else {
            self.0.insert(kind, limit.with_margin(kind.margin()));
        }
        self
    }

    /// The same with a limit for the unproven orders of each tenant: a quarter of the account's.
    #[must_use]
    pub fn with_tenants_part(self) -> Self {
        let orders = self.get(LimitKind::NewOrders);
        let part = Limit::bursting(
            (orders.burst / TENANTS_PART).max(u32::from(orders.burst > 0)),
            orders.count,
            orders.period * TENANTS_PART,
        );
        self.with(LimitKind::UnprovenOrders, part)
    }

    /// The limit of a kind; [`Limit::NONE`] without one.
    pub fn get(&self, kind: LimitKind) -> Limit {
        self.0.get(&kind).copied().unwrap_or(Limit::NONE)
    }

    /// Whether nothing at all is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Half of the published rate and burst, since the numbers at the CA's load balancers drift and
/// several replicas may share an address.
const fn half(per_second: u32, burst: u32) -> Limit {
    Limit::bursting(burst / 2, per_second / 2, SECOND)
}

fn request_rates(new_order: Limit, other: Limit) -> [(LimitKind, Limit); 7] {
    [
        (LimitKind::Requests(Endpoint::Directory), half(40, 40)),
        (LimitKind::Requests(Endpoint::NewNonce), half(20, 10)),
        (
            LimitKind::Requests(Endpoint::NewAccount),
            Limit::bursting(7, 5, 2 * SECOND),
        ),
        (LimitKind::Requests(Endpoint::NewOrder), new_order),
        (LimitKind::Requests(Endpoint::RevokeCert), half(10, 100)),
        (LimitKind::Requests(Endpoint::RenewalInfo), half(1_000, 100)),
        (LimitKind::Requests(Endpoint::Other), other),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_encrypt_gives_back_a_token_as_often_as_it_says() {
        let limits = CaLimits::published(LETS_ENCRYPT);
        let every = |kind| limits.get(kind).interval().as_secs();
        assert_eq!(every(LimitKind::NewAccounts), 18 * 60);
        assert_eq!(every(LimitKind::NewOrders), 36);
        assert_eq!(every(LimitKind::RegisteredDomain) / 60, 201);
        assert_eq!(every(LimitKind::ExactSet) / 3_600, 33);
        assert_eq!(every(LimitKind::FailedValidations), 12 * 60);
        assert_eq!(every(LimitKind::ConsecutiveFailures), 24 * 3_600);
        assert_eq!(limits.get(LimitKind::ConsecutiveFailures).burst, 1_152);
    }

    #[test]
    fn every_margin_is_shorter_than_the_burst_so_that_a_steady_stream_is_not_held_up() {
        for directory in [LETS_ENCRYPT, LETS_ENCRYPT_STAGING] {
            let limits = CaLimits::published(directory);
            for kind in LimitKind::ALL {
                let limit = limits.get(kind);
                // One second's worth of certificates under one name is no limit that an order
                // meets.
                if limit.period == SECOND && kind == LimitKind::RegisteredDomain {
                    continue;
                }
                let in_burst = limit.interval() * (limit.burst - 1);
                assert!(limit.margin < in_burst, "{kind} at {directory}");
            }
        }
    }

    #[test]
    fn a_tenants_unproven_orders_are_a_quarter_of_the_accounts() {
        let part = |orders| {
            let limits = CaLimits::default()
                .with(LimitKind::NewOrders, orders)
                .with_tenants_part();
            let part = limits.get(LimitKind::UnprovenOrders);
            (part.burst, part.interval())
        };
        assert_eq!(part(Limit::per(300, 3 * HOUR)), (75, 144 * SECOND));
        assert_eq!(part(Limit::bursting(1_152, 1, DAY)), (288, 4 * DAY));
        assert_eq!(part(Limit::per(2, HOUR)), (1, 2 * HOUR));
        let unlimited = CaLimits::default().with_tenants_part();
        assert!(unlimited.get(LimitKind::UnprovenOrders).is_none());
    }

    #[test]
    fn an_unknown_ca_has_no_limits_and_each_can_be_set_or_lifted() {
        assert!(CaLimits::published("https://ca.example/directory").is_empty());
        let limits = CaLimits::published(LETS_ENCRYPT)
            .with(LimitKind::NewOrders, Limit::per(10_000, 3 * HOUR))
            .with(LimitKind::ExactSet, Limit::NONE);
        assert_eq!(limits.get(LimitKind::NewOrders).burst, 10_000);
        assert!(limits.get(LimitKind::ExactSet).is_none());
    }
}
