//! Directories of clusters, findable by the id of the process that owns them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::LabError;
use crate::process::running_as_root;

/// Every cluster directory is `dps-lab-postgres-<pid>-<n>` under the system's temporary directory.
const PREFIX: &str = "dps-lab-postgres-";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory for one cluster, removed on drop or by a later process.
#[derive(Debug)]
pub(super) struct ClusterDirectory(PathBuf);

impl ClusterDirectory {
    /// Makes a new directory that belongs to `user` when we are root, and sweeps those of dead
    /// processes.
    pub(super) fn create(user: &str) -> Result<Self, LabError> {
        sweep();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        // A process of the same id may have died here.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).map_err(LabError::io(format!(
            "make the directory {}",
            path.display()
        )))?;
        let directory = Self(path);
        if running_as_root() {
            directory.give_to(user)?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Whether a process works in the data directory, as every process of a server does.
    pub(super) fn is_in_use(&self) -> bool {
        let data = self.data();
        let works_there = |process: std::fs::DirEntry| {
            let directory = std::fs::read_link(process.path().join("cwd"));
            directory.is_ok_and(|directory| directory == data)
        };
        std::fs::read_dir("/proc").is_ok_and(|all| all.flatten().any(works_there))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("postgres.log")
    }

    fn give_to(&self, user: &str) -> Result<(), LabError> {
        let status = std::process::Command::new("chown")
            .arg(user)
            .arg(&self.0)
            .status();
        if status.map_err(LabError::io("run chown"))?.success() {
            return Ok(());
        }
        Err(LabError::invalid(
            format!("the user `{user}`"),
            "chown refused it",
        ))
    }
}

impl Drop for ClusterDirectory {
    fn drop(&mut self) {
        // A directory that cannot be removed now is removed later.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories of processes that are gone. Directories of other users refuse, which is
/// right.
fn sweep() {
    for entry in std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner_of);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn owner_of(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_with_a_process_id_are_ours_to_sweep() {
        assert_eq!(owner_of("dps-lab-postgres-123-4"), Some(123));
        assert_eq!(owner_of("dps-lab-postgres-123"), None);
        assert_eq!(owner_of("dps-lab-postgres-me-4"), None);
        assert_eq!(owner_of("postgres-123-4"), None);
    }
}
