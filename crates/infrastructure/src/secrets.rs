//! Encryption of private keys before they reach the store.
//!
//! This is envelope encryption: every secret has its own random data key, which is wrapped by a
//! key-encryption key that never touches the database. Both layers use AES-256-GCM-SIV (RFC 8452)
//! and bind the purpose of the secret and its row. So a sealed secret that was moved, swapped or
//! altered cannot be opened. A [`KeyRing`] may hold several key-encryption keys: the first seals,
//! all of them open, and `reseal` moves a secret to the first.

mod envelope;
mod key_file;
mod key_ring;

pub use envelope::EnvelopeVault;
pub use key_file::{KeyFileError, create_key_file};
pub use key_ring::{KeyRing, KeyRingError};
