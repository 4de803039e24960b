//! The operator's remedy of a failure, beside the customer's sentence.

use super::Failure;

/// The remedy where the customer must act.
const CUSTOMER: &str = "The customer must act: send them this sentence. ";
/// The rest, if the service checks again.
const BY_ITSELF: &str = "The service checks again by itself.";
/// The rest, if it does not.
const ON_REQUEST: &str = "Then retry the domain with `dps domains retry`.";

/// The end of the detail of a limit that our own ledger applies, so that the CA got no request.
pub const NOTHING_SENT: &str = "nothing was sent";

impl Failure {
    /// The operator's remedy, in one or two sentences. For a fault of the platform it names the
    /// detail that the customer's sentence leaves out.
    pub fn remedy(&self) -> String {
        match self {
            Self::NameInvalid { .. } => "The hostname must be changed in the Cabinet.".to_owned(),
            Self::NameBlocked { rule } => format!(
                "The rule {rule} of Workers:DomainVerification:BlockedNames refuses the name. Change \
                 the rule, then retry the domain."
            ),
            Self::NameAlreadyClaimed { .. } => {
                "Two tenants claim the name: compare the claims with `dps domains show`.".to_owned()
            }
            Self::TargetNotAllowed { reason, .. } => format!(
                "Correct the target in the Cabinet, or Workers:DomainVerification:AllowedTargets \
                 ({reason})."
            ),
            Self::DnsTimeout {
                resolver_outage: true,
                ..
            } => "Check the resolvers of Dns:Resolvers from this machine.".to_owned(),
            Self::DnsPropagating { .. } => {
                "You do not need to do anything: the change reaches every server by itself."
                    .to_owned()
            }
            Self::IssuancePaused {} => {
                "`dps issuance status` shows who paused issuance and why; `dps issuance resume` \
                 ends the pause."
                    .to_owned()
            }
            Self::AcmeRateLimited { detail, .. } => {
                format!(
                    "You do not need to do anything: the order waits for the limit ({detail}). `dps \
                     limits show` lists the limits."
                )
            }
            Self::AcmePaused {
                unpause_url: Some(url),
                ..
            } => format!("Unpause the name at {url}, then retry the domain."),
            Self::AcmePaused { .. } => {
                "Unpause the name at the CA, then retry the domain.".to_owned()
            }
            Self::AcmeCaUnavailable { detail } => {
                format!(
                    "You do not need to do anything: the service tries again until the CA answers \
                     ({detail})."
                )
            }
            Self::AcmeAccount { detail } => {
                format!("The CA refuses our account: check it and section LetsEncrypt ({detail}).")
            }
            Self::EdgeUnreachable { edge, detail } => {
                format!("Check the agent and the HAProxy of {edge}: {detail}.")
            }
            Self::EdgeRejected { edge, reason } => {
                format!("Remove the cause at {edge}, which refuses the certificate: {reason}.")
            }
            Self::EdgeMismatch { edge, detail } => format!(
                "Compare the files of HAProxy at {edge} with its agent: {detail}. The next comparison \
                 sends the certificate again."
            ),
            Self::Internal { detail } => format!("The platform has a fault: {detail}."),
            Self::DnsMoved { .. }
            | Self::DnsNxdomain { .. }
            | Self::DnsNoCname { .. }
            | Self::DnsWrongTarget { .. }
            | Self::DnsCnameLoop { .. }
            | Self::DnsServfail { .. }
            | Self::DnsDnssecBogus { .. }
            | Self::DnsTimeout { .. }
            | Self::DnsOwnershipRequired { .. }
            | Self::DnsStrayAddress { .. }
            | Self::CdnInFront { .. }
            | Self::CaaForbids { .. }
            | Self::CaaLookupFailed { .. }
            | Self::HttpRefused { .. }
            | Self::HttpTimeout { .. }
            | Self::HttpWrongResponder { .. }
            | Self::HttpStatus { .. }
            | Self::HttpRedirect { .. }
            | Self::HttpAddressForbidden { .. }
            | Self::AcmeRejectedIdentifier { .. }
            | Self::AcmeValidationFailed { .. } => {
                let rest = if self.is_retryable() {
                    BY_ITSELF
                } else {
                    ON_REQUEST
                };
                format!("{CUSTOMER}{rest}")
            }
        }
    }

    /// The words of the CA about it; `None` if it is not the CA's, or if nothing was sent to the
    /// CA.
    pub fn ca_words(&self) -> Option<&str> {
        match self {
            Self::AcmeRateLimited { detail, .. } if detail.contains(NOTHING_SENT) => None,
            Self::AcmeRateLimited { detail, .. }
            | Self::AcmePaused { detail, .. }
            | Self::AcmeRejectedIdentifier { detail }
            | Self::AcmeValidationFailed { detail, .. }
            | Self::AcmeCaUnavailable { detail }
            | Self::AcmeAccount { detail } => Some(detail)
                .filter(|detail| !detail.is_empty())
                .map(String::as_str),
            _ => None,
        }
    }
}
