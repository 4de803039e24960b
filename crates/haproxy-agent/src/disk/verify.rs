//! The check of the files while the agent runs. An operator, a backup or a failing disk may have
//! changed them, and HAProxy reads them at its next start.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use dps_domain::{Hostname, Timestamp};

use super::{Disk, DiskError, Held, during, write};

/// By what a file is known again without being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: SystemTime,
    is_private: bool,
}

/// The change of a file.
#[derive(Debug)]
pub(crate) enum Found {
    /// The certificate that it holds now; it may be the same.
    Certificate(Held),
    /// Nothing that HAProxy could start with. It is gone, or was set aside.
    Nothing,
}

impl Stamp {
    /// Reads the present state, without following a link.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let about = fs::symlink_metadata(path)?;
        Ok(Self {
            inode: about.ino(),
            bytes: about.len(),
            modified: about.modified()?,
            is_private: about.is_file() && about.permissions().mode().trailing_zeros() >= 6,
        })
    }
}

impl Disk {
    /// Reads again those files that are not as they were left, and sets aside what HAProxy could
    /// not start with. Costs one read of the directory for each of the others. Where the directory
    /// itself cannot be read, or is another than at the start, nothing is concluded about what
    /// should be in it.
    pub(crate) fn verify(
        &self,
        held: &[(Hostname, Held)],
        now: Timestamp,
    ) -> Result<Vec<(Hostname, Found)>, DiskError> {
        self.is_still_ours().map_err(during("use", &self.root))?;
        write::private_folder(&self.root)?;
        let mut found = Vec::new();
        for (hostname, held) in held {
            let path = Path::new(held.name.as_str());
            let stamp = present(Stamp::of(path)).map_err(during("look at", path))?;
            if stamp.is_none() || stamp != held.stamp {
                found.push((hostname.clone(), self.inspect(held, stamp.is_some(), now)));
            }
        }
        Ok(found)
    }

    fn is_still_ours(&self) -> io::Result<()> {
        let (opened, named) = (self.folder.metadata()?, fs::metadata(&self.root)?);
        if (opened.dev(), opened.ino()) == (named.dev(), named.ino()) {
            return Ok(());
        }
        Err(io::Error::other(
            "it is not the directory that the agent started with; put that back, or restart the agent",
        ))
    }

    fn inspect(&self, held: &Held, is_there: bool, now: Timestamp) -> Found {
        let path = Path::new(held.name.as_str());
        match self.judge(path, true) {
            Ok(stored) => Found::Certificate(Held {
                stamp: Stamp::of(path).ok(),
                ..Held::of(&stored, held.name.clone())
            }),
            Err(fault) => {
                if is_there {
                    self.quarantine(path, &fault, now);
                }
                Found::Nothing
            }
        }
    }
}

/// The present state; `None` if there is no file.
fn present(stamp: io::Result<Stamp>) -> io::Result<Option<Stamp>> {
    match stamp {
        Ok(stamp) => Ok(Some(stamp)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
