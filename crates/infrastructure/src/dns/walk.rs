//! Following a chain of CNAMEs (RFC 1034 §3.6.2) to its end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use dps_domain::dns::DnsAnswer;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;

use super::query::{Answer, Reply, Upstream};

/// CNAMEs followed before a chain counts as endless.
const MAX_HOPS: usize = 16;

/// Where a walk for one record type ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) chain: Vec<String>,
    pub(super) answer: DnsAnswer,
}

/// A chain under construction.
struct Chain {
    end: Name,
    seen: HashSet<Name>,
    hops: Vec<String>,
}

/// The chain returned to a name it already holds, or grew beyond [`MAX_HOPS`].
struct Endless;

impl Chain {
    fn from(start: &Name) -> Self {
        let start = start.to_lowercase();
        Self {
            seen: HashSet::from([start.clone()]),
            end: start,
            hops: Vec::new(),
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

    /// Follows as many CNAMEs as `records` hold, in whatever order they stand there.
    fn follow(&mut self, records: &[Record]) -> Result<(), Endless> {
        let mut targets: HashMap<Name, &Name> = HashMap::new();
        for record in records {
            if let RData::CNAME(target) = &record.data {
                targets.entry(record.name.to_lowercase()).or_insert(&target.0);
            }
        }
        while let Some(target) = targets.get(&self.end) {
            self.step(target)?;
        }
        Ok(())
    }

    fn ends_with(self, answer: DnsAnswer) -> Outcome {
        Outcome {
            chain: self.hops,
            answer,
        }
    }
}

/// Asks for the addresses of one family and follows the chain until there is nothing more to follow.
pub(super) async fn walk(upstream: &Upstream, host: &Name, kind: RecordType, deadline: Instant) -> Outcome {
    let mut chain = Chain::from(host);
    loop {
        let before = chain.hops.len();
        let answer = match upstream.ask(&chain.end, kind, deadline).await {
            Reply::Answer(answer) => answer,
            Reply::Refused => return chain.ends_with(DnsAnswer::Refused),
            Reply::Timeout => return chain.ends_with(DnsAnswer::Timeout),
            Reply::ServFail => return trace(upstream, host, deadline).await,
        };
        if chain.follow(&answer.records).is_err() {
            return chain.ends_with(DnsAnswer::Loop);
        }
        let stuck = chain.hops.len() == before;
        if let Some(end) = at_the_end(&chain.end, &answer, stuck) {
            return chain.ends_with(end);
        }
    }
}

/// What the answer says about the end of the chain; `None` when that name must be asked for by itself.
fn at_the_end(end: &Name, answer: &Answer, stuck: bool) -> Option<DnsAnswer> {
    let addresses: BTreeSet<IpAddr> = answer
        .records
        .iter()
        .filter(|record| record.name.to_lowercase() == *end)
        .filter_map(|record| record.data.ip_addr())
        .collect();
    if !addresses.is_empty() {
        Some(DnsAnswer::Addresses(addresses))
    } else if answer.name_missing {
        Some(DnsAnswer::NxDomain)
    } else if answer.conclusive || stuck {
        Some(DnsAnswer::NoData)
    } else {
        None
    }
}

/// After SERVFAIL: walks the CNAMEs one question at a time, which a resolver answers without looking at the target. Finds the
/// loop if there is one; else the chain shows how far the name's servers answer.
async fn trace(upstream: &Upstream, host: &Name, deadline: Instant) -> Outcome {
    let mut chain = Chain::from(host);
    loop {
        let before = chain.hops.len();
        let Reply::Answer(answer) = upstream.ask(&chain.end, RecordType::CNAME, deadline).await else {
            return chain.ends_with(DnsAnswer::ServFail);
        };
        if chain.follow(&answer.records).is_err() {
            return chain.ends_with(DnsAnswer::Loop);
        }
        if chain.hops.len() == before {
            return chain.ends_with(DnsAnswer::ServFail);
        }
    }
}

/// Lower case, no dot at the end.
fn text(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
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
        assert!(chain.follow(&records).is_ok());
        assert_eq!(chain.hops, ["b.example", "c.example", "d.example"]);
    }

    #[test]
    fn sixteen_hops_are_a_chain_and_seventeen_are_endless() {
        let records: Vec<Record> = (0..17)
            .map(|n| cname(&format!("n{n}.example."), &format!("n{}.example.", n + 1)))
            .collect();
        assert!(Chain::from(&name("n0.example.")).follow(&records[..16]).is_ok());
        assert!(Chain::from(&name("n0.example.")).follow(&records).is_err());
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
            Some(DnsAnswer::NoData)
        );
    }
}
