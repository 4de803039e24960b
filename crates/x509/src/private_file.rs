//! The one rule for files that hold private keys or other secrets, by their permission bits.

use std::path::{Path, PathBuf};

/// Rights of others, and writing by the group. The group may read: orchestrators mount secrets so.
const FORBIDDEN_RIGHTS: u32 = 0o027;

/// Others than the owner and the group may read a file with secrets, or others than the owner may
/// change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} has mode {mode:04o}, which lets others read or change it; run: chmod 600 {path} (640 where a group must read it)",
    path = path.display()
)]
pub struct ExposedFile {
    path: PathBuf,
    mode: u32,
}

/// Checks the mode of a file with secrets, as `stat` reports it.
///
/// # Errors
/// [`ExposedFile`] when others may read or change it.
pub fn check_private_file(path: &Path, mode: u32) -> Result<(), ExposedFile> {
    if mode & FORBIDDEN_RIGHTS == 0 {
        return Ok(());
    }
    Err(ExposedFile {
        path: path.to_owned(),
        mode: mode & 0o7777,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_do_all_the_group_may_read_and_others_nothing() {
        let path = Path::new("/etc/dps/token");
        for private in [0o100_600, 0o400, 0o440, 0o640, 0o700] {
            assert_eq!(check_private_file(path, private), Ok(()), "{private:o}");
        }
        for exposed in [0o100_644, 0o604, 0o660, 0o620, 0o601, 0o777] {
            let error = check_private_file(path, exposed).unwrap_err().to_string();
            let mode = format!("{:04o}", exposed & 0o7777);
            assert!(
                error.contains(&mode) && error.contains("chmod 600 /etc/dps/token"),
                "{error}"
            );
        }
    }
}
