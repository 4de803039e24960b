//! Key files: made once for the embedded default, read with a check of their permissions.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_x509::{ExposedFile, check_private_file, create_private_file};
use zeroize::Zeroizing;

/// More is no key file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A key file cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It exists already. Overwriting it would make every sealed secret unreadable.
    #[error("the key file {} exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or change it.
    #[error("the key file {0}")]
    TooOpen(ExposedFile),
    /// It is no file of keys.
    #[error("the key file {} is no text of at most 64 KiB", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The random number source failed.
    #[error("no random key could be made for the key file {}", path.display())]
    Random {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("the key file {} could not be {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The attempted action.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Makes a key file with one new key, readable by its owner alone. Either the whole file is there
/// afterwards, safe on disk, or none; an existing file is never touched.
pub fn create_key_file(path: &Path) -> Result<(), KeyFileError> {
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => KeyFileError::Exists {
            path: path.to_owned(),
        },
        _ => KeyFileError::Io {
            path: path.to_owned(),
            action: "made",
            source,
        },
    };
    let mut random = Zeroizing::new([0_u8; 40]);
    rand::fill(random.as_mut_slice()).map_err(|_| KeyFileError::Random {
        path: path.to_owned(),
    })?;
    let (name, key) = random.split_at(8);
    let suffix = hex::encode(name);
    let encoded = Zeroizing::new(STANDARD.encode(key));
    let line = Zeroizing::new(format!("key-{}:{}\n", &suffix[..8], encoded.as_str()));

    create_private_file(path, line.as_bytes()).map_err(failed)
}

/// Reads a key file that no other user may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |source| KeyFileError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let not_text = || KeyFileError::NotText {
        path: path.to_owned(),
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_private_file(path, metadata.permissions().mode()).map_err(KeyFileError::TooOpen)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(not_text());
    }
    // The whole room at once: a buffer that grew would leave copies of keys in memory.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(metadata.len())
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| not_text())?;
    Ok(Zeroizing::new(text.to_owned()))
}
