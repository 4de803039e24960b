//! The HTTP probe.

use std::net::IpAddr;

use async_trait::async_trait;
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;

/// Fetches a token the way a CA would (RFC 8555 §8.3), from one given address.
#[async_trait]
pub trait HttpProbe: Send + Sync {
    /// Why the address is not connected to, from wherever it may be probed; `None` if it is.
    fn forbids(&self, _address: IpAddr) -> Option<&'static str> {
        None
    }

    /// `GET /.well-known/acme-challenge/{token}` with `Host: host` at `address`; returns whether
    /// the body is `expected`. Connects to nothing but `address`, follows no redirect, is bounded
    /// in time and size.
    async fn probe(
        &self,
        host: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer;
}
