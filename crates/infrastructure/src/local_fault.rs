//! Detection of errors of our own machine.
//!
//! A socket that cannot be opened says nothing about the other side. Every adapter calls this
//! module before it attributes an error to the other side.

use std::error::Error;
use std::io;

pub(crate) use dps_http_probe::local_fault::local_fault;

/// The same for an error that keeps the system's error among its causes.
pub(crate) fn among_causes(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(reason) = one.downcast_ref::<io::Error>().and_then(local_fault) {
            return Some(reason);
        }
        cause = one.source();
    }
    None
}

/// The same for a call of the HTTP client.
pub(crate) fn of_call(error: &reqwest::Error) -> Option<String> {
    // Names are looked up by the system's library, which does not report that it could not open a
    // file or a socket.
    among_causes(error).or_else(|| error.is_connect().then(out_of_descriptors).flatten())
}

fn out_of_descriptors() -> Option<String> {
    std::fs::File::open("/dev/null")
        .err()
        .as_ref()
        .and_then(local_fault)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    fn system(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn errors_of_our_own_machine_are_known_by_their_numbers() {
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
            Errno::PERM,
            Errno::ACCESS,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::AFNOSUPPORT,
            Errno::NOSPC,
        ] {
            assert!(local_fault(&system(errno)).is_some(), "{errno}");
            assert!(among_causes(&Outer(system(errno))).is_some(), "{errno}");
        }
        for errno in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::HOSTUNREACH,
            Errno::TIMEDOUT,
            Errno::PIPE,
        ] {
            assert_eq!(local_fault(&system(errno)), None, "{errno}");
            assert_eq!(among_causes(&Outer(system(errno))), None, "{errno}");
        }
    }
}
