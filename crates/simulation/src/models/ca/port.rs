//! The CA as the service sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::CertificateAuthority;
use dps_application::ports::ca::{
    Account, AuthorizationView, CaError, Http01, OrderView, RenewalInfoResponse,
};
use dps_domain::limits::published::LETS_ENCRYPT;
use dps_domain::revocation::RevocationReason;
use dps_domain::{Hostname, Purpose, Until};
use secrecy::SecretString;

use super::order::Stage;
use super::orders::http_01;
use super::{CaModel, Suggestions, account_url};
use crate::models::pki::{Leaf, read_ari_id};
use crate::time::since;

/// `Retry-After` of the 503 to polls while renewal information is throttled.
const WHILE_THROTTLED: Duration = Duration::from_secs(3600);
/// `explanationURL` of a window that is not by the dates.
const EXPLANATION: &str = "https://ca.test/why";

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
            Ok(account_url(state.account))
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
            match state.renewal_info {
                Suggestions::None => Ok(None),
                Suggestions::ByDates => {
                    let window = read_ari_id(ari_id).and_then(|(name, serial)| {
                        let number = ca.names.book.number(name)?;
                        ca.window(state.names.get(number), serial)
                    });
                    Ok(window.map(|window| RenewalInfoResponse {
                        window,
                        explanation_url: None,
                        poll_again_at: now + ca.settings.ask_again_after,
                    }))
                }
                Suggestions::Always {
                    window,
                    ask_again_after,
                } => Ok(Some(RenewalInfoResponse {
                    window,
                    explanation_url: Some(EXPLANATION.to_owned()),
                    poll_again_at: now + ask_again_after,
                })),
            }
        })
        .await
    }

    async fn new_order(
        &self,
        account: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        self.0
            .call(|state| self.0.place(state, &account.url, host, replaces))
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
                    Stage::Ready | Stage::Issued { .. } | Stage::Invalid(None) => {
                        AuthorizationView::Valid
                    }
                    Stage::Invalid(Some(failure)) => AuthorizationView::Invalid(failure.clone()),
                })
            })
            .await
    }

    async fn acknowledge(&self, _: &Account, order_url: &str, _: &Http01) -> Result<(), CaError> {
        let ca = &self.0;
        let takes = ca.settings.validates_after;
        let begun = ca
            .call(|state| {
                let (id, order) = ca.find(state, order_url)?;
                if !matches!(order.stage, Stage::Pending) {
                    return Ok(None);
                }
                order.stage = Stage::Validating;
                if takes.is_zero() {
                    return Ok(Some(id));
                }
                let ca = Arc::clone(ca);
                // The CA goes on, whoever dies meanwhile.
                tokio::spawn(async move {
                    tokio::time::sleep(takes).await;
                    ca.validate(id);
                });
                Ok(None)
            })
            .await?;
        if let Some(id) = begun {
            ca.validate(id);
        }
        Ok(())
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

    async fn revoke(
        &self,
        _: &Account,
        chain_pem: &str,
        _: RevocationReason,
    ) -> Result<(), CaError> {
        self.0
            .call(|state| {
                let leaf = Leaf::read(chain_pem).ok_or_else(|| CaError::Malformed {
                    kind: "malformed".into(),
                    detail: "not a certificate".into(),
                })?;
                state.revoked_by_request.insert(leaf.serial);
                Ok(())
            })
            .await
    }
}
