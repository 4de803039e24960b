//! Writing so that a crash leaves the old state or the new one.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Disk, DiskError, Stamp, StoredCertificate, during};
use crate::crash_point::{self, Effect};
use crate::random;
use crate::runtime_api::StoreName;

/// From so many files on, one sync of the file system is cheaper than one of each file and folder.
const MANY: usize = 8;

/// A certificate's file that is written, but not where HAProxy would find it.
#[derive(Debug)]
pub(crate) struct Staged {
    from: PathBuf,
    to: PathBuf,
    /// Where the file before is kept until the new one is there for good.
    before: Option<PathBuf>,
}

impl Disk {
    /// Writes certificates durably, out of HAProxy's sight. A file that cannot be written does not
    /// hold up the others; a sync that fails does.
    pub(crate) fn stage_all<'a>(
        &self,
        certificates: impl ExactSizeIterator<Item = &'a StoredCertificate>,
    ) -> Result<Vec<Result<Staged, DiskError>>, DiskError> {
        let is_many = certificates.len() >= MANY;
        let staged: Vec<_> = certificates
            .map(|stored| {
                crash_point::before(Effect::FileStage);
                let staged = self.stage(stored, !is_many);
                crash_point::after(Effect::FileStage);
                staged
            })
            .collect();
        crash_point::before(Effect::StageSync);
        if is_many && let Err(error) = self.sync_all() {
            for staged in staged.iter().flatten() {
                Self::discard(staged);
            }
            return Err(error);
        }
        crash_point::after(Effect::StageSync);
        Ok(staged)
    }

    fn stage(&self, stored: &StoredCertificate, is_synced: bool) -> Result<Staged, DiskError> {
        let to = PathBuf::from(self.store_name(&stored.hostname)?.as_str());
        let from = self.root.join("staging").join(random::name());
        // First of all, so that nothing is begun where there would be no way back.
        let before = self.keep(&to)?;
        let text = stored.to_text();
        let written = if is_synced {
            write_synced(&from, text.as_bytes()).map(drop)
        } else {
            write_private(&from, text.as_bytes())
        };
        if let (Err(_), Some(before)) = (&written, &before) {
            discard_path(before);
        }
        written.map_err(during("write", &from))?;
        Ok(Staged { from, to, before })
    }

    /// Gives the file that is to be replaced a second name, if there is one.
    fn keep(&self, path: &Path) -> Result<Option<PathBuf>, DiskError> {
        let second = self.root.join("staging").join(random::name());
        match fs::hard_link(path, &second) {
            Ok(()) => Ok(Some(second)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(during("keep", path)(error)),
        }
    }

    /// Puts staged files where a starting HAProxy finds them, each in place of the one before. A
    /// file that cannot be put there does not hold up the others. After a sync that fails, all are
    /// as before.
    pub(crate) fn publish_all(
        &self,
        staged: &[Staged],
    ) -> Result<Vec<Result<Stamp, DiskError>>, DiskError> {
        let results: Vec<_> = staged.iter().map(|one| self.publish(one)).collect();
        crash_point::before(Effect::PublishSync);
        if let Err(error) = self.sync_published(staged) {
            for (one, _) in staged
                .iter()
                .zip(&results)
                .filter(|(_, result)| result.is_ok())
            {
                take_back(one);
            }
            return Err(error);
        }
        crash_point::after(Effect::PublishSync);
        for (one, result) in staged.iter().zip(&results) {
            let left_over = result.is_err().then_some(&one.from);
            one.before
                .iter()
                .chain(left_over)
                .for_each(|path| discard_path(path));
        }
        Ok(results)
    }

    fn publish(&self, staged: &Staged) -> Result<Stamp, DiskError> {
        crash_point::before(Effect::FilePublish);
        if let Some(shard) = staged.to.parent()
            && !fs::symlink_metadata(shard).is_ok_and(|about| about.is_dir())
        {
            own_folder(shard)?;
            sync_folder(&self.root.join("certs"))?;
        }
        fs::rename(&staged.from, &staged.to).map_err(during("replace", &staged.to))?;
        crash_point::after(Effect::FilePublish);
        Stamp::of(&staged.to).map_err(during("look at", &staged.to))
    }

    fn sync_published(&self, staged: &[Staged]) -> Result<(), DiskError> {
        if staged.len() >= MANY {
            return self.sync_all();
        }
        staged
            .iter()
            .filter_map(|one| one.to.parent())
            .try_for_each(sync_folder)
    }

    /// Forgets a staged file.
    pub(crate) fn discard(staged: &Staged) {
        discard_path(&staged.from);
        if let Some(before) = &staged.before {
            discard_path(before);
        }
    }

    /// Replaces a file so that a crash leaves the old one or the new one.
    pub(super) fn replace(&self, to: &Path, content: &[u8]) -> Result<(), DiskError> {
        let from = self.root.join("staging").join(random::name());
        write_synced(&from, content).map_err(during("write", &from))?;
        fs::rename(&from, to).map_err(during("replace", to))?;
        sync_folder(&self.root)
    }

    /// Deletes files that no crt-list names any more.
    pub(crate) fn delete_all<'a>(
        &self,
        names: impl Iterator<Item = &'a StoreName>,
    ) -> Result<(), DiskError> {
        let mut folders = BTreeSet::new();
        for name in names {
            let path = Path::new(name.as_str());
            crash_point::before(Effect::FileDelete);
            match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(during("delete", path)(error)),
                Ok(()) => folders.extend(path.parent()),
            }
            crash_point::after(Effect::FileDelete);
        }
        if folders.len() >= MANY {
            return self.sync_all();
        }
        folders.into_iter().try_for_each(sync_folder)
    }

    /// Waits until everything that was written to this file system is on the disk, and reports any
    /// write that failed.
    fn sync_all(&self) -> Result<(), DiskError> {
        rustix::fs::syncfs(&*self.folder).map_err(|errno| during("sync", &self.root)(errno.into()))
    }
}

/// Puts the file before back, or leaves none.
fn take_back(published: &Staged) {
    let result = match &published.before {
        Some(before) => fs::rename(before, &published.to),
        None => fs::remove_file(&published.to),
    };
    if let Err(error) = result {
        tracing::error!(path = %published.to.display(), %error, "file.restore_failed");
    }
}

pub(super) fn discard_path(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "file.staged_left");
    }
}

/// Prepares a folder inside ours. A link to another folder is refused, because its contents may
/// belong to another program.
pub(super) fn own_folder(path: &Path) -> Result<(), DiskError> {
    if fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link");
        return Err(during("use", path)(error));
    }
    private_folder(path)
}

/// Makes a folder that no other user can read; tightens one that is there.
pub(super) fn private_folder(path: &Path) -> Result<(), DiskError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(during("create", path))?;
    let mode = fs::metadata(path)
        .map_err(during("look at", path))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(during("close to others", path))?;
    }
    Ok(())
}

/// Opens a file of mode 0600, and makes it if needed.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

pub(super) fn empty_folder(path: &Path) -> Result<(), DiskError> {
    for entry in fs::read_dir(path).map_err(during("list", path))?.flatten() {
        if let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "file.draft_left");
        }
    }
    Ok(())
}

pub(super) fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(during("sync", path))
}

/// Replaces a file through `folder`, on the same file system, without waiting for the disk.
pub(super) fn replace_unsynced(folder: &Path, to: &Path, content: &[u8]) -> Result<(), DiskError> {
    let from = folder.join(random::name());
    write_private(&from, content).map_err(during("write", &from))?;
    fs::rename(&from, to).map_err(|error| {
        discard_path(&from);
        during("replace", to)(error)
    })
}

/// Writes a new file that no other user can read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write_new(path, content, |_| Ok(())).map(drop)
}

pub(super) fn write_synced(path: &Path, content: &[u8]) -> io::Result<File> {
    write_new(path, content, File::sync_all)
}

fn write_new(path: &Path, content: &[u8], finish: fn(&File) -> io::Result<()>) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(content).and_then(|()| finish(&file));
    if written.is_err() {
        // A disk that is full must not stay fuller.
        let _ = fs::remove_file(path);
    }
    written.map(|()| file)
}
