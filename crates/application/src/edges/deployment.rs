//! The request that deploys a stored certificate at an edge.

use crate::ports::edge::DeployRequest;
use crate::ports::store::StoredCertificate;
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::service::Service;

/// Opens the key of a stored certificate and returns the request for an edge.
pub(crate) fn deploy_request(
    service: &Service,
    stored: &StoredCertificate,
) -> Result<DeployRequest, VaultError> {
    let certificate = &stored.certificate;
    let row = certificate.id.to_string();
    let place = SecretContext {
        purpose: SecretPurpose::CertificateKey,
        row: &row,
    };
    Ok(DeployRequest {
        hostname: certificate.hostname.clone(),
        chain_pem: certificate.details.chain_pem.clone(),
        key_pem: service.vault.open(place, &certificate.key)?,
        fingerprint: certificate.details.fingerprint.clone(),
        generation: stored.generation,
    })
}
