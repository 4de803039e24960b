//! The file of a SQLite database.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Mode of a database file: sealed keys, tokens and customers' names are for its owner alone.
pub const FILE_MODE: u32 = 0o600;

/// Makes the file if it is missing and `create` says so, readable by its owner alone; SQLite gives
/// its log the same mode. Warns when others may read a file that exists.
pub(crate) fn prepare_file(path: &Path, create: bool) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                tracing::warn!(
                    path = %path.display(),
                    mode = format!("{mode:o}"),
                    remedy = "restrict the file to its owner (chmod 600)", "database.file_exposed"
                );
            }
            Ok(())
        }
        Err(missing) if missing.kind() == ErrorKind::NotFound && create => match make_file(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        },
        Err(error) => Err(error),
    }
}

/// Makes an empty file that did not exist.
pub(crate) fn make_file(path: &Path) -> Result<(), Error> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    made.map(drop)
}
