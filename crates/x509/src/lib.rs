//! Reads, checks and makes X.509 certificate chains, keys and CSRs. It uses no socket and no clock,
//! and no file except in [`create_private_file`].
//!
//! The service makes a [`CertificateKey`] and a CSR from it ([`csr_der`]) before it finalizes an
//! order. The certificate authority returns a [`CertificateBundle`]. Its
//! [`path`](CertificateBundle::path) from the leaf to the authority's [`Roots`] is a
//! [`CertificateChain`]. [`check`] verifies its key, order, name, dates, usage and strength. The
//! agent at the edge runs the same check before it lets HAProxy see the chain. Whatever PEM comes
//! in, the PEM that goes out is written by us: LF line ends, no blank lines, nothing between
//! blocks. A [`PrivateAuthority`] makes certificates for connections between processes of ours. A
//! chain is known everywhere by its **fingerprint**, the SHA-256 of its leaf in lower-case hex.

mod bundle;
mod chain;
mod check;
mod csr;
mod key;
mod pem;
mod private_authority;
mod private_file;
mod roots;

pub use bundle::{CertificateBundle, MAX_BUNDLE_CERTIFICATES};
pub use chain::{CertificateChain, ChainError, Leaf, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
pub use check::{ChainFault, check};
pub use csr::{MakeError, csr_der, self_signed};
pub use key::{CertificateKey, KeyAlgorithm, KeyFault};
pub use private_authority::{
    AuthorityFault, PeerName, PeerNameError, PeerRole, PrivateAuthority, peer_names,
};
pub use private_file::{ExposedFile, check_private_file, create_private_file};
pub use roots::{Roots, RootsError};
