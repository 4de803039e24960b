//! Files that HAProxy could not have started with, set aside with the reason and not kept for ever.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_domain::{Timestamp, with_causes};

use super::file::FileFault;
use super::{Disk, DiskError, during, write};
use crate::random;

/// Files set aside at most; the oldest go first, but not before an operator had the time to inspect
/// them.
const CAPACITY: usize = 1000;
/// So long every file is kept.
const KEPT_AT_LEAST: Duration = Duration::from_secs(86_400);
/// The time after which a file is deleted.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Ends the name of the text that says why.
const REASON: &str = ".reason";

impl Disk {
    /// Moves a file or folder to `quarantine/<name>.<unix seconds>.<random>`, with its reason in a
    /// file beside it. A file that cannot be moved stays, and is harmless while the crt-list does
    /// not name it.
    pub(super) fn quarantine(&self, path: &Path, fault: &FileFault, now: Timestamp) {
        match self.set_aside_with_reason(path, fault, now) {
            Ok(to) => {
                tracing::error!(path = %path.display(), quarantine = %to.display(), reason = %fault, "file.quarantined");
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(path = %path.display(), reason = %fault, %error, "file.quarantine_failed");
            }
        }
    }

    fn set_aside_with_reason(
        &self,
        path: &Path,
        fault: &FileFault,
        now: Timestamp,
    ) -> Result<PathBuf, DiskError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let short: String = name.chars().take(180).collect();
        let name = format!("{short}.{}.{}", now.unix_seconds(), &random::name()[..8]);
        let to = self.root.join("quarantine").join(&name);
        let reason = self.root.join("quarantine").join(format!("{name}{REASON}"));
        fs::rename(path, &to).map_err(during("set aside", path))?;
        // The log has it as well: a full disk must keep no agent from starting.
        write::write_private(&reason, format!("{}: {fault}\n", path.display()).as_bytes()).ok();
        if fs::symlink_metadata(&to).is_ok_and(|about| about.is_file()) {
            // It may hold a key.
            fs::set_permissions(&to, Permissions::from_mode(0o600)).ok();
        }
        path.parent().map_or(Ok(()), write::sync_folder)?;
        Ok(to)
    }

    /// How many files are set aside.
    pub(crate) fn quarantined(&self) -> u64 {
        self.set_aside().len() as u64
    }

    /// Deletes what was set aside too long ago, and the oldest of what is too much.
    pub(crate) fn clean_quarantine(&self, now: Timestamp) {
        let mut aside: Vec<_> = self
            .set_aside()
            .into_iter()
            .map(|path| (since(&path).unwrap_or(now), path))
            .collect();
        aside.sort();
        let surplus = aside.len().saturating_sub(CAPACITY);
        for (index, (since, path)) in aside.into_iter().enumerate() {
            let age = now.since(since);
            if age < KEPT_AT_LEAST || index >= surplus && age < KEPT_FOR {
                continue;
            }
            let gone = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            if let Err(error) = gone {
                tracing::warn!(path = %path.display(), %error, "quarantine.delete_failed");
            }
            fs::remove_file(reason_of(&path)).ok();
        }
    }

    fn set_aside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join("quarantine"))
            .into_iter()
            .flatten();
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| !path.to_string_lossy().ends_with(REASON))
            .collect()
    }
}

/// When a file was set aside: its name says so.
fn since(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let seconds = name.rsplit('.').nth(1)?.parse().ok()?;
    Some(Timestamp::from_unix_seconds(seconds))
}

fn reason_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(REASON);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Tombstones;

    #[test]
    fn what_is_set_aside_says_why_and_is_deleted_when_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path()).unwrap();
        let (early, late) = (
            Timestamp::from_unix_seconds(1_000_000),
            Timestamp::from_unix_seconds(1_000_001),
        );
        for (name, at) in [("a.pem", early), ("b.pem", late)] {
            let path = root.path().join(name);
            fs::write(&path, "damaged").unwrap();
            disk.quarantine(&path, &FileFault::Header, at);
        }
        let texts = || -> Vec<String> {
            let entries = fs::read_dir(root.path().join("quarantine")).unwrap();
            let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
            texts.filter(|text| text != "damaged").collect()
        };
        assert_eq!(disk.quarantined(), 2);
        assert!(
            texts()
                .iter()
                .all(|text| text.contains(&FileFault::Header.to_string()))
        );

        disk.clean_quarantine(early + KEPT_AT_LEAST);
        assert_eq!(disk.quarantined(), 2);
        disk.clean_quarantine(early + KEPT_FOR);

        assert_eq!(disk.quarantined(), 1);
        assert_eq!(texts().len(), 1);
        assert!(texts()[0].contains("b.pem"));
    }

    #[test]
    fn what_cannot_be_set_aside_keeps_no_agent_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path()).unwrap();
        let foreign = root.path().join("certs/foreign.pem");
        fs::write(&foreign, "foreign").unwrap();
        fs::remove_dir(root.path().join("quarantine")).unwrap();

        let held = disk.load(&Tombstones::new(), Timestamp::EPOCH).unwrap();

        assert_eq!(held.len(), 0);
        assert!(foreign.exists());
        let list = fs::read_to_string(disk.list().as_str()).unwrap();
        assert!(!list.contains("foreign"), "{list}");
    }
}
