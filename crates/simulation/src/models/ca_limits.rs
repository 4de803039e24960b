//! A CA that counts as Let's Encrypt does: what Boulder refuses, and when it says to come again.
//!
//! Written from the documented behaviour and not from the service's own ledger, so that one can be
//! held against the other. Time is a duration since any fixed moment, and every method takes it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// An order for the same names as a certificate younger than this is a renewal.
const RENEWAL_MEMORY: Duration = Duration::from_secs(120 * 24 * 3_600);

/// Token bucket parameters as Boulder's configuration has them.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Tokens that come back per period.
    pub count: u32,
    /// The period.
    pub period: Duration,
}

impl Rate {
    /// A bucket of `count` tokens that come back in one period.
    pub const fn per(count: u32, period: Duration) -> Self {
        Self {
            burst: count,
            count,
            period,
        }
    }

    fn emission_nanos(&self) -> i128 {
        self.period.as_nanos().cast_signed() / i128::from(self.count)
    }

    /// Boulder's rule: the theoretical arrival time after one more request must not lie further
    /// ahead than the burst lasts. Answers the new time, or how long until it would.
    fn spend(&self, stored: Option<i128>, now: Duration) -> Result<i128, Duration> {
        let now = now.as_nanos().cast_signed();
        let arrival = stored.map_or(now, |stored| stored.max(now)) + self.emission_nanos();
        let ahead = arrival - now - self.emission_nanos() * i128::from(self.burst);
        if ahead > 0 {
            let wait = u64::try_from(ahead).unwrap_or(u64::MAX);
            return Err(Duration::from_nanos(wait));
        }
        Ok(arrival)
    }
}

/// All rates of one CA.
#[derive(Debug, Clone, Copy)]
#[expect(
    missing_docs,
    reason = "each field is the limit of its name in the CA's documentation"
)]
pub struct Rates {
    pub new_accounts: Rate,
    pub new_orders: Rate,
    pub certificates_per_domain: Rate,
    pub certificates_per_set: Rate,
    pub failed_validations: Rate,
    pub consecutive_failures: Rate,
}

impl Rates {
    /// Let's Encrypt's production, August 2026.
    pub const LETS_ENCRYPT: Self = Self {
        new_accounts: Rate::per(10, Duration::from_secs(3 * 3_600)),
        new_orders: Rate::per(300, Duration::from_secs(3 * 3_600)),
        certificates_per_domain: Rate::per(50, Duration::from_secs(7 * 24 * 3_600)),
        certificates_per_set: Rate::per(5, Duration::from_secs(7 * 24 * 3_600)),
        failed_validations: Rate::per(5, HOUR),
        consecutive_failures: Rate {
            burst: 1_152,
            count: 1,
            period: DAY,
        },
    };
}

/// Why the CA refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 429 with `Retry-After`.
    Limited {
        /// The words of the problem document.
        detail: String,
        /// How long to stay away.
        retry_after: Duration,
    },
    /// 429 without `Retry-After`: the name is paused for this account.
    Paused {
        /// The words of the problem document, with the address at which a human unpauses.
        detail: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Accounts,
    Orders,
    Domain,
    Set,
    Failures,
    Consecutive,
}

/// The CA's counters.
#[derive(Debug, Clone)]
pub struct CaCounters {
    rates: Rates,
    buckets: HashMap<(Counted, String), i128>,
    paused: HashSet<(String, String)>,
    issued: HashMap<String, Duration>,
}

impl CaCounters {
    /// A CA that has counted nothing yet.
    pub fn new(rates: Rates) -> Self {
        Self {
            rates,
            buckets: HashMap::new(),
            paused: HashSet::new(),
            issued: HashMap::new(),
        }
    }

    /// An account is registered from an address.
    ///
    /// # Errors
    /// [`Refusal::Limited`] if the address registered too many accounts.
    pub fn new_account(&mut self, now: Duration, address: &str) -> Result<(), Refusal> {
        self.check_and_spend(now, &[(Counted::Accounts, address.to_owned())], 1)
    }

    /// A new order for one name. `replaces` tells that it names its predecessor inside the
    /// suggested window.
    ///
    /// # Errors
    /// [`Refusal::Paused`] if the name is paused, [`Refusal::Limited`] if a limit is used up.
    pub fn new_order(
        &mut self,
        now: Duration,
        account: &str,
        name: &str,
        replaces: bool,
    ) -> Result<(), Refusal> {
        if self.paused.contains(&pair(account, name)) {
            let detail = format!(
                "your account is temporarily prevented from requesting certificates for {name}; unpause it at \
                 https://ca.test/sfe/v1/unpause?jwt={name}"
            );
            return Err(Refusal::Paused { detail });
        }
        if replaces {
            return Ok(());
        }
        let failures = (Counted::Failures, format!("{account} {name}"));
        let set = (Counted::Set, name.to_owned());
        if self.is_renewal(now, name) {
            return self.check_and_spend(now, &[failures, set], 0);
        }
        let orders = (Counted::Orders, account.to_owned());
        let domain = (Counted::Domain, registered(name));
        self.check_and_spend(now, &[orders, failures, set, domain], 1)
    }

    /// A validation failed. The pair is paused when that was one too many.
    pub fn validation_failed(&mut self, now: Duration, account: &str, name: &str) {
        let subject = format!("{account} {name}");
        self.spend_if_there_is(now, (Counted::Failures, subject.clone()));
        if !self.spend_if_there_is(now, (Counted::Consecutive, subject)) {
            self.paused.insert(pair(account, name));
        }
    }

    /// A validation succeeded.
    pub fn validated(&mut self, account: &str, name: &str) {
        self.buckets
            .remove(&(Counted::Consecutive, format!("{account} {name}")));
    }

    /// A certificate was issued. `replaces` as at its order.
    pub fn issued(&mut self, now: Duration, name: &str, replaces: bool) {
        if !replaces && !self.is_renewal(now, name) {
            self.spend_if_there_is(now, (Counted::Domain, registered(name)));
        }
        self.spend_if_there_is(now, (Counted::Set, name.to_owned()));
        self.issued.insert(name.to_owned(), now);
    }

    /// A human followed the link.
    pub fn unpause(&mut self, account: &str, name: &str) {
        self.paused.remove(&pair(account, name));
        self.validated(account, name);
    }

    /// How many orders the account could place now, for plots of the headroom.
    pub fn orders_left(&self, now: Duration, account: &str) -> u32 {
        let rate = self.rates.new_orders;
        let now = now.as_nanos().cast_signed();
        let stored = self.buckets.get(&(Counted::Orders, account.to_owned()));
        let ahead = stored.map_or(0, |stored| (stored - now).max(0));
        let used = (ahead + rate.emission_nanos() - 1) / rate.emission_nanos();
        rate.burst
            .saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    fn is_renewal(&self, now: Duration, name: &str) -> bool {
        self.issued
            .get(name)
            .is_some_and(|at| now.saturating_sub(*at) <= RENEWAL_MEMORY)
    }

    fn rate(&self, counted: Counted) -> Rate {
        match counted {
            Counted::Accounts => self.rates.new_accounts,
            Counted::Orders => self.rates.new_orders,
            Counted::Domain => self.rates.certificates_per_domain,
            Counted::Set => self.rates.certificates_per_set,
            Counted::Failures => self.rates.failed_validations,
            Counted::Consecutive => self.rates.consecutive_failures,
        }
    }

    /// Every bucket must have a token; the first `spent` of them lose one. The one that clears last
    /// is named.
    fn check_and_spend(
        &mut self,
        now: Duration,
        buckets: &[(Counted, String)],
        spent: usize,
    ) -> Result<(), Refusal> {
        let mut refused: Option<(Duration, &(Counted, String))> = None;
        let mut arrivals = Vec::new();
        for key in buckets {
            match self.rate(key.0).spend(self.buckets.get(key).copied(), now) {
                Ok(arrival) => arrivals.push(arrival),
                Err(wait) if refused.is_none_or(|(longest, _)| wait > longest) => {
                    refused = Some((wait, key));
                }
                Err(_) => {}
            }
        }
        if let Some((wait, (counted, subject))) = refused {
            // Whole seconds, never too early.
            let retry_after = SECOND
                * u32::try_from(wait.as_nanos().div_ceil(SECOND.as_nanos())).unwrap_or(u32::MAX);
            let detail = words(*counted, subject);
            return Err(Refusal::Limited {
                detail,
                retry_after,
            });
        }
        for (key, arrival) in buckets.iter().zip(arrivals).take(spent) {
            self.buckets.insert(key.clone(), arrival);
        }
        Ok(())
    }

    fn spend_if_there_is(&mut self, now: Duration, key: (Counted, String)) -> bool {
        match self.rate(key.0).spend(self.buckets.get(&key).copied(), now) {
            Ok(arrival) => {
                self.buckets.insert(key, arrival);
                true
            }
            Err(_) => false,
        }
    }
}

fn pair(account: &str, name: &str) -> (String, String) {
    (account.to_owned(), name.to_owned())
}

/// Public suffix (private section included) plus one label; a suffix is its own.
fn registered(name: &str) -> String {
    psl::domain_str(name).unwrap_or(name).to_owned()
}

/// The phrases by which a client can tell the limits apart.
fn words(counted: Counted, subject: &str) -> String {
    let name = subject.split(' ').next_back().unwrap_or_default();
    match counted {
        Counted::Accounts => "too many new registrations from this address".to_owned(),
        Counted::Orders => "too many new orders from this account".to_owned(),
        Counted::Domain => format!("too many certificates already issued for \"{name}\""),
        Counted::Set => {
            "too many certificates already issued for this exact set of identifiers".to_owned()
        }
        Counted::Failures | Counted::Consecutive => {
            format!("too many failed authorizations for \"{name}\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn the_burst_goes_through_at_once_and_then_one_order_each_36_seconds() {
        let mut ca = CaCounters::new(Rates::LETS_ENCRYPT);
        for number in 0..300 {
            let name = format!("www.example-{number}.com");
            ca.new_order(START, "account", &name, false).unwrap();
        }
        assert_eq!(ca.orders_left(START, "account"), 0);
        let refused = ca
            .new_order(START, "account", "www.late.com", false)
            .unwrap_err();
        assert!(
            matches!(&refused, Refusal::Limited { retry_after, detail }
                if *retry_after == 36 * SECOND && detail.contains("new orders")),
            "{refused:?}"
        );
        ca.new_order(START + 36 * SECOND, "account", "www.late.com", false)
            .unwrap();
    }

    #[test]
    fn a_renewal_costs_no_order_but_counts_in_the_exact_set() {
        let mut ca = CaCounters::new(Rates::LETS_ENCRYPT);
        for _ in 0..5 {
            ca.new_order(START, "account", "a.example.com", false)
                .unwrap();
            ca.issued(START, "a.example.com", false);
        }
        assert_eq!(
            ca.orders_left(START, "account"),
            299,
            "only the first was no renewal"
        );
        let refused = ca.new_order(START, "account", "a.example.com", false);
        assert!(
            matches!(&refused, Err(Refusal::Limited { detail, .. }) if detail.contains("exact set")),
            "{refused:?}"
        );
        ca.new_order(START, "account", "a.example.com", true)
            .unwrap();
    }

    #[test]
    fn a_name_that_always_fails_is_limited_by_the_hour_and_paused_in_the_end() {
        let mut ca = CaCounters::new(Rates::LETS_ENCRYPT);
        for _ in 0..5 {
            ca.new_order(START, "account", "a.example.com", false)
                .unwrap();
            ca.validation_failed(START, "account", "a.example.com");
        }
        let refused = ca.new_order(START, "account", "a.example.com", false);
        assert!(matches!(refused, Err(Refusal::Limited { .. })));
        for _ in 5..=1_152 {
            ca.validation_failed(START, "account", "a.example.com");
        }
        let paused = ca.new_order(START, "account", "a.example.com", false);
        assert!(matches!(&paused, Err(Refusal::Paused { detail }) if detail.contains("https://")));
        ca.unpause("account", "a.example.com");
        ca.new_order(START + 12 * 60 * SECOND, "account", "a.example.com", false)
            .unwrap();
    }
}
