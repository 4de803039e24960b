//! The word to systemd that a service is ready (`sd_notify`, for units of `Type=notify`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Notifies the service manager that this process is ready, if `NOTIFY_SOCKET` is set. A failure is
/// logged; a unit of `Type=notify` then ends by its start timeout.
pub fn notify_ready() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&name, b"READY=1") {
        tracing::warn!(%error, socket = %name.display(), "process.notify_failed");
    }
}

fn send(name: &OsStr, message: &[u8]) -> io::Result<()> {
    // A leading "@" stands for the zero byte of an abstract address.
    let address = match name.as_bytes().split_first() {
        Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_reaches_a_socket_in_the_file_system_and_an_abstract_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let named = UnixDatagram::bind(&path).unwrap();
        let abstract_name = format!("dps-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let unnamed = UnixDatagram::bind_addr(&address).unwrap();
        send(path.as_os_str(), b"READY=1").unwrap();
        send(OsStr::new(&format!("@{abstract_name}")), b"READY=1").unwrap();
        for socket in [named, unnamed] {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
        assert!(send(folder.path().join("nobody").as_os_str(), b"READY=1").is_err());
    }
}
