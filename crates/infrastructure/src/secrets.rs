//! Encryption of private keys before they reach the store.
//!
//! Envelope encryption: every secret has a random data key of its own; the data key is wrapped by a
//! key-encryption key that never touches the database. Both layers are AES-256-GCM-SIV (RFC 8452)
//! and both bind what the secret is for and which row holds it, so a sealed secret that was moved,
//! swapped or altered does not open. A [`KeyRing`] may hold several key-encryption keys: the first
//! seals, all of them open, and `reseal` moves a secret to the first.

mod envelope;
mod key_file;
mod key_ring;

pub use envelope::EnvelopeVault;
pub use key_file::{KeyFileError, create_key_file};
pub use key_ring::{KeyRing, KeyRingError};
