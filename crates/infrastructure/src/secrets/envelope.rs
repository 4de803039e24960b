//! The sealed form: version, key id, wrapped data key, encrypted secret.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use dps_application::ports::Vault;
use dps_application::ports::vault::{SealedSecret, SecretContext, VaultError};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::key_ring::{KeyRing, MAX_ID_BYTES};

/// First byte of everything sealed. Another layout takes another number; what was sealed under this
/// one must still open.
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// The layer of a ciphertext, so that one layer cannot replace the other.
#[derive(Clone, Copy)]
enum Layer {
    DataKey,
    Secret,
}

/// The [`Vault`] of the service.
pub struct EnvelopeVault {
    keys: KeyRing,
}

impl EnvelopeVault {
    /// A vault that seals with the first key of the ring and opens with all of them.
    pub const fn new(keys: KeyRing) -> Self {
        Self { keys }
    }

    /// The identifier of the key-encryption key that seals now.
    pub fn current_key_id(&self) -> &str {
        self.keys.current().id()
    }

    /// The identifiers of all key-encryption keys, the current one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.ids()
    }

    /// The identifier of the key-encryption key that `sealed` needs; `None` if it is nothing that a
    /// vault sealed.
    pub fn key_id_of(sealed: &SealedSecret) -> Option<&str> {
        Envelope::read(&sealed.0)
            .ok()
            .map(|envelope| envelope.key_id)
    }
}

impl Vault for EnvelopeVault {
    fn seal(
        &self,
        context: SecretContext<'_>,
        secret: &SecretString,
    ) -> Result<SealedSecret, VaultError> {
        let current = self.keys.current();
        let mut data_key = Zeroizing::new([0_u8; KEY_BYTES]);
        rand::fill(data_key.as_mut_slice()).map_err(|_| VaultError::Cipher)?;
        let id = current.id();
        let id_length = u8::try_from(id.len()).map_err(|_| VaultError::Cipher)?;
        let mut bytes = vec![VERSION, id_length];
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend(encrypt(
            current.bytes(),
            &bound(context, id, Layer::DataKey),
            data_key.as_slice(),
        )?);
        let plain = secret.expose_secret().as_bytes();
        bytes.extend(encrypt(
            data_key.as_slice(),
            &bound(context, id, Layer::Secret),
            plain,
        )?);
        Ok(SealedSecret(bytes))
    }

    fn open(
        &self,
        context: SecretContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<SecretString, VaultError> {
        let envelope = Envelope::read(&sealed.0)?;
        let id = envelope.key_id;
        let key = self.keys.find(id).ok_or_else(|| VaultError::UnknownKey {
            key_id: id.to_owned(),
        })?;
        let data_key = decrypt(
            key.bytes(),
            &bound(context, id, Layer::DataKey),
            envelope.wrapped_key,
        )?;
        let plain = decrypt(
            &data_key,
            &bound(context, id, Layer::Secret),
            envelope.secret,
        )?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Tampered)?;
        Ok(SecretString::from(text))
    }

    fn is_current(&self, sealed: &SealedSecret) -> bool {
        Self::key_id_of(sealed) == Some(self.current_key_id())
    }

    fn reseal(
        &self,
        context: SecretContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<Option<SealedSecret>, VaultError> {
        if Envelope::read(&sealed.0)?.key_id == self.current_key_id() {
            return Ok(None);
        }
        let secret = self.open(context, sealed)?;
        self.seal(context, &secret).map(Some)
    }
}

impl fmt::Debug for EnvelopeVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeVault").finish_non_exhaustive()
    }
}

/// The parts of a sealed secret.
struct Envelope<'a> {
    key_id: &'a str,
    wrapped_key: &'a [u8],
    secret: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes the bytes apart; what cannot be taken apart was altered.
    fn read(bytes: &'a [u8]) -> Result<Self, VaultError> {
        let parts = || {
            let (&[VERSION, id_length], rest) = bytes.split_first_chunk()? else {
                return None;
            };
            let (id, rest) = rest.split_at_checked(usize::from(id_length))?;
            let (wrapped_key, secret) = rest.split_at_checked(WRAPPED_BYTES)?;
            let key_id = std::str::from_utf8(id).ok()?;
            (1..=MAX_ID_BYTES).contains(&key_id.len()).then_some(Self {
                key_id,
                wrapped_key,
                secret,
            })
        };
        parts().ok_or(VaultError::Tampered)
    }
}

/// Returns the associated data of a ciphertext. The length of every part precedes it, so that no
/// two contexts give the same bytes.
fn bound(context: SecretContext<'_>, key_id: &str, layer: Layer) -> Vec<u8> {
    let layer = match layer {
        Layer::DataKey => "data-key",
        Layer::Secret => "secret",
    };
    let mut bytes = vec![VERSION];
    for part in [layer, context.purpose.as_str(), context.row, key_id] {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// Nonce, ciphertext and tag, in this order.
fn encrypt(key: &[u8], bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key).map_err(|_| VaultError::Cipher)?;
    // Room for the tag from the start: a buffer that grew would leave its plain text in memory.
    let mut buffer = Vec::with_capacity(plain.len() + TAG_BYTES);
    buffer.extend_from_slice(plain);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound), &mut buffer)
        .map_err(|_| VaultError::Cipher)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(buffer);
    Ok(sealed)
}

fn decrypt(key: &[u8], bound: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key).map_err(|_| VaultError::Tampered)?;
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(VaultError::Tampered)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = key
        .open_in_place(Nonce::from(nonce), Aad::from(bound), &mut buffer)
        .map_err(|_| VaultError::Tampered)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}
