//! The observations of a step, for the domain's history.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dps_domain::bounds::{self, fits};
use dps_domain::caa::{CaaAnswer, CaaLookup, CaaObservation};
use dps_domain::dns::{
    AuthoritativeView, DnsAnswer, DnsObservation, DnsProvider, ResolverView, SkippedServer,
};
use dps_domain::limits::OrderEffect;
use dps_domain::outcome::Findings;
use dps_domain::ownership::{TxtAnswer, TxtObservation, txt_name};
use dps_domain::probe::{ProbeAnswer, ProbeObservation};
use dps_domain::{Hostname, Ownership};
use serde_json::{Map, Value, json};

use crate::resolvers::DnsBudget;

/// Entries kept of any one list: what strangers publish is kept short.
const MAX_ENTRIES: usize = 16;
/// Entries kept of a list in the answer of an authoritative server.
const MAX_SERVER_ENTRIES: usize = 4;
/// The longest value that is kept of all authoritative servers, in bytes of JSON.
const MAX_SERVERS_BYTES: usize = 1500;
/// The longest value that is kept, in bytes of JSON.
const MAX_BYTES: usize = 4096;

/// Notes of one step. They are kept when the step ends in a fault or takes too long. Never a key.
#[derive(Debug, Default)]
pub struct Evidence {
    findings: Mutex<Findings>,
    /// Set when the step waits and sends nothing, or when nobody answers.
    reached_nobody: AtomicBool,
}

impl Evidence {
    /// Keeps a note; a later one of the same name replaces it.
    pub(crate) fn note(&self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let value = if fits(&value, MAX_BYTES) {
            value
        } else {
            json!("(too long to keep)")
        };
        self.find(|findings| findings.evidence.insert(name.to_owned(), value));
    }

    /// Keeps which edges did it, and which were left out.
    pub(crate) fn edges(&self, done: &[&str], unreachable: &[String]) {
        let done: Vec<&&str> = done.iter().take(MAX_ENTRIES).collect();
        self.note("edges", json!(done));
        if !unreachable.is_empty() {
            let unreachable: Vec<&String> = unreachable.iter().take(MAX_ENTRIES).collect();
            self.note("unreachableEdges", json!(unreachable));
        }
    }

    /// Keeps the question about a name, and what each resolver answered.
    pub(crate) fn answers(&self, host: &Hostname, views: &[ResolverView]) {
        self.note("question", format!("{host} A, AAAA"));
        let entry = |view: &ResolverView| observation(&view.name, "resolver", MAX_ENTRIES);
        // Not `resolvers`: failures have a field of that name.
        self.note(
            "answers",
            views
                .iter()
                .take(MAX_ENTRIES)
                .map(entry)
                .collect::<Vec<_>>(),
        );
    }

    /// Keeps the authoritative servers of the zone, and what they answered.
    pub(crate) fn authoritative(&self, seen: &AuthoritativeView) {
        if seen.zone.is_empty() {
            return;
        }
        self.note("zone", seen.zone.as_str());
        self.note("nameServers", json!(seen.name_servers));
        let provider = DnsProvider::of(&seen.name_servers);
        self.find(|findings| findings.dns_provider = provider);
        let answers = seen.answers.iter();
        let answers: Vec<Value> = answers
            .map(|seen| observation(seen, "server", MAX_SERVER_ENTRIES))
            .collect();
        // Many servers with long chains are cut, not left out.
        let bounded = bounds::detail(&json!(answers), MAX_SERVERS_BYTES).into_owned();
        self.note("authoritative", bounded);
        if !seen.not_queried.is_empty() {
            let entry =
                |server: &SkippedServer| json!({ "server": server.address, "kind": server.kind });
            let skipped: Vec<Value> = seen.not_queried.iter().map(entry).collect();
            self.note("notQueried", skipped);
        }
    }

    /// Keeps what each resolver answered about CAA records: the look-up that decides.
    pub(crate) fn caa(&self, host: &Hostname, observations: &[CaaObservation]) {
        self.note("caaQuestion", format!("{host} CAA"));
        let seen = |observation: &CaaObservation| {
            let found = observation.relevant();
            let nothing = || Map::from_iter([("answer".to_owned(), json!("no records"))]);
            let mut entry = found.map_or_else(nothing, |lookup| caa_lookup(lookup, MAX_ENTRIES));
            entry.insert("resolver".to_owned(), json!(observation.resolver));
            Value::Object(entry)
        };
        let seen: Vec<Value> = observations.iter().take(MAX_ENTRIES).map(seen).collect();
        let bounded = bounds::detail(&json!(seen), MAX_SERVERS_BYTES).into_owned();
        self.note("caa", bounded);
    }

    /// Keeps what each authoritative server answered about CAA records.
    pub(crate) fn authoritative_caa(&self, observations: &[CaaObservation]) {
        if observations.is_empty() {
            return;
        }
        let seen = |observation: &CaaObservation| {
            let lookups = observation.lookups.iter().take(MAX_ENTRIES);
            let lookups: Vec<Value> = lookups
                .map(|lookup| Value::Object(caa_lookup(lookup, MAX_SERVER_ENTRIES)))
                .collect();
            json!({ "server": observation.resolver, "lookups": lookups })
        };
        let seen: Vec<Value> = observations.iter().take(MAX_ENTRIES).map(seen).collect();
        let bounded = bounds::detail(&json!(seen), MAX_SERVERS_BYTES).into_owned();
        self.note("caaAuthoritative", bounded);
    }

    /// Keeps the question about the proof of a claim, and how many values each server has. Never
    /// the values.
    pub(crate) fn proof(&self, host: &Hostname, seen: &[TxtObservation]) {
        self.note("proofQuestion", format!("{} TXT", txt_name(host)));
        let entry = |seen: &TxtObservation| {
            let found = match &seen.answer {
                TxtAnswer::Values(_) => json!(seen.count()),
                TxtAnswer::Failed(failed) => answer(failed, 0),
            };
            let mut entry = Map::from_iter([
                ("resolver".to_owned(), json!(seen.resolver)),
                ("values".to_owned(), found),
            ]);
            insert_ttl(&mut entry, seen.ttl);
            Value::Object(entry)
        };
        let seen: Vec<Value> = seen.iter().take(MAX_ENTRIES).map(entry).collect();
        self.note("proofRecords", seen);
    }

    /// Keeps the time for DNS queries and how much of it is used. Each part of a check notes it.
    pub(crate) fn dns_time(&self, budget: DnsBudget) {
        self.note("dnsTime", budget.evidence());
    }

    /// Keeps what each address answered to the probe.
    pub(crate) fn probes(&self, seen: &[ProbeObservation]) {
        let entry = |seen: &ProbeObservation| json!({ "address": seen.address, "answer": response(&seen.answer) });
        self.note(
            "probes",
            seen.iter().take(MAX_ENTRIES).map(entry).collect::<Vec<_>>(),
        );
    }

    /// Keeps an event of the order that matters to the CA's limits.
    pub(crate) fn order(&self, effect: OrderEffect) {
        self.find(|findings| findings.order_effects.push(effect));
    }

    /// Keeps the ownership of the hostname after the step.
    pub(crate) fn ownership(&self, ownership: Ownership) {
        self.find(|findings| findings.ownership = Some(ownership));
    }

    /// Keeps the addresses that the customer's instruction may name.
    pub(crate) fn edge_addresses(&self, addresses: Vec<IpAddr>) {
        self.find(|findings| findings.edge_addresses = Some(addresses));
    }

    /// Notes that neither the CA nor an edge answered, or that the step sent nothing.
    pub(crate) fn reached_nobody(&self) {
        self.reached_nobody.store(true, Ordering::Relaxed);
    }

    /// Whether the step reached neither the CA nor an edge.
    pub(crate) fn has_reached_nobody(&self) -> bool {
        self.reached_nobody.load(Ordering::Relaxed)
    }

    /// All findings of the step.
    pub fn into_findings(self) -> Findings {
        self.findings.into_inner().unwrap_or_default()
    }

    /// No code panics while it holds the lock.
    fn find<T>(&self, keep: impl FnOnce(&mut Findings) -> T) {
        if let Ok(mut findings) = self.findings.lock() {
            keep(&mut findings);
        }
    }
}

/// An observation, with at most `max` entries of each list. `by` is the word for its server.
fn observation(seen: &DnsObservation, by: &str, max: usize) -> Value {
    let mut entry = lookup(&seen.chain, &seen.answer, seen.more, max);
    entry.insert(by.to_owned(), json!(seen.resolver));
    insert_ttl(&mut entry, seen.ttl);
    if let Some(ipv6) = &seen.ipv6 {
        let apart = lookup(&ipv6.chain, &ipv6.answer, ipv6.more, max);
        entry.insert("ipv6".to_owned(), Value::Object(apart));
    }
    Value::Object(entry)
}

fn lookup(chain: &[String], seen: &DnsAnswer, more: usize, max: usize) -> Map<String, Value> {
    let chain: Vec<&String> = chain.iter().take(max).collect();
    let mut entry = Map::from_iter([
        ("chain".to_owned(), json!(chain)),
        ("answer".to_owned(), answer(seen, max)),
    ]);
    let addresses = match seen {
        DnsAnswer::Addresses(found) => found.len(),
        _ => 0,
    };
    let more = more + addresses.saturating_sub(max);
    if more > 0 {
        entry.insert("more".to_owned(), json!(more));
    }
    entry
}

fn answer(answer: &DnsAnswer, max: usize) -> Value {
    match answer {
        DnsAnswer::Addresses(addresses) => {
            json!(addresses.iter().take(max).collect::<Vec<&IpAddr>>())
        }
        DnsAnswer::NoData => json!("no addresses"),
        DnsAnswer::NxDomain => json!("does not exist"),
        DnsAnswer::Loop => json!("loop"),
        DnsAnswer::ServFail => json!("server failure"),
        DnsAnswer::Bogus => json!("DNSSEC validation failed"),
        DnsAnswer::Refused => json!("refused"),
        DnsAnswer::Timeout => json!("no answer"),
        DnsAnswer::Local { .. } => json!("not queried: our own machine failed"),
    }
}

/// The look-up of one name, with at most `max` entries of each list.
fn caa_lookup(found: &CaaLookup, max: usize) -> Map<String, Value> {
    let chain: Vec<&String> = found.chain.iter().take(max).collect();
    let answer = match &found.answer {
        CaaAnswer::Records(records) => {
            let records = records.iter().take(max).map(ToString::to_string);
            json!(records.collect::<Vec<_>>())
        }
        CaaAnswer::None => json!("no records"),
        CaaAnswer::Failed(failed) => answer(failed, max),
    };
    let mut entry = Map::from_iter([
        ("name".to_owned(), json!(found.name)),
        ("chain".to_owned(), json!(chain)),
        ("answer".to_owned(), answer),
    ]);
    insert_ttl(&mut entry, found.ttl);
    entry
}

fn insert_ttl(entry: &mut Map<String, Value>, ttl: Option<Duration>) {
    if let Some(ttl) = ttl {
        entry.insert("ttl".to_owned(), json!(ttl.as_secs()));
    }
}

fn response(answer: &ProbeAnswer) -> Value {
    match answer {
        ProbeAnswer::Ours => json!("ours"),
        ProbeAnswer::WrongBody { server } => json!({ "somebodyElse": server }),
        ProbeAnswer::Redirect { status, location } => {
            json!({ "status": status, "location": location })
        }
        ProbeAnswer::Status(status) => json!({ "status": status }),
        ProbeAnswer::Refused => json!("refused"),
        ProbeAnswer::Timeout => json!("no answer"),
        ProbeAnswer::Unroutable => json!("no route from here"),
        ProbeAnswer::Local { .. } => json!("not queried: our own machine failed"),
        ProbeAnswer::Cdn { name, answer } => json!({ "cdn": name, "answered": answer }),
        ProbeAnswer::Forbidden { kind } => json!({ "notConnectedTo": kind }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use dps_domain::caa::CaaRecord;

    use super::*;

    #[test]
    fn what_strangers_publish_is_kept_short() {
        let many = (0..5000)
            .map(|n| IpAddr::V4(Ipv4Addr::from_bits(n)))
            .collect::<BTreeSet<_>>();
        let name = DnsObservation {
            more: 7,
            ..DnsObservation::new(
                ([192, 0, 2, 53], 53).into(),
                vec!["a".repeat(60); 40],
                DnsAnswer::Addresses(many),
            )
        };
        let evidence = Evidence::default();
        let host = Hostname::parse("shop.example.com").unwrap();
        let view = ResolverView {
            name: name.clone(),
            control: name,
        };
        evidence.answers(&host, &[view]);
        evidence.note("long", "x".repeat(MAX_BYTES));
        let notes = evidence.into_findings().evidence;
        assert_eq!(
            notes["answers"][0]["answer"].as_array().unwrap().len(),
            MAX_ENTRIES
        );
        assert_eq!(notes["answers"][0]["more"], 5007 - MAX_ENTRIES);
        assert_eq!(notes["long"], "(too long to keep)");
        assert!(Value::Object(notes).to_string().len() < 2 * MAX_BYTES);
    }

    #[test]
    fn what_eight_hostile_servers_answer_is_cut_and_not_left_out() {
        let hostile = DnsObservation::new(
            ([192, 0, 2, 53], 53).into(),
            vec!["a".repeat(250); 20],
            DnsAnswer::Addresses((0..64).map(|n| Ipv4Addr::from_bits(n).into()).collect()),
        );
        let evidence = Evidence::default();
        evidence.authoritative(&AuthoritativeView {
            zone: "example.com".into(),
            name_servers: vec!["n".repeat(253); 8],
            answers: vec![hostile; 8],
            not_queried: vec![
                SkippedServer {
                    address: Ipv4Addr::LOCALHOST.into(),
                    kind: "loopback",
                };
                8
            ],
        });
        let notes = evidence.into_findings().evidence;
        assert_eq!(notes["authoritative"]["cut"], true);
        let kept = notes["authoritative"]["value"].as_array().unwrap();
        assert!(!kept.is_empty());
        assert!(Value::Object(notes).to_string().len() < MAX_BYTES + MAX_SERVERS_BYTES);
    }

    #[test]
    fn caa_records_and_proofs_are_kept_with_their_questions_and_ttls_and_never_the_values() {
        let (host, server) = (
            Hostname::parse("shop.example.com").unwrap(),
            ([192, 0, 2, 53], 53).into(),
        );
        let ttl = Some(Duration::from_secs(3600));
        let lookup = CaaLookup {
            name: "example.com".into(),
            chain: vec!["a".repeat(250); 20],
            answer: CaaAnswer::Records(vec![CaaRecord::new(0, "issue", &[b'x'; 250]); 64]),
            ttl,
        };
        let observation = CaaObservation {
            resolver: server,
            lookups: vec![lookup; 6],
        };
        let value = "dps-verify=0123456789abcdef0123456789abcdef";
        let texts = TxtObservation {
            resolver: server,
            answer: TxtAnswer::Values(vec![value.to_owned()]),
            ttl,
        };
        let evidence = Evidence::default();
        evidence.caa(&host, std::slice::from_ref(&observation));
        evidence.authoritative_caa(&vec![observation; 8]);
        evidence.proof(&host, &vec![texts; 10]);
        let notes = evidence.into_findings().evidence;
        assert_eq!(notes["caaQuestion"], "shop.example.com CAA");
        assert_eq!(notes["caa"]["value"][0]["ttl"], 3600, "{notes:#?}");
        assert_eq!(notes["caaAuthoritative"]["cut"], true);
        assert_eq!(
            notes["proofQuestion"],
            "_dps-challenge.shop.example.com TXT"
        );
        assert_eq!(
            notes["proofRecords"][9],
            json!({ "resolver": "192.0.2.53:53", "values": 1, "ttl": 3600 })
        );
        let all = Value::Object(notes);
        assert!(!all.to_string().contains("0123456789abcdef"));
        let line = bounds::detail(&all, MAX_BYTES);
        assert!(line.to_string().len() <= MAX_BYTES, "{line}");
    }
}
