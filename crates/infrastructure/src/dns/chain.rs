//! Following a chain of CNAMEs (RFC 1034 §3.6.2) to its end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use dps_domain::dns::{DnsAnswer, MAX_ADDRESSES};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;

use super::query::{Answer, Reply, Upstream};

/// CNAMEs followed before a chain counts as endless. A CA gives up there too: Unbound, which they
/// use, restarts a query 11 times at most (`max-query-restarts`).
const MAX_HOPS: usize = 10;
/// The longest text that is kept of a name; only names with escapes are longer.
const MAX_NAME_CHARS: usize = 253;

/// Where a walk for one record type ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) chain: Vec<String>,
    pub(super) answer: DnsAnswer,
    /// Addresses beyond those kept.
    pub(super) more: usize,
    /// A negative answer says that the queried name is a zone of its own.
    pub(super) is_zone: bool,
    /// The longest time for which a cache may keep an answer of the walk, in seconds; `None` if
    /// unknown.
    pub(super) ttl: Option<u32>,
}

/// A chain under construction.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) end: Name,
    seen: HashSet<Name>,
    pub(super) hops: Vec<String>,
    /// As in [`Outcome::ttl`].
    ttl: Option<u32>,
}

/// The chain returned to a name it already holds, or grew beyond [`MAX_HOPS`].
pub(super) struct Endless;

impl Chain {
    pub(super) fn from(start: &Name) -> Self {
        let start = start.to_lowercase();
        Self {
            seen: HashSet::from([start.clone()]),
            end: start,
            hops: Vec::new(),
            ttl: None,
        }
    }

    fn step(&mut self, target: &Name) -> Result<(), Endless> {
        let target = target.to_lowercase();
        self.hops.push(text(&target));
        if !self.seen.insert(target.clone()) || self.hops.len() > MAX_HOPS {
            return Err(Endless);
        }
        self.end = target;
        Ok(())
    }

    /// Follows as many CNAMEs as the answer holds, in whatever order they stand there.
    pub(super) fn follow(&mut self, answer: &Answer) -> Result<(), Endless> {
        self.ttl = self.ttl.max(answer.ttl);
        self.follow_records(&answer.records)
    }

    fn follow_records(&mut self, records: &[Record]) -> Result<(), Endless> {
        let mut targets: HashMap<Name, &Name> = HashMap::new();
        for record in records {
            if let RData::CNAME(target) = &record.data {
                targets
                    .entry(record.name.to_lowercase())
                    .or_insert(&target.0);
            }
        }
        while let Some(target) = targets.get(&self.end) {
            self.step(target)?;
        }
        Ok(())
    }

    /// As in [`Outcome::ttl`].
    pub(super) fn ttl(&self) -> Option<Duration> {
        self.ttl.map(|seconds| Duration::from_secs(seconds.into()))
    }

    pub(super) fn ends(self, end: End) -> Outcome {
        Outcome {
            more: end.more,
            is_zone: end.is_zone && self.hops.is_empty(),
            ..self.ends_with(end.answer)
        }
    }

    pub(super) fn ends_with(self, answer: DnsAnswer) -> Outcome {
        Outcome {
            ttl: self.ttl,
            chain: self.hops,
            answer,
            more: 0,
            is_zone: false,
        }
    }
}

/// Asks for the addresses of one family and follows the chain until there is nothing more to
/// follow.
pub(super) async fn follow_chain(
    upstream: &Upstream,
    host: &Name,
    kind: RecordType,
    deadline: Instant,
) -> Outcome {
    match follow(upstream, host, kind, deadline, end_of).await {
        (chain, Ok(end)) => chain.ends(end),
        (chain, Err(failed)) => chain.ends_with(failed),
    }
}

/// The end of a walk for one address family.
pub(super) struct End {
    answer: DnsAnswer,
    more: usize,
    is_zone: bool,
}

/// Returns the end of a walk; `None` if the name at the end needs a query.
pub(super) fn end_of(end: &Name, answer: &Answer, stuck: bool) -> Option<End> {
    let (found, more) = at_the_end(end, answer, stuck)?;
    let zone = answer.zone.as_ref();
    Some(End {
        answer: found,
        more,
        is_zone: zone.is_some_and(|zone| zone.to_lowercase() == *end),
    })
}

/// Asks for the records of one type and follows the chain until `at_end` finds its result in an
/// answer. It gets the end of the chain so far, the answer, and whether the answer led no further.
/// The error is a failed answer.
pub(super) async fn follow<T>(
    upstream: &Upstream,
    host: &Name,
    kind: RecordType,
    deadline: Instant,
    at_end: impl Fn(&Name, &Answer, bool) -> Option<T>,
) -> (Chain, Result<T, DnsAnswer>) {
    let mut chain = Chain::from(host);
    loop {
        let before = chain.hops.len();
        let answer = match upstream.send(&chain.end, kind, deadline).await {
            Reply::Answer(answer) => answer,
            Reply::Refused => return (chain, Err(DnsAnswer::Refused)),
            Reply::Timeout => return (chain, Err(DnsAnswer::Timeout)),
            Reply::Local(detail) => return (chain, Err(DnsAnswer::Local { detail })),
            Reply::ServFail => {
                let is_bogus = upstream.is_bogus(&chain.end, kind, deadline).await;
                return match trace(upstream, host, deadline).await {
                    (chain, DnsAnswer::ServFail) if is_bogus => (chain, Err(DnsAnswer::Bogus)),
                    (chain, failed) => (chain, Err(failed)),
                };
            }
        };
        if chain.follow(&answer).is_err() {
            return (chain, Err(DnsAnswer::Loop));
        }
        let stuck = chain.hops.len() == before;
        if let Some(found) = at_end(&chain.end, &answer, stuck) {
            return (chain, Ok(found));
        }
    }
}

/// Returns the answer for the end of the chain, and the number of addresses left out; `None` if
/// that name needs a query.
fn at_the_end(end: &Name, answer: &Answer, stuck: bool) -> Option<(DnsAnswer, usize)> {
    let mut addresses: BTreeSet<IpAddr> = answer
        .records
        .iter()
        .filter(|record| record.name.to_lowercase() == *end)
        .filter_map(|record| record.data.ip_addr())
        .collect();
    if !addresses.is_empty() {
        let more = addresses.len().saturating_sub(MAX_ADDRESSES);
        for _ in 0..more {
            addresses.pop_last();
        }
        Some((DnsAnswer::Addresses(addresses), more))
    } else if answer.name_missing {
        Some((DnsAnswer::NxDomain, 0))
    } else if answer.conclusive || stuck {
        Some((DnsAnswer::NoData, 0))
    } else {
        None
    }
}

/// The outcome for a name from one answer alone.
#[cfg(feature = "fuzzing")]
pub(super) fn outcome_of(host: &Name, answer: &Answer) -> Outcome {
    let mut chain = Chain::from(host);
    if chain.follow(answer).is_err() {
        return chain.ends_with(DnsAnswer::Loop);
    }
    match at_the_end(&chain.end, answer, true) {
        Some((end, more)) => Outcome {
            more,
            ..chain.ends_with(end)
        },
        None => chain.ends_with(DnsAnswer::NoData),
    }
}

/// After SERVFAIL: walks the CNAMEs one query at a time, which a resolver answers without
/// resolving the target. Finds the loop if there is one; else the chain shows how far the name's
/// servers answer.
async fn trace(upstream: &Upstream, host: &Name, deadline: Instant) -> (Chain, DnsAnswer) {
    let mut chain = Chain::from(host);
    loop {
        let before = chain.hops.len();
        let answer = match upstream.send(&chain.end, RecordType::CNAME, deadline).await {
            Reply::Answer(answer) => answer,
            Reply::Local(detail) => return (chain, DnsAnswer::Local { detail }),
            Reply::ServFail | Reply::Refused | Reply::Timeout => {
                return (chain, DnsAnswer::ServFail);
            }
        };
        if chain.follow(&answer).is_err() {
            return (chain, DnsAnswer::Loop);
        }
        if chain.hops.len() == before {
            return (chain, DnsAnswer::ServFail);
        }
    }
}

/// Lower case, no dot at the end, and not longer than a hostname.
pub(super) fn text(name: &Name) -> String {
    let text = name.to_ascii();
    let text = text.strip_suffix('.').unwrap_or(&text);
    match text.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 1, RData::CNAME(CNAME(name(target))))
    }

    #[test]
    fn a_chain_is_read_in_order_whatever_the_order_and_case_of_its_records() {
        let mut chain = Chain::from(&name("Shop.example.com."));
        let records = [
            cname("c.example.", "d.example."),
            cname("stranger.example.", "x.example."),
            cname("B.example.", "c.EXAMPLE."),
            cname("shop.EXAMPLE.com.", "b.example."),
        ];
        assert!(chain.follow_records(&records).is_ok());
        assert_eq!(chain.hops, ["b.example", "c.example", "d.example"]);
    }

    #[test]
    fn ten_hops_are_a_chain_and_eleven_are_endless() {
        let records: Vec<Record> = (0..11)
            .map(|n| cname(&format!("n{n}.example."), &format!("n{}.example.", n + 1)))
            .collect();
        assert!(
            Chain::from(&name("n0.example."))
                .follow_records(&records[..10])
                .is_ok()
        );
        assert!(
            Chain::from(&name("n0.example."))
                .follow_records(&records)
                .is_err()
        );
    }

    #[test]
    fn addresses_of_other_names_in_the_packet_are_not_the_answer() {
        let stranger = Record::from_rdata(name("x.example."), 1, RData::A(A::new(10, 0, 0, 1)));
        let answer = Answer {
            records: vec![stranger],
            ..Answer::default()
        };
        assert_eq!(
            at_the_end(&name("shop.example."), &answer, true),
            Some((DnsAnswer::NoData, 0))
        );
    }

    #[test]
    fn a_name_with_escapes_is_kept_in_part() {
        let long = Name::from_labels([[255_u8; 60].as_slice(), &[255; 60], b"example"]).unwrap();
        assert_eq!(text(&long).chars().count(), MAX_NAME_CHARS + 1);
    }
}
