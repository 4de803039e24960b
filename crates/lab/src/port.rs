//! Ports for programs that want to be told their port in advance.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use crate::LabError;

/// Ports this process has handed out already.
static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// How many times the kernel is asked before giving up.
const TRIES: usize = 200;

/// A TCP port on 127.0.0.1 that nobody listened on a moment ago.
///
/// The kernel picks it for a socket bound to port 0, which is closed again before this returns. Between that moment and the
/// program's own bind another process can take the port: whoever starts a program on it must be ready to try a second port.
/// Within one process no port is handed out twice.
///
/// # Errors
/// [`LabError::Io`] when no socket can be bound.
pub fn free_port() -> Result<u16, LabError> {
    for _ in 0..TRIES {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(LabError::io("bind a free port"))?;
        let port = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?
            .port();
        let mut handed_out = HANDED_OUT
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if handed_out.get_or_insert_default().insert(port) {
            return Ok(port);
        }
    }
    Err(LabError::invalid(
        "the range of local ports",
        "every port tried was handed out before",
    ))
}

/// Several different ports as from [`free_port`].
///
/// # Errors
/// As [`free_port`].
pub fn free_ports<const N: usize>() -> Result<[u16; N], LabError> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port()?;
    }
    Ok(ports)
}
