//! The key-encryption keys of a vault.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::key_file::{self, KeyFileError};

const KEY_BYTES: usize = 32;
pub(super) const MAX_ID_BYTES: usize = 64;

/// Key-encryption keys by identifier; never empty. The first is the current one.
pub struct KeyRing {
    current: KeyEncryptionKey,
    others: Vec<KeyEncryptionKey>,
}

/// One key-encryption key, wiped from memory when dropped.
pub(super) struct KeyEncryptionKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl KeyEncryptionKey {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl KeyRing {
    /// Reads `<id>:<base64 of 32 bytes>` entries, one per line or separated by commas, the current
    /// one first. Empty lines and lines that begin with `#` are passed over.
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        Self::from_keys(read_entries(text.expose_secret())?)
    }

    /// Reads key files, each with one or more lines as [`parse`](Self::parse) takes them. The first
    /// line of the first file is the current key. A file that others may read is refused.
    pub fn from_files<P: AsRef<Path>>(paths: &[P]) -> Result<Self, KeyRingError> {
        let mut keys = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let text = key_file::read(path)?;
            let entries = read_entries(&text).map_err(|cause| KeyRingError::InFile {
                path: path.to_owned(),
                cause: Box::new(cause),
            })?;
            keys.extend(entries);
        }
        Self::from_keys(keys)
    }

    /// The identifiers, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(KeyEncryptionKey::id)
    }

    pub(super) const fn current(&self) -> &KeyEncryptionKey {
        &self.current
    }

    pub(super) fn find(&self, id: &str) -> Option<&KeyEncryptionKey> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &KeyEncryptionKey> {
        std::iter::once(&self.current).chain(&self.others)
    }

    fn from_keys(keys: Vec<KeyEncryptionKey>) -> Result<Self, KeyRingError> {
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|earlier| earlier.id == key.id) {
                return Err(KeyRingError::Duplicate { id: key.id.clone() });
            }
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyRingError::Empty)?;
        Ok(Self {
            current,
            others: keys.collect(),
        })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

fn read_entries(text: &str) -> Result<Vec<KeyEncryptionKey>, KeyRingError> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split(',').map(str::trim))
        .filter(|entry| !entry.is_empty())
        .enumerate()
        .map(|(index, entry)| read_entry(index + 1, entry))
        .collect()
}

fn read_entry(number: usize, entry: &str) -> Result<KeyEncryptionKey, KeyRingError> {
    let (id, key) = entry.split_once(':').ok_or(KeyRingError::NoId { number })?;
    let (id, key) = (id.trim(), key.trim());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.chars().all(allowed) {
        return Err(KeyRingError::BadId { number });
    }
    let wrong = || KeyRingError::BadKey { id: id.to_owned() };
    // One byte more than a key, so that a longer one is noticed; decoding never leaves this buffer.
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES + 3]);
    let length = STANDARD
        .decode_slice(key, bytes.as_mut_slice())
        .map_err(|_| wrong())?;
    let exact: &[u8; KEY_BYTES] = bytes[..length].try_into().map_err(|_| wrong())?;
    Ok(KeyEncryptionKey {
        id: id.to_owned(),
        bytes: Zeroizing::new(*exact),
    })
}

/// The key-encryption keys cannot be used. No message repeats any key.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// A key file cannot be read, or may be read by others.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// An entry of a key file is wrong.
    #[error("the key file {} is not usable", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Its fault.
        #[source]
        cause: Box<KeyRingError>,
    },
    /// There is no key at all.
    #[error(
        "there is no key-encryption key; give at least one line of the form <id>:<base64 of 32 random bytes>"
    )]
    Empty,
    /// An entry without a colon.
    #[error("key-encryption key {number} is not of the form <id>:<base64 of 32 bytes>")]
    NoId {
        /// Which entry, from 1.
        number: usize,
    },
    /// An identifier that is empty, too long, or has other characters.
    #[error(
        "the identifier of key-encryption key {number} must be 1 to 64 letters, digits, dots, hyphens and underscores"
    )]
    BadId {
        /// Which entry, from 1.
        number: usize,
    },
    /// Not base64, or not 32 bytes.
    #[error(
        "the key-encryption key {id} is not the base64 of 32 bytes; `openssl rand -base64 32` makes one"
    )]
    BadKey {
        /// The key's identifier.
        id: String,
    },
    /// Two keys with one identifier.
    #[error("the key-encryption key {id} is given twice")]
    Duplicate {
        /// The identifier.
        id: String,
    },
}
