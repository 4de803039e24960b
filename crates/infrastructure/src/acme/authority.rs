//! The steps of RFC 8555, one call each.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use dps_application::ports::ca::{
    Account, AuthorizationView, CaDisposition, CaError, Http01, OrderView, Refusal,
    RenewalInfoResponse,
};
use dps_application::ports::metrics::AcmeMetrics;
use dps_application::ports::requests::RequestTokens;
use dps_application::ports::{CertificateAuthority, Clock};
use dps_domain::Hostname;
use dps_domain::revocation::RevocationReason;
use dps_x509::CertificateKey;
use instant_acme::{
    ChallengeStatus, Error, Identifier, NewOrder, OrderStatus, RevocationReason as CrlReason,
    RevocationRequest,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use tracing::info;

use super::accounts::{self, AccountCache};
use super::call;
use super::exchange::{self, Exchange};
use super::problem::Subject;
use super::settings::{AcmeSettings, AcmeSetupError};
use super::transport::{Pacing, Transport};
use super::{renewal_info, views};

/// The [`CertificateAuthority`] behind one ACME directory. It keeps nothing that a restart would
/// miss: an order continues from the account's key and the order's URL alone.
pub struct AcmeAuthority {
    transport: Transport,
    accounts: AccountCache,
    terms_of_service_agreed: bool,
}

impl AcmeAuthority {
    /// The CA at `settings.directory_url`. Nothing is sent until the first call.
    pub fn new(settings: &AcmeSettings, clock: Arc<dyn Clock>) -> Result<Self, AcmeSetupError> {
        Ok(Self::over(Transport::new(settings, clock, None)?, settings))
    }

    /// The same, within the CA's request rates: each request needs a token. Requests are counted.
    pub fn paced(
        settings: &AcmeSettings,
        clock: Arc<dyn Clock>,
        tokens: Arc<dyn RequestTokens>,
        metrics: Arc<dyn AcmeMetrics>,
    ) -> Result<Self, AcmeSetupError> {
        let pacing = Pacing { tokens, metrics };
        Ok(Self::over(
            Transport::new(settings, clock, Some(pacing))?,
            settings,
        ))
    }

    fn over(transport: Transport, settings: &AcmeSettings) -> Self {
        Self {
            transport,
            accounts: AccountCache::default(),
            terms_of_service_agreed: settings.terms_of_service_agreed,
        }
    }

    /// Fetches the directory, of which nothing is needed but that the CA answers.
    pub async fn fetch_directory(&self) -> Result<(), CaError> {
        let fetch = || self.transport.fetch_directory();
        self.call(Subject::Account, fetch).await.map(drop)
    }

    /// Makes one call to this CA.
    async fn call<T, F>(
        &self,
        subject: Subject,
        operation: impl Fn() -> F + Send,
    ) -> Result<(T, Exchange), CaError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        call::make(&self.transport, subject, operation).await
    }

    /// Places an order and answers its URL.
    async fn place(
        &self,
        account: &instant_acme::Account,
        order: &NewOrder<'_>,
    ) -> Result<String, CaError> {
        let place = || async {
            match account.new_order(order).await {
                Ok(placed) => Ok(placed.url().to_owned()),
                // The order was made, but the library wants `replaces` repeated in it (RFC 9773
                // §5); some CAs do not.
                Err(error) => exchange::last(Exchange::created).flatten().ok_or(error),
            }
        };
        let (url, _) = self.call(Subject::Account, place).await?;
        Ok(url)
    }

    /// The library's object for an account: made without a request but that for the directory.
    async fn open(&self, account: &Account) -> Result<instant_acme::Account, CaError> {
        if let Some(generation) = self.transport.directory_generation()
            && let Some(open) = self.accounts.get(account, generation)
        {
            return Ok(open);
        }
        let key = accounts::read_key(&account.key)?;
        let build = || {
            instant_acme::Account::builder_with_http(Box::new(self.transport.clone())).from_parts(
                account.url.clone(),
                PrivatePkcs8KeyDer::from(key.pkcs8_der()),
                self.transport.directory_url().to_owned(),
            )
        };
        let (open, _) = self.call(Subject::Account, build).await?;
        if let Some(generation) = self.transport.directory_generation() {
            self.accounts.keep(account, generation, open.clone());
        }
        Ok(open)
    }

    /// Refused before anything is sent: agreeing is the operator's to do.
    fn check_terms(&self) -> Result<(), CaError> {
        match self.transport.terms_of_service() {
            Some(terms) if !self.terms_of_service_agreed => Err(CaError::Account {
                detail: format!(
                    "the configuration does not agree to the CA's terms of service at {terms}"
                ),
            }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl CertificateAuthority for AcmeAuthority {
    fn directory_url(&self) -> &str {
        self.transport.directory_url()
    }

    fn caa_identities(&self) -> Vec<String> {
        self.transport.caa_identities()
    }

    async fn fetch_caa_identities(&self) -> Result<Vec<String>, CaError> {
        let fetch = || self.transport.fetch_caa_identities();
        Ok(self.call(Subject::Account, fetch).await?.0)
    }

    fn new_account_key(&self) -> Result<SecretString, CaError> {
        CertificateKey::generate()
            .map(|key| key.to_pem())
            .map_err(|fault| CaError::Account {
                detail: fault.to_string(),
            })
    }

    async fn register(&self, key: &SecretString) -> Result<String, CaError> {
        let key = accounts::read_key(key)?;
        let fetch = || self.transport.fetch_directory();
        self.call(Subject::Account, fetch).await?;
        self.check_terms()?;
        let create = || {
            let der = PrivatePkcs8KeyDer::from(key.pkcs8_der().to_vec());
            let builder =
                instant_acme::Account::builder_with_http(Box::new(self.transport.clone()));
            async {
                let signer = instant_acme::Key::from_pkcs8_der(der.clone_key())?;
                let key = (signer, PrivateKeyDer::Pkcs8(der));
                let directory = self.transport.directory_url().to_owned();
                builder.create_from_key(key, directory).await
            }
        };
        let ((account, _), _) = self.call(Subject::Account, create).await?;
        Ok(account.id().to_owned())
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfoResponse>, CaError> {
        renewal_info::fetch(&self.transport, ari_id).await
    }

    async fn new_order(
        &self,
        account: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        let open = self.open(account).await?;
        let identifiers = [Identifier::Dns(host.as_str().to_owned())];
        let offered = self.transport.renewal_info_url().is_some();
        if let Some(predecessor) = replaces
            .filter(|_| offered)
            .and_then(renewal_info::identifier)
        {
            let order = NewOrder::new(&identifiers).replaces(predecessor);
            match self.place(&open, &order).await {
                Err(refusal) if renewal_info::may_refuse_replaces(&refusal) => {
                    info!(domain.hostname = %host, %refusal, "order.replaces_refused");
                }
                placed => return placed,
            }
        }
        self.place(&open, &NewOrder::new(&identifiers)).await
    }

    async fn order(&self, account: &Account, order_url: &str) -> Result<OrderView, CaError> {
        let open = self.open(account).await?;
        let read = || open.order(order_url.to_owned());
        let (mut order, seen) = self.call(Subject::Order, read).await?;
        Ok(views::order(order.state(), &seen))
    }

    async fn authorization(
        &self,
        account: &Account,
        order_url: &str,
    ) -> Result<AuthorizationView, CaError> {
        let open = self.open(account).await?;
        let (view, _) = self
            .call(Subject::Order, || {
                let (open, url) = (open.clone(), order_url.to_owned());
                async move {
                    let mut order = open.order(url).await?;
                    let mut authorizations = order.authorizations();
                    let authorization = authorizations.next().await.ok_or(NO_AUTHORIZATION)??;
                    Ok(views::authorization(&authorization, open.key_thumbprint()))
                }
            })
            .await?;
        view
    }

    async fn acknowledge(
        &self,
        account: &Account,
        order_url: &str,
        challenge: &Http01,
    ) -> Result<(), CaError> {
        let open = self.open(account).await?;
        let set_ready = || {
            let (open, url) = (open.clone(), order_url.to_owned());
            async move {
                let mut order = open.order(url).await?;
                let mut authorizations = order.authorizations();
                let mut authorization = authorizations.next().await.ok_or(NO_AUTHORIZATION)??;
                let Some(mut ours) = authorization.challenge(instant_acme::ChallengeType::Http01)
                else {
                    return Ok(Err(views::not_offered()));
                };
                if ours.url != challenge.url {
                    return Ok(Err(CaError::OrderGone {
                        detail: "the order has another challenge than the one to be acknowledged"
                            .to_owned(),
                    }));
                }
                // An earlier run acknowledged it and crashed before it recorded that. The CA
                // refuses a second acknowledgement.
                if ours.status != ChallengeStatus::Pending {
                    return Ok(Ok(()));
                }
                match ours.set_ready().await {
                    // The validation has already failed; `authorization` returns the failure.
                    Err(Error::Api(_)) if exchange::last(was_accepted) == Some(true) => Ok(Ok(())),
                    result => result.map(Ok),
                }
            }
        };
        match self.call(Subject::Proof, set_ready).await {
            Ok((acknowledged, _)) => acknowledged,
            // Another process acknowledged it between our read and our request.
            Err(error) if error.disposition() == CaDisposition::Refused(Refusal::Request) => {
                match self.authorization(account, order_url).await? {
                    AuthorizationView::Pending(_) => Err(error),
                    _ => Ok(()),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn finalize(
        &self,
        account: &Account,
        order_url: &str,
        signing_request: &[u8],
    ) -> Result<(), CaError> {
        let open = self.open(account).await?;
        let finalize = || {
            let (open, url) = (open.clone(), order_url.to_owned());
            async move {
                let mut order = open.order(url).await?;
                match order.state().status {
                    OrderStatus::Ready => order.finalize_csr(signing_request).await.map(Ok),
                    // Done before, by a run that did not live to record it.
                    OrderStatus::Processing | OrderStatus::Valid => Ok(Ok(())),
                    OrderStatus::Pending => Ok(Err(wrong_state("is not ready to be finalized"))),
                    OrderStatus::Invalid => Ok(Err(wrong_state("is invalid"))),
                }
            }
        };
        let (finalized, _) = self.call(Subject::Proof, finalize).await?;
        finalized
    }

    async fn certificate(&self, account: &Account, order_url: &str) -> Result<String, CaError> {
        let open = self.open(account).await?;
        let fetch = || {
            let (open, url) = (open.clone(), order_url.to_owned());
            async move {
                let mut order = open.order(url).await?;
                match order.state().status {
                    OrderStatus::Valid => Ok(order.certificate().await?.ok_or_else(still_issuing)),
                    OrderStatus::Processing => Ok(Err(still_issuing())),
                    OrderStatus::Pending | OrderStatus::Ready => {
                        Ok(Err(wrong_state("was not finalized")))
                    }
                    OrderStatus::Invalid => Ok(Err(wrong_state("is invalid"))),
                }
            }
        };
        let (chain, _) = self.call(Subject::Order, fetch).await?;
        chain
    }

    async fn revoke(
        &self,
        account: &Account,
        chain_pem: &str,
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        let leaf = CertificateDer::from_pem_slice(chain_pem.as_bytes());
        let leaf = leaf.map_err(|fault| CaError::Malformed {
            kind: "unsent".to_owned(),
            detail: format!("the stored certificate cannot be read: {fault}"),
        })?;
        let open = self.open(account).await?;
        let revoke = || async {
            let request = RevocationRequest {
                certificate: &leaf,
                reason: crl_reason(reason),
            };
            match open.revoke(&request).await {
                // An earlier run revoked it, and ended before it could record that.
                Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(ALREADY_REVOKED) => {
                    Ok(())
                }
                result => result,
            }
        };
        self.call(Subject::Order, revoke).await.map(|((), _)| ())
    }
}

/// The code of a reason; none says "unspecified" (RFC 5280 §5.3.1).
const fn crl_reason(reason: RevocationReason) -> Option<CrlReason> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(CrlReason::KeyCompromise),
        RevocationReason::Superseded => Some(CrlReason::Superseded),
        RevocationReason::CessationOfOperation => Some(CrlReason::CessationOfOperation),
    }
}

const ALREADY_REVOKED: &str = "urn:ietf:params:acme:error:alreadyRevoked";

const NO_AUTHORIZATION: &str = "the order has no authorization";

fn wrong_state(what: &str) -> CaError {
    CaError::OrderGone {
        detail: format!("the order {what}"),
    }
}

fn still_issuing() -> CaError {
    CaError::Unavailable {
        detail: "the CA is still issuing".to_owned(),
        retry_after: exchange::last(Exchange::next_poll).flatten(),
    }
}

/// Whether the last answer said yes, whatever the library makes of the problem inside.
fn was_accepted(seen: &Exchange) -> bool {
    matches!(seen, Exchange::Answer(answer) if !answer.is_error())
}

impl fmt::Debug for AcmeAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeAuthority")
            .field("directory_url", &self.directory_url())
            .finish_non_exhaustive()
    }
}
