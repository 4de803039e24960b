//! A CA that validates, issues, limits, revokes and suggests renewal windows as Let's Encrypt does.

mod faults;
mod order;
mod orders;
pub mod port;
mod revocation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::ca::CaError;
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Purpose, Timestamp, Until};
use rustc_hash::FxHashMap;

use order::Order;

use crate::models::ca_limits::{CaCounters, Rate, Rates, Refusal};
use crate::models::dns::Names;
use crate::models::edges::EdgeFleet;
use crate::models::line::Line;
use crate::models::names::PerName;
use crate::models::tally::{Switch, Tally, locked};
use crate::scenario::Scenario;
use crate::time::{Seeded, TrueTime, since};

const ACCOUNT: &str = "https://ca.test/account/1";

/// The URL of an account.
fn account_url(number: u32) -> String {
    format!("https://ca.test/account/{number}")
}

/// The CA.
#[derive(Debug)]
pub struct CaModel {
    /// The way to it.
    pub line: Line,
    /// Whether it answers 503 to polls about renewals.
    pub renewal_info_throttled: Switch,
    /// Counts of its requests, orders and refusals.
    pub tallies: Tallies,
    /// Deaths of replicas so far; after one, a second order for a name has a cause.
    pub crashes: Tally,
    settings: Settings,
    time: TrueTime,
    names: Arc<Names>,
    edges: Arc<EdgeFleet>,
    draws: Arc<Seeded>,
    validity: Mutex<Validity>,
    state: Mutex<State>,
}

/// The validity of certificates that the CA issues from now on.
#[derive(Debug, Clone, Copy)]
struct Validity {
    lifetime: Duration,
    /// From the start of validity to the moment of issuance.
    backdated: Duration,
}

/// The renewal information that the CA gives.
#[derive(Debug, Clone, Copy)]
enum Suggestions {
    None,
    /// By the dates of each certificate.
    ByDates,
    /// The same for every certificate.
    Always {
        window: SuggestedWindow,
        ask_again_after: Duration,
    },
}

#[derive(Debug)]
struct Settings {
    validates_after: Duration,
    issues_after: Duration,
    ask_again_after: Duration,
    reuses_orders: bool,
    limits_lifted: bool,
    orders_per_burst: u32,
}

/// Counts of the whole run.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each counts what its name says")]
pub struct Tallies {
    pub requests: Tally,
    pub orders: Tally,
    pub orders_that_replace: Tally,
    pub orders_again_while_one_was_live: Tally,
    pub orders_doubled_without_cause: Tally,
    pub orders_for_moved_away: Tally,
    pub refused_by_limit: Tally,
    pub refused_as_paused: Tally,
    pub failed_validations: Tally,
    pub issued: Tally,
    pub renewal_info_asked: Tally,
}

#[derive(Debug)]
struct State {
    counters: CaCounters,
    registered: bool,
    /// The number of our account.
    account: u32,
    renewal_info: Suggestions,
    orders: FxHashMap<u64, Order>,
    orders_placed: u64,
    serials: u64,
    /// The newest certificate and the newest order of each name.
    names: PerName<NameState>,
    /// Certificates that nobody has fetched.
    unfetched: BTreeMap<u64, u32>,
    /// How often each limit was the reason to refuse.
    refusals: BTreeMap<String, u64>,
    revocation: Option<Revoked>,
    /// Serials of the certificates that were revoked by request.
    revoked_by_request: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct NameState {
    serial: u64,
    not_before: i64,
    order: u64,
    is_revoked: bool,
}

#[derive(Debug)]
struct Revoked {
    at: Timestamp,
    /// Serials of the revoked certificates that are still served, by the domain's number.
    left: BTreeMap<u32, u64>,
    total: usize,
    /// After how long each was replaced everywhere.
    replaced_after: Vec<Duration>,
}

/// How a mass revocation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationResult {
    /// Certificates revoked.
    pub total: usize,
    /// Those served still, of domains that point at us.
    pub left: usize,
    /// After how long half, 99 in a hundred, and the last were replaced at every edge.
    pub replaced_after: [Duration; 3],
}

impl CaModel {
    /// A CA that has issued nothing.
    pub fn new(
        scenario: &Scenario,
        time: TrueTime,
        names: Arc<Names>,
        edges: Arc<EdgeFleet>,
        draws: Arc<Seeded>,
    ) -> Self {
        let ca = &scenario.ca;
        let rates = Rates {
            new_orders: Rate::per(ca.new_orders_per_three_hours, Duration::from_secs(3 * 3600)),
            ..Rates::LETS_ENCRYPT
        };
        let known = PerName::new(&names.book, NameState::default());
        Self {
            line: Line::new(ca.answers_after.get()),
            renewal_info_throttled: Switch::default(),
            tallies: Tallies::default(),
            crashes: Tally::default(),
            settings: Settings {
                validates_after: ca.validates_after.get(),
                issues_after: ca.issues_after.get(),
                ask_again_after: scenario.renewal_info.ask_again_after.get(),
                reuses_orders: true,
                limits_lifted: ca.limits_lifted,
                orders_per_burst: ca.new_orders_per_three_hours,
            },
            time,
            names,
            edges,
            draws,
            validity: Mutex::new(Validity {
                lifetime: ca.lifetime.get(),
                backdated: Duration::ZERO,
            }),
            state: Mutex::new(State {
                counters: CaCounters::new(rates),
                registered: false,
                account: 1,
                renewal_info: if scenario.renewal_info.offered {
                    Suggestions::ByDates
                } else {
                    Suggestions::None
                },
                orders: FxHashMap::default(),
                orders_placed: 0,
                serials: 0,
                names: known,
                unfetched: BTreeMap::new(),
                refusals: BTreeMap::new(),
                revocation: None,
                revoked_by_request: BTreeSet::new(),
            }),
        }
    }

    /// The same CA, but each order is a new one, as Pebble has it.
    #[must_use]
    pub fn without_reuse_of_orders(mut self) -> Self {
        self.settings.reuses_orders = false;
        self
    }

    /// How often each limit was the reason to refuse.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        locked(&self.state).refusals.clone()
    }

    /// The domains of certificates that were issued and never fetched.
    pub fn unfetched(&self) -> Vec<u32> {
        locked(&self.state).unfetched.values().copied().collect()
    }

    /// The unused part of the limit of new orders, from 0 to 1; 1 if no limit applies.
    pub fn order_headroom(&self) -> f64 {
        if self.settings.limits_lifted {
            return 1.0;
        }
        let left = locked(&self.state)
            .counters
            .orders_left(since(self.time.now()), ACCOUNT);
        f64::from(left) / f64::from(self.settings.orders_per_burst)
    }

    /// A call to the CA: nobody answers, or `act` does.
    async fn call<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, CaError>,
    ) -> Result<T, CaError> {
        self.tallies.requests.count();
        let answer = self.line.call(|| act(&mut locked(&self.state))).await;
        answer.unwrap_or_else(|| {
            Err(CaError::Unreachable {
                detail: "no answer".into(),
            })
        })
    }

    fn refused(&self, state: &mut State, refusal: Refusal) -> CaError {
        match refusal {
            Refusal::Limited {
                detail,
                retry_after,
            } => {
                self.tallies.refused_by_limit.count();
                let kind = detail
                    .split('"')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                *state.refusals.entry(kind).or_default() += 1;
                CaError::RateLimited {
                    until: Some(Until::named(
                        self.time.now() + retry_after,
                        self.time.now(),
                        Purpose::Limit,
                    )),
                    detail,
                }
            }
            Refusal::Paused { detail } => {
                self.tallies.refused_as_paused.count();
                let unpause_url = detail.split(' ').find(|word| word.starts_with("https://"));
                CaError::Paused {
                    unpause_url: unpause_url.map(str::to_owned),
                    detail: detail.clone(),
                }
            }
        }
    }
}
