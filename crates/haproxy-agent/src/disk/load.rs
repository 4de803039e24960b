//! Reading the directory back at start, and setting aside what HAProxy could not start with.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dps_domain::{Hostname, Timestamp};
use zeroize::Zeroizing;

use super::file::FileFault;
use super::held::is_whole_list;
use super::{Disk, DiskError, Held, Inventory, Stamp, StoredCertificate, Tombstones, during};

/// A chain of 64 KiB, a key of 16 KiB and the first line.
const MAX_FILE_BYTES: u64 = 96 * 1024;

impl Disk {
    /// Reads every certificate, moves what is bad or foreign into quarantine, finishes removals
    /// that were interrupted, and brings the crt-list in line. Afterwards HAProxy can start with
    /// the directory.
    pub(crate) fn load(
        &self,
        removed: &Tombstones,
        now: Timestamp,
    ) -> Result<Inventory, DiskError> {
        let listed = self.listed(now)?;
        let mut held = Inventory::default();
        for path in self.certificate_files()? {
            let is_listed = listed
                .as_ref()
                .is_none_or(|names| path.to_str().is_some_and(|name| names.contains(name)));
            match self.judge(&path, is_listed) {
                Ok(stored) => {
                    let about = Held {
                        stamp: Stamp::of(&path).ok(),
                        ..Held::of(&stored, self.store_name(&stored.hostname)?)
                    };
                    held.insert(stored.hostname, about);
                }
                Err(FileFault::Unlisted {
                    hostname,
                    generation,
                    ..
                }) if removed
                    .get(&hostname)
                    .is_some_and(|tombstone| tombstone.generation >= generation) =>
                {
                    tracing::info!(domain.hostname = %hostname, "removal.resumed");
                    let deleted =
                        fs::remove_file(&path).and_then(|()| path.parent().map_or(Ok(()), sync));
                    if let Err(error) = deleted {
                        tracing::error!(domain.hostname = %hostname, %error, "certificate.delete_failed");
                    }
                }
                Err(fault) => self.quarantine(&path, &fault, now),
            }
        }
        for name in listed.iter().flatten() {
            if !Path::new(name).is_file() {
                tracing::warn!(name, "crt_list.line_dropped");
            } else if !name.starts_with(&self.store_prefix()) {
                tracing::warn!(
                    name,
                    remedy = "use a crt-list of your own for it",
                    "crt_list.foreign_line_dropped"
                );
            }
        }
        self.write_list(&held.crt_list())?;
        Ok(held)
    }

    /// Reads one hostname's certificate with its key.
    pub(crate) fn read(&self, hostname: &Hostname) -> Result<StoredCertificate, DiskError> {
        let path = PathBuf::from(self.store_name(hostname)?.as_str());
        self.judge(&path, true).map_err(|fault| {
            during("use", &path)(io::Error::new(io::ErrorKind::InvalidData, fault))
        })
    }

    /// The names in the crt-list; `None` if there is no complete list, so that a lost list costs no
    /// certificate.
    fn listed(&self, now: Timestamp) -> Result<Option<HashSet<String>>, DiskError> {
        let path = Path::new(self.list.as_str());
        if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            self.quarantine(path, &FileFault::Unreadable, now);
            return Ok(None);
        }
        match fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if !is_whole_list(&text) {
                    tracing::error!(list = %self.list, "crt_list.rebuilt");
                    return Ok(None);
                }
                let names = text.lines().filter(|line| !line.starts_with('#'));
                Ok(Some(
                    names
                        .filter_map(|line| line.split_whitespace().next())
                        .map(str::to_owned)
                        .collect(),
                ))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(during("read", path)(error)),
        }
    }

    fn certificate_files(&self) -> Result<Vec<PathBuf>, DiskError> {
        let root = self.root.join("certs");
        let mut files = Vec::new();
        for shard in fs::read_dir(&root)
            .map_err(during("list", &root))?
            .flatten()
            .map(|entry| entry.path())
        {
            // A link may lead to folders that are not ours.
            if fs::symlink_metadata(&shard).is_ok_and(|about| about.is_dir()) {
                let entries = fs::read_dir(&shard).map_err(during("list", &shard))?;
                files.extend(entries.flatten().map(|entry| entry.path()));
            } else {
                files.push(shard);
            }
        }
        files.sort();
        Ok(files)
    }

    pub(super) fn judge(
        &self,
        path: &Path,
        is_listed: bool,
    ) -> Result<StoredCertificate, FileFault> {
        let about = fs::symlink_metadata(path).map_err(|_| FileFault::Unreadable)?;
        if !about.is_file() {
            return Err(FileFault::Unreadable);
        }
        if about.len() > MAX_FILE_BYTES {
            return Err(FileFault::TooLarge);
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(|_| FileFault::Unreadable)?);
        let stored = StoredCertificate::parse(
            std::str::from_utf8(&bytes).map_err(|_| FileFault::Unreadable)?,
        )?;
        let name = self
            .store_name(&stored.hostname)
            .map_err(|_| FileFault::Header)?;
        if Path::new(name.as_str()) != path {
            return Err(FileFault::Misplaced);
        }
        if !is_listed {
            return Err(FileFault::Unlisted {
                hostname: stored.hostname,
                generation: stored.generation,
            });
        }
        if about.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "key.mode_corrected");
            fs::set_permissions(path, Permissions::from_mode(0o600))
                .map_err(|_| FileFault::Unreadable)?;
        }
        Ok(stored)
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}
