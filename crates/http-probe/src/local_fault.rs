//! Errors of our own machine, told from those of the other side.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// The reason, if our own machine failed: descriptors, memory, ports, permissions or the way out.
///
/// A host without a route to it (`EHOSTUNREACH`) is not among them: routers on the way say so too.
pub fn local_fault(error: &io::Error) -> Option<String> {
    let is_local = match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::AddrNotAvailable
        | ErrorKind::NetworkDown
        | ErrorKind::NetworkUnreachable
        | ErrorKind::OutOfMemory
        | ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::ReadOnlyFilesystem => true,
        _ => matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::AFNOSUPPORT)
        ),
    };
    is_local.then(|| error.to_string())
}
