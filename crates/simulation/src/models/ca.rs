//! A CA that validates, issues, limits, revokes and suggests as Let's Encrypt does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::CertificateAuthority;
use dps_application::ports::ca::{
    Account, AuthorizationView, CaError, Http01, OrderStatus, OrderView, RenewalInfoResponse,
};
use dps_domain::limits::published::LETS_ENCRYPT;
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Failure, Hostname, Purpose, Timestamp, Until};
use rustc_hash::FxHashMap;
use secrecy::SecretString;

use crate::ca_limits::{CaCounters, Rate, Rates, Refusal};
use crate::dns::Names;
use crate::edges::EdgeFleet;
use crate::line::Line;
use crate::names;
use crate::pki::{Leaf, read_ari_id};
use crate::scenario::Scenario;
use crate::time::{Seeded, WorldTime};
use crate::world::{Switch, Tally, locked, since};

const ACCOUNT: &str = "https://ca.test/account/1";
const ORDERS: &str = "https://ca.test/order/";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What Boulder says while it issues.
const WHILE_ISSUING: Duration = Duration::from_secs(3);
/// What the throttled renewal information says.
const WHILE_THROTTLED: Duration = Duration::from_secs(3600);
/// An order that nobody finishes ends after a week.
const ORDER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Who left so short a time ago may not have been noticed.
const JUST_LEFT: Duration = Duration::from_secs(10 * 60);

/// The CA.
#[derive(Debug)]
pub struct CaModel {
    /// The way to it.
    pub line: Line,
    /// Whether it answers 503 to polls about renewals.
    pub renewal_info_throttled: Switch,
    /// What it counted.
    pub tallies: Tallies,
    /// Replicas that died, which it cannot know.
    pub crashes: Tally,
    settings: Settings,
    time: WorldTime,
    names: Arc<Names>,
    edges: Arc<EdgeFleet>,
    draws: Arc<Seeded>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Settings {
    lifetime: Duration,
    validates_after: Duration,
    issues_after: Duration,
    ask_again_after: Duration,
    offers_renewal_info: bool,
    limits_lifted: bool,
    orders_per_burst: u32,
}

/// What the CA saw.
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
    orders: FxHashMap<u64, Order>,
    orders_placed: u64,
    serials: u64,
    /// The newest certificate and the newest order of each name.
    names: Vec<NameState>,
    /// Certificates that nobody has fetched.
    unfetched: BTreeMap<u64, u32>,
    /// How often each limit was the reason to refuse.
    refusals: BTreeMap<String, u64>,
    revocation: Option<Revoked>,
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
    /// Number and serial of what is served still.
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

#[derive(Debug, Clone)]
struct Order {
    number: u32,
    name: String,
    replaces: bool,
    placed_at: Timestamp,
    causes_before: u64,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Pending,
    Validating,
    Ready,
    Issued { from: Timestamp, leaf: Leaf },
    Invalid(Failure),
}

impl Order {
    fn is_live(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Pending | Stage::Validating | Stage::Ready => {
                now.since(self.placed_at) < ORDER_LIFETIME
            }
            Stage::Issued { from, .. } => from > now,
            Stage::Invalid(_) => false,
        }
    }
}

impl CaModel {
    /// A CA that has issued nothing.
    pub fn new(
        scenario: &Scenario,
        time: WorldTime,
        (names, edges): (Arc<Names>, Arc<EdgeFleet>),
        draws: Arc<Seeded>,
    ) -> Self {
        let ca = &scenario.ca;
        let rates = Rates {
            new_orders: Rate::per(ca.new_orders_per_three_hours, Duration::from_secs(3 * 3600)),
            ..Rates::LETS_ENCRYPT
        };
        let domains = usize::try_from(scenario.domains).unwrap_or(usize::MAX);
        Self {
            line: Line::new(ca.answers_after.get()),
            renewal_info_throttled: Switch::default(),
            tallies: Tallies::default(),
            crashes: Tally::default(),
            settings: Settings {
                lifetime: ca.lifetime.get(),
                validates_after: ca.validates_after.get(),
                issues_after: ca.issues_after.get(),
                ask_again_after: scenario.renewal_info.ask_again_after.get(),
                offers_renewal_info: scenario.renewal_info.offered,
                limits_lifted: ca.limits_lifted,
                orders_per_burst: ca.new_orders_per_three_hours,
            },
            time,
            names,
            edges,
            draws,
            state: Mutex::new(State {
                counters: CaCounters::new(rates),
                registered: false,
                orders: FxHashMap::default(),
                orders_placed: 0,
                serials: 0,
                names: vec![NameState::default(); domains],
                unfetched: BTreeMap::new(),
                refusals: BTreeMap::new(),
                revocation: None,
            }),
        }
    }

    /// The CA finds that a share of its certificates must go.
    pub fn revoke(&self, share: f64) {
        let now = self.time.now();
        let mut state = locked(&self.state);
        let mut left = BTreeMap::new();
        let still_valid = now.unix_micros() - micros(self.settings.lifetime);
        for (number, name) in (0..).zip(&mut state.names) {
            if name.serial != 0 && name.not_before > still_valid && self.draws.chance(share) {
                name.is_revoked = true;
                left.insert(number, name.serial);
            }
        }
        state.revocation = Some(Revoked {
            at: now,
            total: left.len(),
            left,
            replaced_after: vec![],
        });
    }

    /// Notes which revoked certificates are served no more. To be asked every now and then.
    pub fn note_replaced(&self) {
        let now = self.time.now();
        let mut state = locked(&self.state);
        let Some(revoked) = &mut state.revocation else {
            return;
        };
        let edges = 0..self.edges.edges.len();
        let after = now.since(revoked.at);
        let before = revoked.left.len();
        revoked.left.retain(|number, serial| {
            edges.clone().any(|edge| {
                let served = self.edges.served(edge, *number);
                served.is_some_and(|served| served.serial == *serial)
            })
        });
        let replaced = before - revoked.left.len();
        revoked
            .replaced_after
            .extend(std::iter::repeat_n(after, replaced));
    }

    /// How the mass revocation went so far, if there was one.
    pub fn revocation(&self) -> Option<RevocationResult> {
        let state = locked(&self.state);
        let revoked = state.revocation.as_ref()?;
        let times = &revoked.replaced_after;
        let rank = |share: usize| {
            let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default()
        };
        let ours = |number: &&u32| self.names.pointing_since(**number).is_some();
        Some(RevocationResult {
            total: revoked.total,
            left: revoked.left.keys().filter(ours).count(),
            replaced_after: [rank(50), rank(99), rank(100)],
        })
    }

    /// How often each limit was the reason to refuse.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        locked(&self.state).refusals.clone()
    }

    /// The domains of certificates that were issued and never fetched.
    pub fn unfetched(&self) -> Vec<u32> {
        locked(&self.state).unfetched.values().copied().collect()
    }

    /// What is left of the limit of new orders, from 0 to 1.
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
            Err(CaError::Unavailable {
                detail: "no answer".into(),
                retry_after: None,
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

    fn window(&self, name: NameState, serial: u64) -> Option<SuggestedWindow> {
        let lifetime = self.settings.lifetime;
        let now = self.time.now();
        if name.is_revoked && name.serial == serial {
            return SuggestedWindow::new(now - 60 * MINUTE, now - 30 * MINUTE).ok();
        }
        let middle = if lifetime < 10 * DAY {
            lifetime / 2
        } else {
            lifetime * 2 / 3
        };
        let middle = Timestamp::from_unix_micros(name.not_before) + middle;
        SuggestedWindow::new(middle - lifetime / 100, middle + lifetime / 100).ok()
    }

    /// Whether an order that names this predecessor is free of all limits.
    fn replaces(&self, state: &State, number: u32, replaces: Option<&str>) -> bool {
        let Some((of, serial)) = replaces.and_then(read_ari_id) else {
            return false;
        };
        let is_of_it = names::number_in(of) == Some(number);
        let Some(name) = state.names.get(number as usize).filter(|_| is_of_it) else {
            return false;
        };
        let window = self.window(*name, serial).filter(|_| name.serial == serial);
        window.is_some_and(|window| window.contains(self.time.now()))
    }

    fn place(
        &self,
        state: &mut State,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        let now = self.time.now();
        let Some(number) =
            names::number(host).filter(|number| (*number as usize) < state.names.len())
        else {
            return Err(CaError::RejectedIdentifier {
                detail: "nobody's name".into(),
            });
        };
        let replaces = self.replaces(state, number, replaces);
        if !self.settings.limits_lifted {
            let counted = state
                .counters
                .new_order(since(now), ACCOUNT, host.as_str(), replaces);
            if let Err(refusal) = counted {
                return Err(self.refused(state, refusal));
            }
        }
        self.tallies.orders.count();
        if replaces {
            self.tallies.orders_that_replace.count();
        }
        let left = self.names.away_since(number);
        if left.is_some_and(|left| now.since(left) > JUST_LEFT) {
            self.tallies.orders_for_moved_away.count();
        }
        let earlier = state.names[number as usize].order;
        if let Some(order) = state.orders.get(&earlier) {
            if order.is_live(now) {
                // As Boulder does: the same names, the same account, the same order.
                self.tallies.orders_again_while_one_was_live.count();
                if self.causes() == order.causes_before {
                    self.tallies.orders_doubled_without_cause.count();
                }
                return Ok(format!("{ORDERS}{earlier}"));
            }
            state.orders.remove(&earlier);
        }
        state.orders_placed += 1;
        let id = state.orders_placed;
        state.names[number as usize].order = id;
        let order = Order {
            number,
            name: host.as_str().to_owned(),
            replaces,
            placed_at: now,
            causes_before: self.causes(),
            stage: Stage::Pending,
        };
        state.orders.insert(id, order);
        Ok(format!("{ORDERS}{id}"))
    }

    /// What can make somebody who asks for an order not hear of it: a death of theirs, or an answer
    /// that was lost.
    fn causes(&self) -> u64 {
        self.crashes.get() + self.line.responses_lost()
    }

    fn find<'a>(&self, state: &'a mut State, url: &str) -> Result<(u64, &'a mut Order), CaError> {
        let gone = || CaError::OrderGone {
            detail: "no such order".into(),
        };
        let id: u64 = url
            .strip_prefix(ORDERS)
            .and_then(|id| id.parse().ok())
            .ok_or_else(gone)?;
        let now = self.time.now();
        let order = state.orders.get_mut(&id).ok_or_else(gone)?;
        let unfinished = matches!(
            order.stage,
            Stage::Pending | Stage::Validating | Stage::Ready
        );
        if unfinished && now.since(order.placed_at) >= ORDER_LIFETIME {
            return Err(gone());
        }
        Ok((id, order))
    }

    fn validate(&self, id: u64) {
        let now = since(self.time.now());
        let mut state = locked(&self.state);
        let state = &mut *state;
        let Some(order) = state.orders.get_mut(&id) else {
            return;
        };
        let points_at_us = self.names.pointing_since(order.number).is_some();
        let challenge = http_01(id);
        let failure = if !points_at_us {
            Some(("dns", "the name does not exist"))
        } else if !self
            .edges
            .answers(&challenge.token, &challenge.key_authorization)
        {
            Some(("connection", "nobody answers at one of the addresses"))
        } else {
            None
        };
        match failure {
            None => {
                state.counters.validated(ACCOUNT, &order.name);
                order.stage = Stage::Ready;
            }
            Some((sub_cause, detail)) => {
                self.tallies.failed_validations.count();
                if !self.settings.limits_lifted {
                    state.counters.validation_failed(now, ACCOUNT, &order.name);
                }
                order.stage = Stage::Invalid(Failure::AcmeValidationFailed {
                    sub_cause: sub_cause.into(),
                    detail: detail.into(),
                });
            }
        }
    }

    fn issue(&self, state: &mut State, url: &str) -> Result<(), CaError> {
        let now = self.time.now();
        let (_, order) = self.find(state, url)?;
        if !matches!(order.stage, Stage::Ready) {
            return Err(CaError::OrderGone {
                detail: "the order is not ready".into(),
            });
        }
        let (number, name, replaces) = (order.number, order.name.clone(), order.replaces);
        let not_before = now;
        state.serials += 1;
        let serial = state.serials;
        let leaf = Leaf {
            name: name.clone(),
            serial,
            not_before,
            not_after: not_before + self.settings.lifetime,
        };
        let from = now + self.settings.issues_after;
        if let Ok((_, order)) = self.find(state, url) {
            order.stage = Stage::Issued { from, leaf };
        }
        state.unfetched.insert(serial, number);
        self.tallies.issued.count();
        if !self.settings.limits_lifted {
            state.counters.issued(since(now), &name, replaces);
        }
        let known = &mut state.names[number as usize];
        known.serial = serial;
        known.not_before = not_before.unix_micros();
        known.is_revoked = false;
        Ok(())
    }

    fn view(&self, order: &Order) -> OrderView {
        let now = self.time.now();
        let view = |status| OrderView {
            status,
            retry_after: None,
            expires: Some(order.placed_at + ORDER_LIFETIME),
            failure: None,
        };
        match &order.stage {
            Stage::Pending | Stage::Validating => view(OrderStatus::Pending),
            Stage::Ready => view(OrderStatus::Ready),
            Stage::Issued { from, .. } if *from > now => OrderView {
                retry_after: Some(Until::named(now + WHILE_ISSUING, now, Purpose::Poll)),
                ..view(OrderStatus::Processing)
            },
            Stage::Issued { .. } => view(OrderStatus::Valid),
            Stage::Invalid(failure) => OrderView {
                failure: Some(failure.clone()),
                ..view(OrderStatus::Invalid)
            },
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn http_01(order: u64) -> Http01 {
    Http01 {
        url: format!("https://ca.test/challenge/{order}"),
        token: format!("t{order}"),
        key_authorization: format!("t{order}.k"),
    }
}

/// The CA as the service sees it.
#[derive(Debug, Clone)]
pub struct CaPort(pub Arc<CaModel>);

#[async_trait]
impl CertificateAuthority for CaPort {
    fn directory_url(&self) -> &str {
        LETS_ENCRYPT
    }

    fn new_account_key(&self) -> Result<SecretString, CaError> {
        Ok(SecretString::from("k"))
    }

    async fn register(&self, _: &SecretString) -> Result<String, CaError> {
        let ca = &self.0;
        ca.call(|state| {
            if !state.registered {
                let now = since(ca.time.now());
                let counted = state.counters.new_account(now, "192.0.2.1");
                counted.map_err(|refusal| ca.refused(state, refusal))?;
                state.registered = true;
            }
            Ok(ACCOUNT.to_owned())
        })
        .await
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfoResponse>, CaError> {
        let ca = &self.0;
        ca.call(|state| {
            ca.tallies.renewal_info_asked.count();
            let now = ca.time.now();
            if ca.renewal_info_throttled.is_on() {
                return Err(CaError::Unavailable {
                    detail: "503".into(),
                    retry_after: Some(Until::named(now + WHILE_THROTTLED, now, Purpose::Outage)),
                });
            }
            let known = read_ari_id(ari_id).filter(|_| ca.settings.offers_renewal_info);
            let window = known.and_then(|(name, serial)| {
                let number = names::number_in(name)?;
                ca.window(*state.names.get(number as usize)?, serial)
            });
            Ok(window.map(|window| RenewalInfoResponse {
                window,
                explanation_url: None,
                poll_again_at: now + ca.settings.ask_again_after,
            }))
        })
        .await
    }

    async fn new_order(
        &self,
        _: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        self.0
            .call(|state| self.0.place(state, host, replaces))
            .await
    }

    async fn order(&self, _: &Account, order_url: &str) -> Result<OrderView, CaError> {
        self.0
            .call(|state| Ok(self.0.view(self.0.find(state, order_url)?.1)))
            .await
    }

    async fn authorization(
        &self,
        _: &Account,
        order_url: &str,
    ) -> Result<AuthorizationView, CaError> {
        self.0
            .call(|state| {
                let (id, order) = self.0.find(state, order_url)?;
                Ok(match &order.stage {
                    Stage::Pending => AuthorizationView::Pending(http_01(id)),
                    Stage::Validating => AuthorizationView::Processing(http_01(id)),
                    Stage::Ready | Stage::Issued { .. } => AuthorizationView::Valid,
                    Stage::Invalid(failure) => AuthorizationView::Invalid(failure.clone()),
                })
            })
            .await
    }

    async fn acknowledge(&self, _: &Account, order_url: &str, _: &Http01) -> Result<(), CaError> {
        let ca = &self.0;
        ca.call(|state| {
            let (id, order) = ca.find(state, order_url)?;
            if !matches!(order.stage, Stage::Pending) {
                return Ok(());
            }
            order.stage = Stage::Validating;
            let (ca, takes) = (Arc::clone(ca), ca.settings.validates_after);
            // The CA goes on, whoever dies meanwhile.
            tokio::spawn(async move {
                tokio::time::sleep(takes).await;
                ca.validate(id);
            });
            Ok(())
        })
        .await
    }

    async fn finalize(&self, _: &Account, order_url: &str, _: &[u8]) -> Result<(), CaError> {
        self.0.call(|state| self.0.issue(state, order_url)).await
    }

    async fn certificate(&self, _: &Account, order_url: &str) -> Result<String, CaError> {
        self.0
            .call(|state| {
                let now = self.0.time.now();
                let (serial, chain) = match &self.0.find(state, order_url)?.1.stage {
                    Stage::Issued { from, leaf } if *from <= now => (leaf.serial, leaf.to_text()),
                    _ => {
                        let detail = "the order is not valid".into();
                        return Err(CaError::OrderGone { detail });
                    }
                };
                state.unfetched.remove(&serial);
                Ok(chain)
            })
            .await
    }
}
