//! Files that hold private keys or other secrets: how they are made, and the one rule about their
//! permission bits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

/// Mode of a new file with secrets.
const PRIVATE_MODE: u32 = 0o600;

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

/// Makes a file that its owner alone may read. Afterwards either the whole file is there, safe on
/// disk, or none; a file that exists is not touched.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when the name is taken, and whatever the file system refuses.
pub fn create_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut random = [0_u8; 8];
    rand::fill(&mut random).map_err(|_| io::Error::other("no random file name could be made"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let draft = directory.join(format!(".private-{}", hex::encode(random)));
    let written = write_new(&draft, content)
        // A link, unlike a rename, fails if the name is taken.
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written
        .and(removed)
        .and_then(|()| File::open(directory)?.sync_all())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_MODE)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_there_as_a_whole_or_not_at_all_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let path = folder.path().join("token");
        create_private_file(&path, b"first").unwrap();
        let taken = create_private_file(&path, b"second").unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(check_private_file(&path, mode), Ok(()));
        let missing = folder.path().join("missing/token");
        assert!(create_private_file(&missing, b"third").is_err());
        assert_eq!(names(), ["token"], "no draft is left");
    }

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
