//! Sentences about the probe on port 80.

use std::net::IpAddr;

use super::in_brackets;
use crate::Hostname;

pub(super) fn refused(host: &Hostname, address: IpAddr) -> String {
    format!(
        "{host} points to {address}, but nothing accepts connections on port 80 there. Point {host} \
         only to us, and remove any firewall or proxy in front of it."
    )
}

pub(super) fn timeout(host: &Hostname, address: IpAddr) -> String {
    format!(
        "{host} points to {address}, which does not answer on port 80 in time. Remove any firewall \
         or proxy in front of it."
    )
}

pub(super) fn wrong_responder(host: &Hostname, address: IpAddr, server: Option<&str>) -> String {
    format!(
        "Requests for {host} at {address} are answered by another server{}. Turn off the proxy or \
         CDN in front of {host}, or point it directly to us.",
        server.map(in_brackets).unwrap_or_default()
    )
}

pub(super) fn status(host: &Hostname, address: IpAddr, status: u16) -> String {
    format!(
        "Requests for http://{host}/.well-known/acme-challenge/ at {address} are answered with \
         status {status}, not by our servers. Turn off the proxy or CDN in front of {host}."
    )
}

pub(super) fn redirect(host: &Hostname, address: IpAddr, location: Option<&str>) -> String {
    format!(
        "Requests for http://{host}/.well-known/acme-challenge/ at {address} are redirected{}. Turn \
         off the redirect for this path, or the proxy in front of {host}.",
        location.map(|to| format!(" to {to}")).unwrap_or_default()
    )
}

pub(super) fn address_forbidden(host: &Hostname, address: IpAddr, kind: &str) -> String {
    format!(
        "{host} points to {address}, which cannot be reached from the Internet (address type: \
         {kind}). Remove that record."
    )
}
