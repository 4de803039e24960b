//! Ports for programs that need their port in advance.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::LabError;

/// It lies below the ports that Linux assigns (`ip_local_port_range`, 32768 and up), so that no
/// other socket gets it before the program binds it.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A TCP port on 127.0.0.1 that was free a moment ago.
///
/// Within one process no port is handed out twice before all were. Processes begin at different
/// places, each at one that follows from its id; should two meet nevertheless, one of their
/// programs finds its port taken.
///
/// # Errors
/// [`LabError::Invalid`] when every port is taken.
pub fn free_port() -> Result<u16, LabError> {
    let begin = std::process::id().wrapping_mul(997);
    for _ in 0..COUNT {
        let place = begin.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(place % u32::from(COUNT)).map_or(FIRST, |offset| FIRST + offset);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(LabError::invalid(
        "the range of ports",
        "every port is taken",
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
