//! Where customers' names point, and the resolvers that say so.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::DnsResolver;
use dps_domain::dns::{DnsAnswer, DnsObservation};
use dps_domain::{Hostname, Timestamp};

use crate::models::line::Line;
use crate::models::names::{self, TARGET};
use crate::models::tally::locked;
use crate::scenario::Scenario;
use crate::time::WorldTime;

/// Where each name points.
#[derive(Debug)]
pub struct Names {
    /// The way to the resolvers.
    pub line: Line,
    time: WorldTime,
    addresses: BTreeSet<IpAddr>,
    /// Since when each name points at us; or, negated, since when it does not. In microseconds
    /// since 1970.
    pointing: Mutex<Vec<i64>>,
}

/// The address of an edge.
pub fn edge_address(index: usize) -> IpAddr {
    let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))
}

/// The edge at an address.
pub fn edge_index(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    usize::from(address.octets()[3]).checked_sub(1)
}

impl Names {
    /// Nobody points at us yet.
    pub fn new(scenario: &Scenario, time: WorldTime) -> Self {
        let count = usize::try_from(scenario.domains).unwrap_or(usize::MAX);
        let edges = usize::try_from(scenario.edges.count).unwrap_or(1);
        Self {
            line: Line::new(scenario.resolvers.answers_after.get()),
            time,
            addresses: (0..edges).map(edge_address).collect(),
            pointing: Mutex::new(vec![-time.now().unix_micros(); count]),
        }
    }

    /// The customer changes the name's records.
    pub fn point(&self, number: u32, at_us: bool) {
        let now = self.time.now().unix_micros();
        let mut pointing = locked(&self.pointing);
        if let Some(entry) = pointing.get_mut(number as usize)
            && (*entry > 0) != at_us
        {
            *entry = if at_us { now } else { -now };
        }
    }

    /// Since when the name points at us, if it does.
    pub fn pointing_since(&self, number: u32) -> Option<Timestamp> {
        let since = *locked(&self.pointing).get(number as usize)?;
        (since > 0).then(|| Timestamp::from_unix_micros(since))
    }

    /// Since when the name does not point at us, if it does not.
    pub fn away_since(&self, number: u32) -> Option<Timestamp> {
        let since = *locked(&self.pointing).get(number as usize)?;
        (since <= 0).then(|| Timestamp::from_unix_micros(-since))
    }

    fn look_up(&self, host: &Hostname) -> (Vec<String>, DnsAnswer) {
        let ours = || DnsAnswer::Addresses(self.addresses.clone());
        if host.as_str() == TARGET {
            return (vec![], ours());
        }
        match names::number(host).and_then(|number| self.pointing_since(number)) {
            Some(_) => (vec![TARGET.to_owned()], ours()),
            None => (vec![], DnsAnswer::NxDomain),
        }
    }
}

/// One recursive resolver; all of them share one way, and fail together.
#[derive(Debug)]
pub struct ResolverModel {
    names: Arc<Names>,
    address: SocketAddr,
}

/// How long a question waits for an answer that does not come.
const TIMEOUT: Duration = Duration::from_secs(5);

impl ResolverModel {
    /// The resolver with this number.
    pub fn new(names: Arc<Names>, number: u8) -> Self {
        let address = SocketAddr::from(([192, 0, 2, number], 53));
        Self { names, address }
    }
}

#[async_trait]
impl DnsResolver for ResolverModel {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        let (chain, answer) = match self.names.line.call(|| self.names.look_up(host)).await {
            Some(found) => found,
            None => {
                tokio::time::sleep(TIMEOUT).await;
                (vec![], DnsAnswer::Timeout)
            }
        };
        DnsObservation::new(self.address, chain, answer)
    }
}
