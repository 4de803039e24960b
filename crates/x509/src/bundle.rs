//! The certificates that an authority sends, and the path in them.

use std::collections::HashSet;

use dps_domain::{Hostname, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::chain::pem_certificates;
use crate::check::not_an_authority;
use crate::{
    CertificateChain, CertificateKey, ChainError, ChainFault, MAX_CHAIN_BYTES,
    MAX_CHAIN_CERTIFICATES, Roots, check,
};

/// The most certificates of a bundle.
pub const MAX_BUNDLE_CERTIFICATES: usize = 16;
/// The most paths that are tried. Authorities send one or two.
const MAX_PATHS: usize = 64;

/// A leaf among certificates in any order: intermediates, roots, duplicates and certificates of
/// other paths (RFC 8446 §4.4.2 warns of all of them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateBundle(Vec<Vec<u8>>);

impl CertificateBundle {
    /// Reads PEM. CRLF, blank lines and text between the blocks are passed over; any other kind of
    /// block is refused.
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        let mut certificates = pem_certificates(text, MAX_CHAIN_BYTES, MAX_BUNDLE_CERTIFICATES)?;
        if certificates.is_empty() {
            return Err(ChainError::Missing);
        }
        let mut seen = HashSet::new();
        certificates.retain(|der| seen.insert(der.clone()));
        Ok(Self(certificates))
    }

    /// The chain from the leaf of `key`, as long as the authority sent it, that passes [`check`]
    /// and leads to `roots`.
    ///
    /// Of several paths, the longest is returned, so that a cross-signed certificate is kept for
    /// visitors who know only its issuer. Of equally long paths, it is the first in the authority's
    /// order. Roots are left out, since visitors have them.
    pub fn path(
        &self,
        key: &CertificateKey,
        hostname: &Hostname,
        now: Timestamp,
        roots: &Roots,
    ) -> Result<CertificateChain, ChainFault> {
        let pool = Pool::read(&self.0, now);
        let leaf = pool.leaf(key).ok_or(ChainFault::KeyMismatch)?;
        let mut first_fault = None;
        for path in pool.paths(leaf) {
            let chain = path.iter().map(|at| pool.members[*at].0.to_vec()).collect();
            // Every member was parsed before.
            let Ok(chain) = CertificateChain::from_der(chain) else {
                continue;
            };
            let top = path.last().and_then(|last| pool.root_of(*last));
            let verified =
                check(&chain, key, hostname, now).and_then(|()| roots.verify(&chain, top, now));
            match verified {
                Ok(()) => return Ok(chain),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        Err(first_fault.unwrap_or(ChainFault::Incomplete))
    }
}

/// The certificates that can be read, each with its DER.
struct Pool<'a> {
    members: Vec<(&'a [u8], X509Certificate<'a>)>,
    now: Timestamp,
}

impl<'a> Pool<'a> {
    fn read(certificates: &'a [Vec<u8>], now: Timestamp) -> Self {
        let members = certificates
            .iter()
            .filter_map(|der| match X509Certificate::from_der(der) {
                Ok(([], certificate)) => Some((der.as_slice(), certificate)),
                // A certificate that cannot be read is on no path.
                Ok(_) | Err(_) => None,
            });
        Self {
            members: members.collect(),
            now,
        }
    }

    /// The first certificate of the key.
    fn leaf(&self, key: &CertificateKey) -> Option<usize> {
        self.members.iter().position(|(_, member)| {
            *member.public_key().subject_public_key.data == *key.public_key()
        })
    }

    /// The paths that begin at `leaf`, longest first.
    fn paths(&self, leaf: usize) -> Vec<Vec<usize>> {
        let mut paths = vec![vec![leaf]];
        let mut next = 0;
        // Each path is followed by its continuations, so that every prefix is a path as well.
        while next < paths.len() && paths.len() < MAX_PATHS {
            let path = paths[next].clone();
            next += 1;
            if path.len() < MAX_CHAIN_CERTIFICATES {
                paths.extend(self.issuers(&path).map(|issuer| {
                    let mut longer = path.clone();
                    longer.push(issuer);
                    longer
                }));
            }
        }
        paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
        paths
    }

    /// The intermediates that may continue a path: valid, an authority, and not one that the path
    /// went through under another certificate.
    fn issuers(&self, path: &[usize]) -> impl Iterator<Item = usize> {
        let last = path.last().map(|last| &self.members[*last].1);
        self.members
            .iter()
            .enumerate()
            .filter(move |(_, (_, member))| {
                let was_passed = path.iter().any(|at| {
                    let passed = &self.members[*at].1;
                    passed.subject().as_raw() == member.subject().as_raw()
                        && passed.public_key().raw == member.public_key().raw
                });
                last.is_some_and(|last| signs(member, last))
                    && !was_passed
                    && !is_self_signed(member)
                    && self.is_valid(member)
                    && not_an_authority(member, path.len() - 1).is_none()
            })
            .map(|(at, _)| at)
    }

    /// The self-signed certificate that signs a member, if it was sent.
    fn root_of(&self, member: usize) -> Option<&'a [u8]> {
        let member = &self.members[member].1;
        self.members
            .iter()
            .find(|(_, root)| is_self_signed(root) && signs(root, member) && self.is_valid(root))
            .map(|(der, _)| *der)
    }

    fn is_valid(&self, member: &X509Certificate<'_>) -> bool {
        let (first, last) = (member.validity().not_before, member.validity().not_after);
        (first.timestamp()..=last.timestamp()).contains(&self.now.unix_seconds())
    }
}

fn signs(issuer: &X509Certificate<'_>, member: &X509Certificate<'_>) -> bool {
    issuer.subject().as_raw() == member.issuer().as_raw()
        && member.verify_signature(Some(issuer.public_key())).is_ok()
}

fn is_self_signed(member: &X509Certificate<'_>) -> bool {
    member.subject().as_raw() == member.issuer().as_raw()
}
