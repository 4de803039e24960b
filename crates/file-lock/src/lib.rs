//! An exclusive lock on a file or folder (`flock`), released when dropped or when the process ends.

use std::fs::{File, TryLockError};
use std::io;

/// A held lock.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Locks the file if no other process holds it.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] while another holder has it, else the system's error.
    pub fn try_new(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }

    /// Locks the file, and waits while another process holds it.
    ///
    /// # Errors
    /// The system's error.
    pub fn wait(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file alone would not do. A child process that is just being started has the
        // descriptor until it executes its program, and the lock lasts as long as any descriptor.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_is_free_although_somebody_else_has_the_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = FileLock::try_new(File::create(&path).unwrap()).unwrap();
        // As a child process has it between fork and exec.
        let inherited = lock.0.try_clone().unwrap();
        let second = FileLock::try_new(File::open(&path).unwrap());
        assert!(
            matches!(second, Err(TryLockError::WouldBlock)),
            "{second:?}"
        );
        drop(lock);
        FileLock::try_new(File::open(&path).unwrap()).unwrap();
        drop(inherited);
    }
}
