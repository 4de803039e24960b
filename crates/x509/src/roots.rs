//! The roots that a certificate authority's chains must lead to.

use std::time::Duration;

use dps_domain::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::chain::pem_certificates;
use crate::{CertificateChain, ChainError, ChainFault};

/// The most certificates of a PEM text of roots.
const MAX_ROOTS: usize = 1_000;
/// The longest PEM text of roots; a system's whole store has about 220 kB.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The trust anchors of issued certificates.
#[derive(Clone, Debug)]
pub struct Roots(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Known(Vec<TrustAnchor<'static>>),
    /// The authority is for tests and its roots are in no trust store.
    Unknown,
}

/// A text holds no usable root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// The text is not PEM, too long, or holds something else than certificates.
    #[error("the roots cannot be read: {0}")]
    Text(#[from] ChainError),
    /// There is no certificate that can be a trust anchor.
    #[error("there is no root certificate in the PEM text")]
    Missing,
}

impl Roots {
    /// Reads roots from PEM. A certificate that is no trust anchor is an error.
    pub fn from_pem(text: &str) -> Result<Self, RootsError> {
        let certificates = pem_certificates(text, MAX_BYTES, MAX_ROOTS)?;
        let count = certificates.len();
        let roots = Self::from_der(certificates);
        match &roots.0 {
            Kind::Known(anchors) if anchors.is_empty() || anchors.len() < count => {
                Err(RootsError::Missing)
            }
            _ => Ok(roots),
        }
    }

    /// The usable roots among DER certificates, as a system's store gives them. May be none.
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let anchors = certificates.into_iter().filter_map(|der| {
            let der = CertificateDer::from(der);
            anchor_from_trusted_cert(&der)
                .ok()
                .map(|anchor| anchor.to_owned())
        });
        Self(Kind::Known(anchors.collect()))
    }

    /// Any root, for an authority that no client trusts, such as Let's Encrypt's staging. Chains
    /// must be complete and right in every other respect.
    pub const fn unknown() -> Self {
        Self(Kind::Unknown)
    }

    /// Whether no chain can lead to these roots.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Kind::Known(anchors) if anchors.is_empty())
    }

    /// Verifies that the chain leads to one of the roots and may be used by a TLS server at `now`
    /// (RFC 5280 §6).
    ///
    /// `top` is the issuer of the chain's last certificate, if the authority sent it.
    pub(crate) fn verify(
        &self,
        chain: &CertificateChain,
        top: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), ChainFault> {
        let der: Vec<CertificateDer<'_>> = chain
            .der()
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let [leaf, intermediates @ ..] = der.as_slice() else {
            return Err(ChainFault::Incomplete);
        };
        let top = top.map(CertificateDer::from);
        let assumed;
        let anchors = match &self.0 {
            Kind::Known(anchors) => anchors.as_slice(),
            Kind::Unknown => {
                let top = top
                    .as_ref()
                    .or(intermediates.last())
                    .ok_or(ChainFault::Incomplete)?;
                assumed = [anchor_from_trusted_cert(top).map_err(|error| untrusted(&error))?];
                &assumed
            }
        };
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| untrusted(&error))?;
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        let verified = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            anchors,
            intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        );
        match verified {
            Ok(_) => Ok(()),
            Err(error) if is_foreign(&error) && intermediates.is_empty() => {
                Err(ChainFault::Incomplete)
            }
            Err(error) => Err(untrusted(&error)),
        }
    }
}

fn untrusted(error: &webpki::Error) -> ChainFault {
    let reason = if is_foreign(error) {
        "its issuer is not among the roots".to_owned()
    } else {
        error.to_string()
    };
    ChainFault::Untrusted { reason }
}

/// Whether no root issued the chain: none has the issuer's name, or one has its name and another
/// key.
const fn is_foreign(error: &webpki::Error) -> bool {
    matches!(
        error,
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey
    )
}
