//! Finding executables.

use std::path::{Path, PathBuf};

use crate::LabError;

/// Where Debian puts daemons; not in an ordinary user's `PATH`.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The full path of an executable from `PATH`, the system's `sbin` directories or `more`, in this
/// order.
///
/// `package` is the Debian package named in the error.
///
/// # Errors
/// [`LabError::MissingProgram`] when it is nowhere.
pub fn find_program(program: &str, package: &str, more: &[PathBuf]) -> Result<PathBuf, LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let searched: Vec<PathBuf> = SYSTEM_DIRECTORIES
        .iter()
        .map(PathBuf::from)
        .chain(more.iter().cloned())
        .collect();
    std::env::split_paths(&path)
        .chain(searched.iter().cloned())
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| LabError::MissingProgram {
            program: program.to_owned(),
            searched,
            package: package.to_owned(),
        })
}

fn is_executable(candidate: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    candidate
        .metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether this process runs as root.
pub fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
