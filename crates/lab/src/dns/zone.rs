//! The data of the name server, which may change while it answers.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, NS, SRV, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::LabError;

/// A record type the zone can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// An alias (RFC 1034 §3.6.2).
    Cname,
    /// Text.
    Txt,
    /// Authorities allowed to certify (RFC 8659).
    Caa,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
    /// Name servers; a name that has some is the top of a zone.
    Ns,
}

impl Kind {
    pub(super) fn from_wire(wire: RecordType) -> Option<Self> {
        Some(match wire {
            RecordType::A => Self::A,
            RecordType::AAAA => Self::Aaaa,
            RecordType::CNAME => Self::Cname,
            RecordType::TXT => Self::Txt,
            RecordType::CAA => Self::Caa,
            RecordType::SRV => Self::Srv,
            RecordType::NS => Self::Ns,
            _ => return None,
        })
    }
}

/// How a name misbehaves instead of being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers SERVFAIL, as a resolver does when the name's servers are broken.
    ServFail,
    /// Answers SERVFAIL unless the query disables checking (RFC 4035 §3.2.2), as a validating
    /// resolver does when DNSSEC is bogus.
    Bogus,
    /// Answers REFUSED.
    Refused,
    /// Never answers.
    Unanswered,
    /// Answers correctly, this much later.
    Slow(Duration),
    /// Over UDP answers only "truncated, ask by TCP".
    Truncated,
}

/// Names and their records. Clones share the data, so a clone is the handle for changing it under a
/// running server.
///
/// Names are case-insensitive, with or without the final dot; `*.example.test` is a wildcard (RFC
/// 4592). A name with no records and none below it does not exist.
#[derive(Debug, Clone, Default)]
pub struct Zone(Arc<Mutex<Data>>);

/// Seconds every record may be cached: short, since the data changes under the reader's feet.
const TTL: u32 = 1;

#[derive(Debug)]
pub(super) struct Data {
    pub(super) records: BTreeMap<String, BTreeMap<Kind, Vec<RData>>>,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) fault_for_all: Option<Fault>,
    pub(super) faults_of_kinds: HashMap<Kind, Fault>,
    pub(super) ttl: u32,
    queries: HashMap<(String, u16), u64>,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            faults: HashMap::new(),
            fault_for_all: None,
            faults_of_kinds: HashMap::new(),
            ttl: TTL,
            queries: HashMap::new(),
        }
    }
}

impl Zone {
    /// An empty zone: every name is NXDOMAIN.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the A records of `name`; none removes them.
    pub fn set_a(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.set(
            name,
            Kind::A,
            addresses
                .iter()
                .map(|address| RData::A(A(*address)))
                .collect(),
        );
    }

    /// Replaces the AAAA records of `name`; none removes them.
    pub fn set_aaaa(&self, name: &str, addresses: &[Ipv6Addr]) {
        self.set(
            name,
            Kind::Aaaa,
            addresses
                .iter()
                .map(|address| RData::AAAA(AAAA(*address)))
                .collect(),
        );
    }

    /// Makes `name` an alias of `target`. The zone accepts loops and targets that do not exist.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when `target` is not a domain name.
    pub fn set_cname(&self, name: &str, target: &str) -> Result<(), LabError> {
        let mut target =
            Name::from_ascii(target).map_err(|error| LabError::invalid(target, error))?;
        target.set_fqdn(true);
        self.set(name, Kind::Cname, vec![RData::CNAME(CNAME(target))]);
        Ok(())
    }

    /// Replaces the TXT records of `name`, one record for each text; none removes them.
    pub fn set_txt(&self, name: &str, texts: &[&str]) {
        let records = texts
            .iter()
            .map(|text| RData::TXT(TXT::new(vec![(*text).to_owned()])));
        self.set(name, Kind::Txt, records.collect());
    }

    /// Replaces the CAA records of `name`, each with flags, tag and value; none removes them.
    pub fn set_caa(&self, name: &str, records: &[(u8, &str, &str)]) {
        let record = |(flags, tag, value): &(u8, &str, &str)| {
            let mut caa = CAA::new_issue(flags & 128 != 0, None, Vec::new());
            caa.reserved_flags = flags & 127;
            (*tag).clone_into(&mut caa.tag);
            caa.value = value.as_bytes().to_vec();
            RData::CAA(caa)
        };
        self.set(name, Kind::Caa, records.iter().map(record).collect());
    }

    /// Replaces the SRV records of `name`, one for each host and port; none removes them.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when a host is not a domain name.
    pub fn set_srv(&self, name: &str, services: &[(&str, u16)]) -> Result<(), LabError> {
        let records = services.iter().map(|(host, port)| {
            let mut target =
                Name::from_ascii(host).map_err(|error| LabError::invalid(*host, error))?;
            target.set_fqdn(true);
            Ok(RData::SRV(SRV::new(0, 0, *port, target)))
        });
        let records = records.collect::<Result<_, LabError>>()?;
        self.set(name, Kind::Srv, records);
        Ok(())
    }

    /// Makes `name` the top of a zone with these name servers; none ends that.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when a server is not a domain name.
    pub fn set_ns(&self, name: &str, servers: &[&str]) -> Result<(), LabError> {
        let records = servers.iter().map(|server| {
            let mut target =
                Name::from_ascii(server).map_err(|error| LabError::invalid(*server, error))?;
            target.set_fqdn(true);
            Ok(RData::NS(NS(target)))
        });
        let records = records.collect::<Result<_, LabError>>()?;
        self.set(name, Kind::Ns, records);
        Ok(())
    }

    /// Sets the time for which every answer may be cached, negative ones included; 1 s at first.
    pub fn set_ttl(&self, ttl: Duration) {
        self.data().ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    }

    /// Removes the records of one type.
    pub fn clear_kind(&self, name: &str, kind: Kind) {
        self.set(name, kind, Vec::new());
    }

    /// Forgets all records and the fault of `name`.
    pub fn clear(&self, name: &str) {
        let key = key(name);
        let mut data = self.data();
        data.records.remove(&key);
        data.faults.remove(&key);
    }

    /// Makes `name` misbehave for every record type, whether it has records or not. A wildcard
    /// covers everything below.
    pub fn set_fault(&self, name: &str, fault: Fault) {
        self.data().faults.insert(key(name), fault);
    }

    /// Ends what [`Self::set_fault`] began.
    pub fn clear_fault(&self, name: &str) {
        self.data().faults.remove(&key(name));
    }

    /// Makes every name misbehave, or with `None` ends that. Faults of single names come first.
    pub fn set_fault_for_all(&self, fault: Option<Fault>) {
        self.data().fault_for_all = fault;
    }

    /// Makes queries for one record type misbehave, or with `None` ends that. Faults of single
    /// names come first.
    pub fn set_fault_of_kind(&self, kind: Kind, fault: Option<Fault>) {
        let faults = &mut self.data().faults_of_kinds;
        match fault {
            Some(fault) => drop(faults.insert(kind, fault)),
            None => drop(faults.remove(&kind)),
        }
    }

    /// How many queries of any type came for `name`, answered or not.
    pub fn queries(&self, name: &str) -> u64 {
        let key = key(name);
        self.data()
            .queries
            .iter()
            .filter(|((queried, _), _)| *queried == key)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many queries of one type came for `name`, answered or not.
    pub fn queries_of(&self, name: &str, kind: Kind) -> u64 {
        let key = key(name);
        let data = self.data();
        let of_kind = |wire: u16| Kind::from_wire(RecordType::from(wire)) == Some(kind);
        data.queries
            .iter()
            .filter(|((queried, wire), _)| *queried == key && of_kind(*wire))
            .map(|(_, count)| count)
            .sum()
    }

    pub(super) fn count_query(&self, name: &str, wire: RecordType) {
        *self
            .data()
            .queries
            .entry((key(name), u16::from(wire)))
            .or_default() += 1;
    }

    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &str, kind: Kind, records: Vec<RData>) {
        let key = key(name);
        let mut data = self.data();
        let node = data.records.entry(key.clone()).or_default();
        if records.is_empty() {
            node.remove(&kind);
        } else {
            node.insert(kind, records);
        }
        if node.is_empty() {
            data.records.remove(&key);
        }
    }
}

/// The form names are compared in: lower case, no final dot.
pub(super) fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
