//! The edges that there are: those of the configuration and those that a directory names, which come and go.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::ports::edge::{Deployment, DirectoryError, EdgeError};
use crate::ports::store::StoredCertificate;
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::ports::{Edge, EdgeDirectory};
use crate::service::Service;

/// An edge that left the fleet so long ago is forgotten.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest account of a problem that is kept, in characters.
const MAX_PROBLEM: usize = 300;

/// What is kept of an edge's error.
pub(crate) fn problem(error: &EdgeError) -> String {
    error.to_string().chars().take(MAX_PROBLEM).collect()
}

/// The edges, as of the last look into the directory.
pub struct Fleet {
    fixed: Vec<Arc<dyn Edge>>,
    directory: Option<Arc<dyn EdgeDirectory>>,
    members: RwLock<Arc<[Arc<dyn Edge>]>>,
}

impl Fleet {
    /// The edges of the configuration, and those that the directory will name.
    pub fn new(fixed: Vec<Arc<dyn Edge>>, directory: Option<Arc<dyn EdgeDirectory>>) -> Self {
        let members = RwLock::new(fixed.clone().into());
        Self {
            fixed,
            directory,
            members,
        }
    }

    /// The edges of the configuration alone.
    pub fn fixed(edges: Vec<Arc<dyn Edge>>) -> Self {
        Self::new(edges, None)
    }

    /// Every edge that is known of now.
    pub fn members(&self) -> Arc<[Arc<dyn Edge>]> {
        Arc::clone(&self.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks into the directory. While it does not answer, the edges stay as they were; in a process that has just begun, those that
    /// `known` names.
    pub async fn find(&self, known: &[&str]) -> Result<(), DirectoryError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let (found, result) = match directory.find().await {
            Ok(found) => (found, Ok(())),
            Err(error) if self.members().len() > self.fixed.len() => return Err(error),
            Err(error) => {
                let recalled = known.iter().filter_map(|name| directory.recall(name));
                (recalled.collect(), Err(error))
            }
        };
        let mut members = self.fixed.clone();
        for edge in found {
            if !members.iter().any(|member| member.name() == edge.name()) {
                members.push(edge);
            }
        }
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members.into();
        result
    }
}

/// A stored certificate as it travels to an edge.
pub(crate) fn deployment(service: &Service, stored: &StoredCertificate) -> Result<Deployment, VaultError> {
    let certificate = &stored.certificate;
    let row = certificate.id.to_string();
    let place = SecretContext {
        purpose: SecretPurpose::CertificateKey,
        row: &row,
    };
    Ok(Deployment {
        hostname: certificate.hostname.clone(),
        chain_pem: certificate.facts.chain_pem.clone(),
        key_pem: service.vault.open(place, &certificate.key)?,
        fingerprint: certificate.facts.fingerprint.clone(),
        generation: stored.generation,
    })
}
