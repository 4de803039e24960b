//! A CA that keeps orders in memory, counts them, and fails when told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::ca::{
    Account, AuthorizationView, CaError, Http01, OrderStatus, OrderView, RenewalInfoResponse,
};
use dps_application::ports::{CertificateAuthority, CertificateStore};
use dps_domain::limits::{BucketKey, Limit, LimitKind};
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Failure, Hostname, Purpose, Until};
use dps_simulation::models::edges::EdgeFleet;
use dps_simulation::models::pki::Leaf;
use secrecy::SecretString;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone)]
struct Order {
    host: String,
    status: OrderStatus,
    failure: Option<Failure>,
}

/// A fault that happens once although the order is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slip {
    /// Another worker's finalize is taken just before ours.
    OthersFinalizeFirst,
    /// The server that is asked for the certificate does not have it yet.
    CertificateElsewhere,
}

/// A fault of every order, from some point of it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The authorization becomes invalid by a fault of the CA.
    InvalidAuthorization,
    /// The order becomes invalid by a fault of the CA when it is finalized.
    InvalidAtFinalize,
    /// The same, and the order does not say why.
    InvalidWithoutReason,
    /// Nothing is known of the order right after it was placed.
    Forgotten,
    /// Nothing is known of the order when it is finalized.
    ForgottenAtFinalize,
    /// The order stays pending, and ended before it was placed.
    PendingPastItsEnd,
    /// The order stays in processing, and ended before it was placed.
    ProcessingPastItsEnd,
    /// The order stays in processing, and the CA does not say until when.
    ProcessingForLong,
    /// The certificate cannot be had, and the order ended before it was placed.
    NoCertificate,
    /// The certificate has ended when it is issued.
    EndedCertificate,
}

impl Trouble {
    pub(crate) const ALL: [Self; 9] = [
        Self::InvalidAuthorization,
        Self::InvalidAtFinalize,
        Self::InvalidWithoutReason,
        Self::Forgotten,
        Self::ForgottenAtFinalize,
        Self::PendingPastItsEnd,
        Self::ProcessingPastItsEnd,
        Self::NoCertificate,
        Self::EndedCertificate,
    ];

    const fn ends_at_once(self) -> bool {
        matches!(
            self,
            Self::PendingPastItsEnd | Self::ProcessingPastItsEnd | Self::NoCertificate
        )
    }
}

/// The renewal information that the CA gives, and the requests that it had.
struct RenewalDesk {
    answer: Result<Option<Wish>, CaError>,
    asked: Vec<String>,
    /// One for each order.
    replaced: Vec<Option<String>>,
}

/// When the CA wants a renewal, and how long after each poll the next.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) window: SuggestedWindow,
    pub(crate) ask_again_after: Duration,
}

/// The CA. Validates a challenge by asking the edges.
pub(crate) struct FakeCa {
    edges: Arc<EdgeFleet>,
    orders: Mutex<BTreeMap<String, Order>>,
    accounts: Mutex<Vec<String>>,
    registrations: AtomicUsize,
    account_number: Mutex<u32>,
    errors: Mutex<VecDeque<CaError>>,
    renewals: Mutex<RenewalDesk>,
    /// Where polls about renewals count themselves against a limit before they are sent.
    counts_at: Mutex<Option<Arc<dyn CertificateStore>>>,
    is_another: AtomicBool,
    loses_certificates: AtomicBool,
    backdated: Mutex<Duration>,
    lifetime: Mutex<Duration>,
    slips: Mutex<Vec<Slip>>,
    /// Names that end so are not reached.
    unreachable: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
    polls: AtomicUsize,
    at_orders: Mutex<Option<CaError>>,
    clock: Arc<dyn dps_application::ports::Clock>,
}

impl FakeCa {
    pub(crate) fn new(
        edges: Arc<EdgeFleet>,
        clock: Arc<dyn dps_application::ports::Clock>,
    ) -> Self {
        Self {
            edges,
            orders: Mutex::default(),
            accounts: Mutex::default(),
            registrations: AtomicUsize::new(0),
            account_number: Mutex::default(),
            errors: Mutex::default(),
            is_another: AtomicBool::new(false),
            loses_certificates: AtomicBool::new(false),
            backdated: Mutex::default(),
            renewals: Mutex::new(RenewalDesk {
                answer: Ok(None),
                asked: Vec::new(),
                replaced: Vec::new(),
            }),
            counts_at: Mutex::default(),
            lifetime: Mutex::new(Duration::from_secs(90 * 86_400)),
            slips: Mutex::default(),
            unreachable: Mutex::default(),
            trouble: Mutex::default(),
            polls: AtomicUsize::new(0),
            at_orders: Mutex::default(),
            clock,
        }
    }

    /// The next calls are answered with these errors, whatever they are.
    pub(crate) fn fail_next(&self, errors: impl IntoIterator<Item = CaError>) {
        self.errors.lock().unwrap().extend(errors);
    }

    /// The errors that were to come do not come.
    pub(crate) fn fail_no_more(&self) {
        self.errors.lock().unwrap().clear();
    }

    /// Every order goes wrong so from now on, or none.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    /// Polls about orders are answered with this error from now on.
    pub(crate) fn fail_at_orders(&self, error: CaError) {
        *self.at_orders.lock().unwrap() = Some(error);
    }

    fn has(&self, trouble: Trouble) -> bool {
        *self.trouble.lock().unwrap() == Some(trouble)
    }

    /// Slips once, when its moment comes.
    pub(crate) fn slip(&self, slip: Slip) {
        self.slips.lock().unwrap().push(slip);
    }

    fn slips(&self, slip: Slip) -> bool {
        let mut slips = self.slips.lock().unwrap();
        let found = slips.iter().position(|planned| *planned == slip);
        found.map(|index| slips.remove(index)).is_some()
    }

    /// Polls when to renew are answered so from now on; at first the CA offers no renewal
    /// information.
    pub(crate) fn advise(&self, answer: Result<Option<Wish>, CaError>) {
        self.renewals.lock().unwrap().answer = answer;
    }

    /// Polls about renewals count themselves against a limit in this store from now on, as those to
    /// a real CA do.
    pub(crate) fn count_questions_at(&self, store: Arc<dyn CertificateStore>) {
        *self.counts_at.lock().unwrap() = Some(store);
    }

    /// The certificates that were asked about.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.renewals.lock().unwrap().asked.clone()
    }

    /// The certificate that each order replaces, in order.
    pub(crate) fn replaced(&self) -> Vec<Option<String>> {
        self.renewals.lock().unwrap().replaced.clone()
    }

    /// The operator has gone to another CA.
    pub(crate) fn become_another(&self) {
        self.is_another.store(true, Ordering::SeqCst);
    }

    /// Whether certificates of valid orders cannot be had from now on.
    pub(crate) fn lose_certificates(&self, lost: bool) {
        self.loses_certificates.store(lost, Ordering::SeqCst);
    }

    /// How much of their lifetime certificates have behind them when they are issued.
    pub(crate) fn backdate(&self, by: Duration) {
        *self.backdated.lock().unwrap() = by;
    }

    /// How long certificates are valid from now on.
    pub(crate) fn issue_for(&self, lifetime: Duration) {
        *self.lifetime.lock().unwrap() = lifetime;
    }

    pub(crate) fn orders_for(&self, host: &str) -> usize {
        self.orders
            .lock()
            .unwrap()
            .values()
            .filter(|order| order.host == host)
            .count()
    }

    /// How many orders gave a certificate.
    pub(crate) fn certificates(&self) -> usize {
        let orders = self.orders.lock().unwrap();
        let done = orders
            .values()
            .filter(|order| order.status == OrderStatus::Valid);
        done.count()
    }

    /// Every order becomes invalid for this reason.
    pub(crate) fn invalidate_orders(&self, failure: &Failure) {
        for order in self.orders.lock().unwrap().values_mut() {
            order.status = OrderStatus::Invalid;
            order.failure = Some(failure.clone());
        }
    }

    /// Names with this ending point elsewhere for the CA than for us.
    pub(crate) fn sees_elsewhere(&self, ending: &str) {
        self.unreachable.lock().unwrap().push(ending.to_owned());
    }

    /// How many orders were placed.
    /// How often an order was read.
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    pub(crate) fn orders(&self) -> usize {
        self.orders.lock().unwrap().len()
    }

    /// Nothing is known of any order that gave no certificate.
    pub(crate) fn forget_orders(&self) {
        for order in self.orders.lock().unwrap().values_mut() {
            if order.status != OrderStatus::Valid {
                order.status = OrderStatus::Invalid;
            }
        }
    }

    /// Loses every account, and gives the next one another URL.
    pub(crate) fn forget_accounts(&self) {
        self.accounts.lock().unwrap().clear();
        *self.account_number.lock().unwrap() += 1;
    }

    /// How often `newAccount` was called.
    pub(crate) fn registrations(&self) -> usize {
        self.registrations.load(Ordering::SeqCst)
    }

    pub(crate) fn accounts(&self) -> usize {
        self.accounts.lock().unwrap().len()
    }

    fn error(&self) -> Result<(), CaError> {
        self.errors.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }

    fn with<T>(&self, url: &str, act: impl FnOnce(&mut Order) -> T) -> Result<T, CaError> {
        let mut orders = self.orders.lock().unwrap();
        let order = orders.get_mut(url).ok_or_else(|| CaError::OrderGone {
            detail: url.to_owned(),
        })?;
        Ok(act(order))
    }
}

fn forgotten() -> CaError {
    CaError::OrderGone {
        detail: "HTTP 404 without a word".into(),
    }
}

/// The CA's `serverInternal` in an order or an authorization.
fn fault_of_ca() -> Failure {
    Failure::AcmeCaUnavailable {
        detail: "serverInternal".into(),
    }
}

fn challenge(url: &str) -> Http01 {
    let token = format!("token-{}", url.rsplit('/').next().unwrap_or_default());
    Http01 {
        url: format!("{url}/challenge"),
        key_authorization: format!("{token}.thumbprint"),
        token,
    }
}

#[async_trait]
impl CertificateAuthority for FakeCa {
    fn directory_url(&self) -> &str {
        if self.is_another.load(Ordering::SeqCst) {
            "https://another-ca.test/dir"
        } else {
            "https://ca.test/dir"
        }
    }

    fn caa_identity(&self) -> Option<String> {
        Some("ca.test".into())
    }

    fn new_account_key(&self) -> Result<SecretString, CaError> {
        Ok(SecretString::from("account-key"))
    }

    async fn register(&self, _key: &SecretString) -> Result<String, CaError> {
        self.registrations.fetch_add(1, Ordering::SeqCst);
        // Others come while the CA thinks.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.error()?;
        let mut accounts = self.accounts.lock().unwrap();
        let url = format!(
            "https://ca.test/acct/{}",
            self.account_number.lock().unwrap()
        );
        if !accounts.contains(&url) {
            accounts.push(url.clone());
        }
        Ok(url)
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfoResponse>, CaError> {
        let counts_at = self.counts_at.lock().unwrap().clone();
        if let Some(store) = counts_at {
            let key = BucketKey::of_account(LimitKind::NewOrders, "polls");
            let limit = Limit::per(1_000, Duration::from_secs(1));
            store
                .ledger_take(&key, &limit, self.clock.now(), 1)
                .await
                .unwrap();
        }
        let mut desk = self.renewals.lock().unwrap();
        desk.asked.push(ari_id.to_owned());
        let wish = desk.answer.clone()?;
        Ok(wish.map(|wish| RenewalInfoResponse {
            window: wish.window,
            explanation_url: Some("https://ca.test/why".into()),
            poll_again_at: self.clock.now() + wish.ask_again_after,
        }))
    }

    async fn new_order(
        &self,
        account: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        self.error()?;
        if !self.accounts.lock().unwrap().contains(&account.url) {
            return Err(CaError::Account {
                detail: "accountDoesNotExist".into(),
            });
        }
        let mut orders = self.orders.lock().unwrap();
        let url = format!("https://ca.test/order/{}", orders.len() + 1);
        let order = Order {
            host: host.to_string(),
            status: OrderStatus::Pending,
            failure: None,
        };
        let mut desk = self.renewals.lock().unwrap();
        desk.replaced.push(replaces.map(str::to_owned));
        orders.insert(url.clone(), order);
        Ok(url)
    }

    async fn order(&self, _account: &Account, order_url: &str) -> Result<OrderView, CaError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.error()?;
        if let Some(error) = self.at_orders.lock().unwrap().clone() {
            return Err(error);
        }
        let now = self.clock.now();
        let ends_at_once = self
            .trouble
            .lock()
            .unwrap()
            .is_some_and(Trouble::ends_at_once);
        // Nobody has to wait in real time for what stays as it is.
        let later = ends_at_once.then(|| Until::named(now + HOUR, now, Purpose::Outage));
        self.with(order_url, |order| OrderView {
            status: order.status,
            retry_after: later,
            expires: ends_at_once.then(|| now - HOUR),
            failure: order.failure.clone(),
        })
    }

    async fn authorization(
        &self,
        _account: &Account,
        order_url: &str,
    ) -> Result<AuthorizationView, CaError> {
        self.error()?;
        if self.has(Trouble::Forgotten) {
            return Err(forgotten());
        }
        let is_invalid = self.has(Trouble::InvalidAuthorization);
        self.with(order_url, |order| match (&order.failure, order.status) {
            _ if is_invalid => AuthorizationView::Invalid(fault_of_ca()),
            (Some(failure), _) => AuthorizationView::Invalid(failure.clone()),
            (None, OrderStatus::Pending) => AuthorizationView::Pending(challenge(order_url)),
            (None, _) => AuthorizationView::Valid,
        })
    }

    async fn acknowledge(
        &self,
        _account: &Account,
        order_url: &str,
        given: &Http01,
    ) -> Result<(), CaError> {
        self.error()?;
        let answered = self.edges.answers(&given.token, &given.key_authorization);
        let unreachable = self.unreachable.lock().unwrap().clone();
        self.with(order_url, |order| {
            if unreachable
                .iter()
                .any(|ending| order.host.ends_with(ending))
            {
                order.status = OrderStatus::Invalid;
                order.failure = Some(Failure::AcmeValidationFailed {
                    sub_cause: "connection".into(),
                    detail: "198.51.100.1: Timeout during connect".into(),
                });
            } else if self.has(Trouble::PendingPastItsEnd) {
                order.status = OrderStatus::Pending;
            } else if answered {
                order.status = OrderStatus::Ready;
            } else {
                order.status = OrderStatus::Invalid;
                order.failure = Some(Failure::AcmeValidationFailed {
                    sub_cause: "unauthorized".into(),
                    detail: "wrong answer".into(),
                });
            }
        })
    }

    async fn finalize(
        &self,
        _account: &Account,
        order_url: &str,
        request: &[u8],
    ) -> Result<(), CaError> {
        self.error()?;
        if self.has(Trouble::ForgottenAtFinalize) {
            self.with(order_url, |order| order.status = OrderStatus::Invalid)?;
            return Err(forgotten());
        }
        let request = String::from_utf8_lossy(request).into_owned();
        self.with(order_url, |order| {
            assert!(
                request.contains(&order.host),
                "the request is for the order's name"
            );
            order.status = OrderStatus::Valid;
            if self.has(Trouble::ProcessingPastItsEnd) || self.has(Trouble::ProcessingForLong) {
                order.status = OrderStatus::Processing;
            }
            if self.has(Trouble::InvalidAtFinalize) || self.has(Trouble::InvalidWithoutReason) {
                order.status = OrderStatus::Invalid;
                order.failure = self.has(Trouble::InvalidAtFinalize).then(fault_of_ca);
            }
        })?;
        if self.slips(Slip::OthersFinalizeFirst) {
            return Err(CaError::OrderGone {
                detail: "orderNotReady: the order is \"valid\"".into(),
            });
        }
        Ok(())
    }

    async fn certificate(&self, _account: &Account, order_url: &str) -> Result<String, CaError> {
        self.error()?;
        if self.slips(Slip::CertificateElsewhere)
            || self.loses_certificates.load(Ordering::SeqCst)
            || self.has(Trouble::NoCertificate)
        {
            return Err(CaError::OrderGone {
                detail: "HTTP 404 without a word".into(),
            });
        }
        let not_before = self.clock.now() - *self.backdated.lock().unwrap();
        let lifetime = if self.has(Trouble::EndedCertificate) {
            Duration::ZERO
        } else {
            *self.lifetime.lock().unwrap()
        };
        let serial = order_url.rsplit('/').next().unwrap().parse().unwrap();
        self.with(order_url, |order| {
            let leaf = Leaf {
                name: order.host.clone(),
                serial,
                not_before,
                not_after: not_before + lifetime,
            };
            leaf.to_text()
        })
    }
}
