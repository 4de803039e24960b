//! The HTTP probe from the service, by `dps-http-probe`.

use std::net::IpAddr;

use async_trait::async_trait;
use dps_application::ports::HttpProbe;
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;
use dps_http_probe::HttpProber;
use tracing::Instrument as _;

use crate::spans;

pub use dps_http_probe::ProbeSettings;

/// The HTTP probe over plain HTTP/1.1.
#[derive(Debug, Clone)]
pub struct HyperProbe(HttpProber);

impl HyperProbe {
    /// A probe with these settings.
    pub const fn new(settings: ProbeSettings) -> Self {
        Self(HttpProber::new(settings))
    }
}

#[async_trait]
impl HttpProbe for HyperProbe {
    fn forbids(&self, address: IpAddr) -> Option<&'static str> {
        self.0.forbids(address)
    }

    async fn probe(
        &self,
        host: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        let span = spans::http_probe(host, address);
        let probe = self.0.probe(host, address, token, expected);
        let answer = probe.instrument(span.clone()).await;
        if answer != ProbeAnswer::Ours {
            spans::record_error(&span);
        }
        answer
    }
}
