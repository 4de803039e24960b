//! The persistent state: a directory with which a new HAProxy can start at any moment.
//!
//! ```text
//! <StateDirectory>/               0700, one agent at a time (agent.lock)
//!   crt-list.txt                  the truth about what is served; generated, replaced atomically
//!   default.pem                   self-signed, for binds that need a certificate for unknown names
//!   certs/<shard>/<host>.pem      0600, chain and key that a running HAProxy has accepted
//!   challenges/<token>            0600, what is answered to the CA and until when
//!   removed.txt                   what was removed lately, and as of which generation
//!   staging/                      written and synced, not accepted yet; emptied at start
//!   quarantine/                   set aside with the reason: HAProxy would not start with them
//! ```
//!
//! A certificate is staged first, shown to HAProxy second, and only then renamed to where the
//! crt-list finds it. So a crash at any point leaves a directory that loads, and never a listed
//! file that HAProxy has refused.

mod challenges;
mod default_certificate;
mod file;
mod held;
mod list;
mod load;
mod loads;
mod quarantine;
mod tombstones;
mod verify;
mod write;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use dps_domain::Hostname;
use dps_file_lock::FileLock;

pub(crate) use challenges::KeptChallenge;
pub(crate) use file::StoredCertificate;
pub(crate) use held::{Held, Inventory};
pub(crate) use loads::LoadState;
pub(crate) use tombstones::{Tombstone, Tombstones, prune};
pub(crate) use verify::{Found, Stamp};
pub(crate) use write::Staged;

use crate::runtime_api::{ListName, StoreName};

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another agent works in the directory.
    #[error("another agent works in {}", .0.display())]
    Locked(PathBuf),
    /// A path below the directory cannot stand in a Runtime API command.
    #[error("the path of {hostname} cannot be used as a certificate's name")]
    Name {
        /// The hostname.
        hostname: Hostname,
    },
}

/// The state directory. Its methods block; clones are cheap and share the lock.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
    list: ListName,
    /// The directory itself, open since before the first write, so that a sync reports every write
    /// that failed since.
    folder: std::sync::Arc<File>,
    file: std::sync::Arc<list::ListFile>,
    _lock: std::sync::Arc<FileLock>,
}

/// Names beyond this would exceed a file name's 255 bytes.
const MAX_READABLE_NAME: usize = 200;

impl Disk {
    /// Makes the directory if needed, locks it, and empties the staging area.
    pub(crate) fn open(root: &Path) -> Result<Self, DiskError> {
        write::private_folder(root)?;
        for folder in ["certs", "challenges", "staging", "quarantine"] {
            write::own_folder(&root.join(folder))?;
        }
        let path = root.join("agent.lock");
        let file = write::private_file(&path).map_err(during("open", &path))?;
        let lock = FileLock::try_new(file).map_err(|_| DiskError::Locked(root.to_owned()))?;
        write::empty_folder(&root.join("staging"))?;
        let folder = File::open(root).map_err(during("open", root))?;
        let path = root.join("crt-list.txt");
        let list = ListName::parse(&path.to_string_lossy()).map_err(|fault| {
            during("use", &path)(io::Error::new(io::ErrorKind::InvalidInput, fault))
        })?;
        Ok(Self {
            root: root.to_owned(),
            list,
            folder: std::sync::Arc::new(folder),
            file: std::sync::Arc::new(list::ListFile::new()),
            _lock: std::sync::Arc::new(lock),
        })
    }

    /// The crt-list as HAProxy's configuration must spell it.
    pub(crate) const fn list(&self) -> &ListName {
        &self.list
    }

    /// The name of a hostname's certificate: in the crt-list, on the Runtime API and on disk.
    pub(crate) fn store_name(&self, hostname: &Hostname) -> Result<StoreName, DiskError> {
        let hash = hex::encode(digest::digest(
            &digest::SHA256,
            hostname.as_str().as_bytes(),
        ));
        let name = hostname.as_str();
        let readable = if name.len() <= MAX_READABLE_NAME {
            name
        } else {
            &hash
        };
        let path = format!(
            "{}/certs/{}/{readable}.pem",
            self.root.display(),
            &hash[..2]
        );
        StoreName::parse(&path).map_err(|_| DiskError::Name {
            hostname: hostname.clone(),
        })
    }

    /// A name for an empty store that marks one HAProxy process as known. It is no file.
    pub(crate) fn sentinel_name(&self, random: &str) -> Option<StoreName> {
        StoreName::parse(&format!("{}{random}.pem", self.sentinel_prefix())).ok()
    }

    /// How all sentinels' names begin.
    pub(crate) fn sentinel_prefix(&self) -> String {
        format!("{}/sentinel/", self.root.display())
    }

    /// How the names of all our certificates begin.
    pub(crate) fn store_prefix(&self) -> String {
        format!("{}/certs/", self.root.display())
    }
}

fn during(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError::Io {
        action,
        path,
        source,
    }
}
