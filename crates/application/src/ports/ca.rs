//! A certificate authority that speaks ACME (RFC 8555), in the steps that our state machine makes.

use async_trait::async_trait;
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::revocation::RevocationReason;
use dps_domain::{Failure, Hostname, Timestamp, Until};
use secrecy::SecretString;

/// A registered account (RFC 8555 §7.1.2).
#[derive(Debug, Clone)]
pub struct Account {
    /// The account's URL.
    pub url: String,
    /// Its private key, PKCS#8 PEM.
    pub key: SecretString,
}

/// An order's status (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Authorizations are outstanding.
    Pending,
    /// May be finalized.
    Ready,
    /// The CA is issuing.
    Processing,
    /// The certificate can be fetched.
    Valid,
    /// Will never become valid.
    Invalid,
}

/// An order as the CA shows it now.
#[derive(Debug, Clone)]
pub struct OrderView {
    /// Its status.
    pub status: OrderStatus,
    /// The time that the CA names for the next request.
    pub retry_after: Option<Until>,
    /// The end of the order itself, beyond which it leads nowhere; absent if the CA does not say.
    pub expires: Option<Timestamp>,
    /// Why it became invalid, if the CA says so on the order.
    pub failure: Option<Failure>,
}

/// An authorization's status (RFC 8555 §7.1.6), with what each state owns.
#[derive(Debug, Clone)]
pub enum AuthorizationView {
    /// The challenge is to be answered.
    Pending(Http01),
    /// The challenge was acknowledged and the CA validates.
    Processing(Http01),
    /// Nothing to prove (any more).
    Valid,
    /// Validation failed, or the authorization expired, was deactivated or revoked.
    Invalid(Failure),
}

/// The HTTP-01 challenge of an authorization (RFC 8555 §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http01 {
    /// The challenge's URL.
    pub url: String,
    /// The token, base64url.
    pub token: String,
    /// Token, dot, thumbprint of the account key (RFC 8555 §8.1).
    pub key_authorization: String,
}

/// When the CA suggests to renew a certificate (RFC 9773 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfoResponse {
    /// The suggested window.
    pub window: SuggestedWindow,
    /// Where the CA explains the window to people.
    pub explanation_url: Option<String>,
    /// The time that the CA names for the next request, within the bounds of
    /// [`poll_again_at`](dps_domain::renewal::info::poll_again_at).
    pub poll_again_at: Timestamp,
}

/// An error of the CA, or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// No connection, no answer in time, or an incomplete one.
    #[error("the CA is unreachable: {detail}")]
    Unreachable {
        /// The cause in words.
        detail: String,
    },
    /// 5xx, or an answer that is not ACME.
    #[error("the CA is unavailable: {detail}")]
    Unavailable {
        /// The cause in words.
        detail: String,
        /// When to come again.
        retry_after: Option<Until>,
    },
    /// Our own machine could not call: no descriptor, no memory, no route. Says nothing about the
    /// CA.
    #[error("our own machine could not call the CA: {detail}")]
    Local {
        /// The system's reason.
        detail: String,
    },
    /// Our own pacing leaves no request for now, and nothing was sent. Says nothing about the CA.
    #[error("our own pacing leaves no request to the CA before {}", until.at())]
    Paced {
        /// The moment of the next request.
        until: Until,
    },
    /// `rateLimited`, with or without a time.
    #[error("the CA limits us: {detail}")]
    RateLimited {
        /// When to come again.
        until: Option<Until>,
        /// The CA's words.
        detail: String,
    },
    /// The identifier is paused for our account.
    #[error("the CA paused this name: {detail}")]
    Paused {
        /// Where a human can unpause it.
        unpause_url: Option<String>,
        /// The CA's words.
        detail: String,
    },
    /// `rejectedIdentifier` or `unsupportedIdentifier`.
    #[error("the CA does not certify this name: {detail}")]
    RejectedIdentifier {
        /// The CA's words.
        detail: String,
    },
    /// Validation or policy failed: `caa`, `dns`, `connection`, `unauthorized`,
    /// `incorrectResponse`, `tls`.
    #[error("the CA could not validate the name ({sub_cause}): {detail}")]
    Validation {
        /// The problem type without its prefix.
        sub_cause: String,
        /// The CA's words.
        detail: String,
    },
    /// The order or authorization does not exist (any more) or is not in the state for this call.
    #[error("the CA does not know this order any more: {detail}")]
    OrderGone {
        /// The CA's words.
        detail: String,
    },
    /// The account does not exist, is deactivated, needs terms agreed or external binding.
    #[error("the CA account cannot be used: {detail}")]
    Account {
        /// The CA's words.
        detail: String,
    },
    /// Our request was wrong: a fault of ours, for an operator.
    #[error("the CA refused our request as malformed ({kind}): {detail}")]
    Malformed {
        /// The problem type without its prefix.
        kind: String,
        /// The CA's words.
        detail: String,
    },
}

/// The consequence of an error of the CA for the work that met it. Everything that treats one error
/// differently from another goes by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaDisposition {
    /// Nothing was sent: our own machine failed.
    Local,
    /// Nothing was sent: our own pacing leaves no request before this moment.
    Paced {
        /// The moment of the next request.
        until: Until,
    },
    /// The CA is unavailable. It may have carried out the request, and counted it.
    Unavailable {
        /// When to come again, if it said so.
        until: Option<Until>,
    },
    /// The CA refused for one of its limits.
    RateLimited {
        /// When to come again, if it said so.
        until: Option<Until>,
    },
    /// The CA paused the name until a human unpauses it.
    NamePaused,
    /// The order leads to no certificate.
    OrderLost(LostOrder),
    /// The CA refused for a reason that lies with us.
    Refused(Refusal),
}

/// Why an order leads to no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostOrder {
    /// The CA does not know it, or not in this state.
    Gone,
    /// Validation or policy failed.
    ValidationFailed,
    /// The CA does not certify the name at all.
    NameRejected,
}

/// The subject of the CA's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The account.
    Account,
    /// The request.
    Request,
}

impl CaDisposition {
    /// Whether a request left this process.
    pub const fn was_sent(self) -> bool {
        match self {
            Self::Local | Self::Paced { .. } => false,
            Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::NamePaused
            | Self::OrderLost(_)
            | Self::Refused(_) => true,
        }
    }

    /// Whether the CA may have carried out, and counted, the request. It does not count what it
    /// refuses.
    pub const fn may_be_counted(self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Local
            | Self::Paced { .. }
            | Self::RateLimited { .. }
            | Self::NamePaused
            | Self::OrderLost(_)
            | Self::Refused(_) => false,
        }
    }

    /// When the CA, or our own pacing, wants the next request; `None` if no time is known.
    pub const fn retry_after(self) -> Option<Until> {
        match self {
            Self::Paced { until } => Some(until),
            Self::Unavailable { until } | Self::RateLimited { until } => until,
            Self::Local | Self::NamePaused | Self::OrderLost(_) | Self::Refused(_) => None,
        }
    }
}

impl CaError {
    /// Returns the consequence for the work that met the error.
    pub const fn disposition(&self) -> CaDisposition {
        match self {
            Self::Unreachable { .. } => CaDisposition::Unavailable { until: None },
            Self::Unavailable { retry_after, .. } => CaDisposition::Unavailable {
                until: *retry_after,
            },
            Self::Local { .. } => CaDisposition::Local,
            Self::Paced { until } => CaDisposition::Paced { until: *until },
            Self::RateLimited { until, .. } => CaDisposition::RateLimited { until: *until },
            Self::Paused { .. } => CaDisposition::NamePaused,
            Self::RejectedIdentifier { .. } => CaDisposition::OrderLost(LostOrder::NameRejected),
            Self::Validation { .. } => CaDisposition::OrderLost(LostOrder::ValidationFailed),
            Self::OrderGone { .. } => CaDisposition::OrderLost(LostOrder::Gone),
            Self::Account { .. } => CaDisposition::Refused(Refusal::Account),
            Self::Malformed { .. } => CaDisposition::Refused(Refusal::Request),
        }
    }

    /// Whether the CA answered, whatever it said.
    pub const fn was_answered(&self) -> bool {
        self.disposition().was_sent() && !matches!(self, Self::Unreachable { .. })
    }

    /// The words of the CA, or of the system; empty where there are none.
    pub fn detail(&self) -> &str {
        match self {
            Self::Unreachable { detail }
            | Self::Unavailable { detail, .. }
            | Self::Local { detail }
            | Self::RateLimited { detail, .. }
            | Self::Paused { detail, .. }
            | Self::RejectedIdentifier { detail }
            | Self::Validation { detail, .. }
            | Self::OrderGone { detail }
            | Self::Account { detail }
            | Self::Malformed { detail, .. } => detail,
            Self::Paced { .. } => "",
        }
    }

    /// The same error with another moment for the next request, where it names one.
    #[must_use]
    pub fn with_until(mut self, moment: Until) -> Self {
        match &mut self {
            Self::Unavailable {
                retry_after: until, ..
            }
            | Self::RateLimited { until, .. } => *until = until.and(Some(moment)),
            Self::Paced { until } => *until = moment,
            Self::Unreachable { .. }
            | Self::Local { .. }
            | Self::Paused { .. }
            | Self::RejectedIdentifier { .. }
            | Self::Validation { .. }
            | Self::OrderGone { .. }
            | Self::Account { .. }
            | Self::Malformed { .. } => {}
        }
        self
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        match error {
            CaError::Unreachable { detail } | CaError::Unavailable { detail, .. } => {
                Self::AcmeCaUnavailable { detail }
            }
            local @ CaError::Local { .. } => Self::Internal {
                detail: local.to_string(),
            },
            ref paced @ CaError::Paced { until } => Self::AcmeRateLimited {
                until: Some(until.at()),
                detail: paced.to_string(),
            },
            CaError::RateLimited { until, detail } => Self::AcmeRateLimited {
                until: until.map(Until::at),
                detail,
            },
            CaError::Paused {
                unpause_url,
                detail,
            } => Self::AcmePaused {
                unpause_url,
                detail,
            },
            CaError::RejectedIdentifier { detail } => Self::AcmeRejectedIdentifier { detail },
            CaError::Validation { sub_cause, detail } => Self::AcmeValidationFailed {
                sub_cause,
                detail,
                reached_by_us: false,
            },
            CaError::OrderGone { detail } => Self::Internal {
                detail: format!("the order is gone at the CA: {detail}"),
            },
            CaError::Account { detail } => Self::AcmeAccount { detail },
            CaError::Malformed { kind, detail } => Self::Internal {
                detail: format!("the CA refused our request ({kind}): {detail}"),
            },
        }
    }
}

/// One ACME directory. `badNonce` is retried inside and nowhere else.
#[async_trait]
pub trait CertificateAuthority: Send + Sync {
    /// The directory's URL: the identity of the CA.
    fn directory_url(&self) -> &str;

    /// The names by which CAA records allow the CA (RFC 8659 §4.2). They are configured, or are
    /// those of the directory that was fetched last; none if neither has any.
    fn caa_identities(&self) -> Vec<String> {
        vec![]
    }

    /// As [`caa_identities`](Self::caa_identities), but fetches the directory first if it is not
    /// fresh.
    async fn fetch_caa_identities(&self) -> Result<Vec<String>, CaError> {
        Ok(self.caa_identities())
    }

    /// A new account key, PKCS#8 PEM. To be stored before [`register`](Self::register).
    fn new_account_key(&self) -> Result<SecretString, CaError>;

    /// Registers the key, or finds the account it already has (RFC 8555 §7.3.1). Answers the
    /// account's URL.
    async fn register(&self, key: &SecretString) -> Result<String, CaError>;

    /// The CA's renewal information for the certificate of this identifier (RFC 9773 §4.1); `None`
    /// if the CA offers none.
    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfoResponse>, CaError>;

    /// Places an order for `host` alone and answers its URL (RFC 8555 §7.4). `replaces` is the
    /// identifier of the certificate that the new one follows (RFC 9773 §5). It is left out for a
    /// CA that offers no renewal information, and an order that is refused with it is placed once
    /// more without.
    async fn new_order(
        &self,
        account: &Account,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError>;

    /// The order as it stands (POST-as-GET).
    async fn order(&self, account: &Account, order_url: &str) -> Result<OrderView, CaError>;

    /// The order's authorization with its HTTP-01 challenge (POST-as-GET).
    async fn authorization(
        &self,
        account: &Account,
        order_url: &str,
    ) -> Result<AuthorizationView, CaError>;

    /// Acknowledges to the CA that the challenge is ready to be validated (RFC 8555 §7.5.1).
    async fn acknowledge(
        &self,
        account: &Account,
        order_url: &str,
        challenge: &Http01,
    ) -> Result<(), CaError>;

    /// Finalizes a ready order with a signing request in DER.
    async fn finalize(
        &self,
        account: &Account,
        order_url: &str,
        signing_request: &[u8],
    ) -> Result<(), CaError>;

    /// The certificate chain of a valid order, PEM (RFC 8555 §7.4.2).
    async fn certificate(&self, account: &Account, order_url: &str) -> Result<String, CaError>;

    /// Revokes the first certificate of a chain (PEM) for a reason (RFC 8555 §7.6). Succeeds as
    /// well if it is revoked already.
    async fn revoke(
        &self,
        account: &Account,
        chain_pem: &str,
        reason: RevocationReason,
    ) -> Result<(), CaError>;
}

#[cfg(test)]
mod tests {
    use dps_domain::Purpose;

    use super::*;

    fn until(seconds: u64) -> Until {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let later = now + std::time::Duration::from_secs(seconds);
        Until::named(later, now, Purpose::Limit)
    }

    #[test]
    fn only_an_absent_ca_may_have_counted_a_request_and_only_we_can_keep_one_back() {
        let until = until(1);
        let detail = String::new;
        let sent = [
            CaError::RateLimited {
                until: Some(until),
                detail: detail(),
            },
            CaError::Paused {
                unpause_url: None,
                detail: detail(),
            },
            CaError::RejectedIdentifier { detail: detail() },
            CaError::Validation {
                sub_cause: "dns".into(),
                detail: detail(),
            },
            CaError::OrderGone { detail: detail() },
            CaError::Account { detail: detail() },
            CaError::Malformed {
                kind: "malformed".into(),
                detail: detail(),
            },
        ];
        for error in sent {
            let disposition = error.disposition();
            assert!(disposition.was_sent(), "{error}");
            assert!(!disposition.may_be_counted(), "{error}");
        }
        let away = CaError::Unavailable {
            detail: detail(),
            retry_after: None,
        };
        let unreachable = CaError::Unreachable { detail: detail() };
        assert_eq!(unreachable.disposition(), away.disposition());
        assert!(away.was_answered() && !unreachable.was_answered());
        assert!(away.disposition().was_sent() && away.disposition().may_be_counted());
        for kept in [
            CaError::Local { detail: detail() },
            CaError::Paced { until },
        ] {
            assert!(!kept.disposition().was_sent(), "{kept}");
        }
    }

    #[test]
    fn another_moment_is_taken_only_where_the_ca_named_one() {
        let bounded = until(1);
        let limited = |until| CaError::RateLimited {
            until,
            detail: String::new(),
        };
        let retry_after = |error: CaError| error.with_until(bounded).disposition().retry_after();
        assert_eq!(retry_after(limited(Some(until(60)))), Some(bounded));
        assert_eq!(retry_after(limited(None)), None);
    }
}
