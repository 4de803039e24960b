//! The way to the model's CA: it notes the traffic, and answers for the CA where a story has a
//! fault of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::ca::{
    Account, AuthorizationView, CaError, Http01, OrderView, RenewalInfoResponse,
};
use dps_application::ports::{CertificateAuthority, CertificateStore, Clock};
use dps_domain::limits::{BucketKey, Limit, LimitKind};
use dps_domain::revocation::RevocationReason;
use dps_domain::{Failure, Hostname, Purpose, Until};
use dps_simulation::models::ca::CaModel;
use dps_simulation::models::ca::port::CaPort;
use dps_simulation::models::pki::Leaf;
use secrecy::SecretString;

const HOUR: Duration = Duration::from_secs(3_600);

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

/// An order that the CA took.
struct Placed {
    url: String,
    host: String,
    replaces: Option<String>,
}

/// The requests that the CA had.
#[derive(Default)]
struct Traffic {
    registrations: usize,
    accounts: BTreeSet<String>,
    orders: Vec<Placed>,
    /// How often an order was read.
    polls: usize,
    /// The certificates that were asked about.
    asked: Vec<String>,
    /// Requests to revoke a certificate.
    revocations: usize,
    /// The reason of the last one.
    revoked_for: Option<RevocationReason>,
}

/// The CA of a story.
pub(crate) struct WatchedCa {
    pub(crate) model: Arc<CaModel>,
    port: CaPort,
    clock: Arc<dyn Clock>,
    traffic: Mutex<Traffic>,
    errors: Mutex<VecDeque<CaError>>,
    /// The answer to polls about renewals.
    renewal_error: Mutex<Option<CaError>>,
    /// Where polls about renewals count themselves against a limit before they are sent.
    counts_at: Mutex<Option<Arc<dyn CertificateStore>>>,
    is_another: AtomicBool,
    loses_certificates: AtomicBool,
    slips: Mutex<Vec<Slip>>,
    /// Names that end so are not reached.
    unreachable: Mutex<Vec<String>>,
    trouble: Mutex<Option<Trouble>>,
    at_orders: Mutex<Option<CaError>>,
}

impl WatchedCa {
    pub(crate) fn new(model: CaModel, clock: Arc<dyn Clock>) -> Self {
        let model = Arc::new(model);
        Self {
            port: CaPort(Arc::clone(&model)),
            model,
            clock,
            traffic: Mutex::default(),
            errors: Mutex::default(),
            renewal_error: Mutex::default(),
            counts_at: Mutex::default(),
            is_another: AtomicBool::new(false),
            loses_certificates: AtomicBool::new(false),
            slips: Mutex::default(),
            unreachable: Mutex::default(),
            trouble: Mutex::default(),
            at_orders: Mutex::default(),
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

    /// Polls about renewals are answered with this error from now on.
    pub(crate) fn fail_at_renewals(&self, error: CaError) {
        *self.renewal_error.lock().unwrap() = Some(error);
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

    /// Polls about renewals count themselves against a limit in this store from now on, as those to
    /// a real CA do.
    pub(crate) fn count_polls_at(&self, store: Arc<dyn CertificateStore>) {
        *self.counts_at.lock().unwrap() = Some(store);
    }

    /// The operator has gone to another CA.
    pub(crate) fn become_another(&self) {
        self.is_another.store(true, Ordering::SeqCst);
    }

    /// Whether certificates of valid orders cannot be had from now on.
    pub(crate) fn lose_certificates(&self, lost: bool) {
        self.loses_certificates.store(lost, Ordering::SeqCst);
    }

    /// Names with this ending point elsewhere for the CA than for us.
    pub(crate) fn sees_elsewhere(&self, ending: &str) {
        self.unreachable.lock().unwrap().push(ending.to_owned());
    }

    fn traffic<T>(&self, act: impl FnOnce(&mut Traffic) -> T) -> T {
        act(&mut self.traffic.lock().unwrap())
    }

    /// The certificates that were asked about.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.traffic(|traffic| traffic.asked.clone())
    }

    /// The certificate that each order replaces, in order.
    pub(crate) fn replaced(&self) -> Vec<Option<String>> {
        let replaces = |order: &Placed| order.replaces.clone();
        self.traffic(|traffic| traffic.orders.iter().map(replaces).collect())
    }

    /// How many orders were placed for a name.
    pub(crate) fn orders_for(&self, host: &str) -> usize {
        let is_for = |order: &&Placed| order.host == host;
        self.traffic(|traffic| traffic.orders.iter().filter(is_for).count())
    }

    /// How often the revocation of a certificate was requested.
    pub(crate) fn revocations(&self) -> usize {
        self.traffic(|traffic| traffic.revocations)
    }

    /// The reason of the last of these requests.
    pub(crate) fn revoked_for(&self) -> Option<RevocationReason> {
        self.traffic(|traffic| traffic.revoked_for)
    }

    /// How many orders were placed.
    pub(crate) fn orders(&self) -> usize {
        self.traffic(|traffic| traffic.orders.len())
    }

    /// How often an order was read.
    pub(crate) fn polls(&self) -> usize {
        self.traffic(|traffic| traffic.polls)
    }

    /// How often `newAccount` was called.
    pub(crate) fn registrations(&self) -> usize {
        self.traffic(|traffic| traffic.registrations)
    }

    /// How many accounts there are.
    pub(crate) fn accounts(&self) -> usize {
        self.traffic(|traffic| traffic.accounts.len())
    }

    fn error(&self) -> Result<(), CaError> {
        self.errors.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }

    fn host_of(&self, order_url: &str) -> String {
        self.traffic(|traffic| {
            let mut orders = traffic.orders.iter();
            let order = orders.find(|order| order.url == order_url).unwrap();
            order.host.clone()
        })
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

#[async_trait]
impl CertificateAuthority for WatchedCa {
    fn directory_url(&self) -> &str {
        if self.is_another.load(Ordering::SeqCst) {
            "https://another-ca.test/dir"
        } else {
            "https://ca.test/dir"
        }
    }

    fn caa_identities(&self) -> Vec<String> {
        vec!["ca.test".into()]
    }

    fn new_account_key(&self) -> Result<SecretString, CaError> {
        self.port.new_account_key()
    }

    async fn register(&self, key: &SecretString) -> Result<String, CaError> {
        self.traffic(|traffic| traffic.registrations += 1);
        // Others come while the CA thinks.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.error()?;
        let url = self.port.register(key).await?;
        self.traffic(|traffic| traffic.accounts.insert(url.clone()));
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
        self.traffic(|traffic| traffic.asked.push(ari_id.to_owned()));
        if let Some(error) = self.renewal_error.lock().unwrap().clone() {
            return Err(error);
        }
        self.port.renewal_info(ari_id).await
    }

    async fn new_order(
        &self,
        account: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        self.error()?;
        let url = self.port.new_order(account, host, replaces).await?;
        let order = Placed {
            url: url.clone(),
            host: host.to_string(),
            replaces: replaces.map(str::to_owned),
        };
        self.traffic(|traffic| traffic.orders.push(order));
        Ok(url)
    }

    async fn order(&self, account: &Account, order_url: &str) -> Result<OrderView, CaError> {
        self.traffic(|traffic| traffic.polls += 1);
        self.error()?;
        if let Some(error) = self.at_orders.lock().unwrap().clone() {
            return Err(error);
        }
        let view = self.port.order(account, order_url).await?;
        let now = self.clock.now();
        let trouble = *self.trouble.lock().unwrap();
        if trouble.is_some_and(Trouble::ends_at_once) {
            return Ok(OrderView {
                // Nobody has to wait in real time for what stays as it is.
                retry_after: Some(Until::named(now + HOUR, now, Purpose::Outage)),
                expires: Some(now - HOUR),
                ..view
            });
        }
        if self.has(Trouble::ProcessingForLong) {
            return Ok(OrderView {
                retry_after: None,
                expires: None,
                ..view
            });
        }
        Ok(view)
    }

    async fn authorization(
        &self,
        account: &Account,
        order_url: &str,
    ) -> Result<AuthorizationView, CaError> {
        self.error()?;
        if self.has(Trouble::Forgotten) {
            return Err(forgotten());
        }
        if self.has(Trouble::InvalidAuthorization) {
            return Ok(AuthorizationView::Invalid(fault_of_ca()));
        }
        self.port.authorization(account, order_url).await
    }

    async fn acknowledge(
        &self,
        account: &Account,
        order_url: &str,
        given: &Http01,
    ) -> Result<(), CaError> {
        self.error()?;
        let host = self.host_of(order_url);
        let unreachable = self.unreachable.lock().unwrap().clone();
        if unreachable.iter().any(|ending| host.ends_with(ending)) {
            let failure = Failure::AcmeValidationFailed {
                sub_cause: "connection".into(),
                detail: "198.51.100.1: Timeout during connect".into(),
                reached_by_us: false,
            };
            self.model.invalidate(order_url, Some(failure));
            return Ok(());
        }
        if self.has(Trouble::PendingPastItsEnd) {
            return Ok(());
        }
        self.port.acknowledge(account, order_url, given).await
    }

    async fn finalize(
        &self,
        account: &Account,
        order_url: &str,
        request: &[u8],
    ) -> Result<(), CaError> {
        self.error()?;
        let request_text = String::from_utf8_lossy(request);
        assert!(
            request_text.contains(&self.host_of(order_url)),
            "the request is for the order's name"
        );
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            Some(Trouble::ForgottenAtFinalize) => {
                self.model.invalidate(order_url, None);
                return Err(forgotten());
            }
            Some(Trouble::InvalidAtFinalize) => {
                self.model.invalidate(order_url, Some(fault_of_ca()));
            }
            Some(Trouble::InvalidWithoutReason) => self.model.invalidate(order_url, None),
            Some(Trouble::ProcessingPastItsEnd | Trouble::ProcessingForLong) => {
                self.model.hold(order_url);
            }
            _ => self.port.finalize(account, order_url, request).await?,
        }
        if self.slips(Slip::OthersFinalizeFirst) {
            return Err(CaError::OrderGone {
                detail: "orderNotReady: the order is \"valid\"".into(),
            });
        }
        Ok(())
    }

    async fn certificate(&self, account: &Account, order_url: &str) -> Result<String, CaError> {
        self.error()?;
        if self.slips(Slip::CertificateElsewhere)
            || self.loses_certificates.load(Ordering::SeqCst)
            || self.has(Trouble::NoCertificate)
        {
            return Err(forgotten());
        }
        let chain = self.port.certificate(account, order_url).await?;
        if self.has(Trouble::EndedCertificate) {
            let mut leaf = Leaf::read(&chain).unwrap();
            leaf.not_after = leaf.not_before;
            return Ok(leaf.to_text());
        }
        Ok(chain)
    }

    async fn revoke(
        &self,
        account: &Account,
        chain_pem: &str,
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        self.traffic(|traffic| {
            traffic.revocations += 1;
            traffic.revoked_for = Some(reason);
        });
        self.error()?;
        self.port.revoke(account, chain_pem, reason).await
    }
}
