//! From a query to an answer (RFC 1034 §4.3.2 with the aliases followed, RFC 2308, RFC 4592).

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record};

use super::zone::{Data, Fault, Kind, Zone, key};

/// Aliases followed before the chain counts as broken, as resolvers do.
const MAX_CHAIN: usize = 16;
/// Largest UDP payload we announce, that of a network without fragmentation.
const UDP_PAYLOAD: u16 = 1232;

/// The data about one name.
enum Found<'a> {
    Alias(&'a RData),
    Records(&'a [RData]),
    NoData,
    NoName,
}

/// The role of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Follows aliases through all data.
    Recursive,
    /// Answers for the zones in its data, and follows aliases inside one of them.
    Authoritative,
}

/// The answer to a well-formed query and how the name misbehaves, if it does.
pub(super) fn answer(request: &Message, zone: &Zone, role: Role) -> (Message, Option<Fault>) {
    let mut response = Message::new(
        request.metadata.id,
        MessageType::Response,
        request.metadata.op_code,
    );
    response.metadata = Metadata::response_from_request(&request.metadata);
    response.metadata.authoritative = role == Role::Authoritative;
    response.metadata.recursion_available = role == Role::Recursive;
    response.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        response.set_edns(our_edns());
    }
    let [query] = request.queries.as_slice() else {
        response.metadata.response_code = ResponseCode::FormErr;
        return (response, None);
    };
    if request.metadata.op_code != OpCode::Query || query.query_class() != DNSClass::IN {
        response.metadata.response_code = ResponseCode::NotImp;
        return (response, None);
    }
    let name = query.name().to_ascii();
    zone.count_query(&name, query.query_type());
    let data = zone.data();
    let fault = data.fault_of(&key(&name), Kind::from_wire(query.query_type()));
    match fault {
        Some(Fault::ServFail) => response.metadata.response_code = ResponseCode::ServFail,
        Some(Fault::Bogus) if !request.metadata.checking_disabled => {
            response.metadata.response_code = ResponseCode::ServFail;
        }
        Some(Fault::Refused) => response.metadata.response_code = ResponseCode::Refused,
        _ => resolve(query, &data, role, &mut response),
    }
    (response, fault)
}

/// Fills the answer, following aliases. At a resolver, a loop ends as SERVFAIL without records, as
/// at the public ones. An authoritative server answers with the records of the loop.
fn resolve(query: &Query, data: &Data, role: Role, response: &mut Message) {
    let mut owner = query.name().clone();
    let top = match role {
        Role::Recursive => None,
        Role::Authoritative => match data.top_of(&key(&owner.to_ascii())) {
            Some(top) => Some(top.to_owned()),
            None => {
                response.metadata.authoritative = false;
                response.metadata.response_code = ResponseCode::Refused;
                return;
            }
        },
    };
    let record = |owner: &Name, rdata| Record::from_rdata(owner.clone(), data.ttl, rdata);
    for _ in 0..MAX_CHAIN {
        if top.is_some() && data.top_of(&key(&owner.to_ascii())) != top.as_deref() {
            return;
        }
        match data.find(&key(&owner.to_ascii()), Kind::from_wire(query.query_type())) {
            Found::Records(records) => {
                response.add_answers(records.iter().map(|rdata| record(&owner, rdata.clone())));
                return;
            }
            Found::Alias(rdata) => {
                response.add_answer(record(&owner, rdata.clone()));
                if let RData::CNAME(target) = rdata {
                    owner = target.0.clone();
                }
            }
            Found::NoData => {
                response.add_authority(start_of_authority(&owner, data));
                return;
            }
            Found::NoName => {
                response.metadata.response_code = ResponseCode::NXDomain;
                response.add_authority(start_of_authority(&owner, data));
                return;
            }
        }
    }
    if role == Role::Recursive {
        response.answers.clear();
        response.metadata.response_code = ResponseCode::ServFail;
    }
}

impl Data {
    fn find(&self, name: &str, kind: Option<Kind>) -> Found<'_> {
        let node = match self.records.get(name) {
            Some(node) => node,
            None if self.exists(name) => return Found::NoData,
            None => match self.records.get(&self.wildcard_for(name)) {
                Some(node) => node,
                None => return Found::NoName,
            },
        };
        if let Some(records) = kind.and_then(|kind| node.get(&kind)) {
            return Found::Records(records);
        }
        match node.get(&Kind::Cname).and_then(|aliases| aliases.first()) {
            Some(alias) => Found::Alias(alias),
            None => Found::NoData,
        }
    }

    /// The top of the zone of a name: the nearest name at or above it with NS records.
    fn top_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let has_servers = |name: &&str| {
            let node = self.records.get(*name);
            node.is_some_and(|node| node.contains_key(&Kind::Ns))
        };
        std::iter::once(name)
            .chain(ancestors(name))
            .find(has_servers)
    }

    /// Whether the name has records or something below it has (an empty non-terminal).
    fn exists(&self, name: &str) -> bool {
        self.records.contains_key(name) || self.records.keys().any(|known| is_below(known, name))
    }

    /// The only wildcard that may answer for a name that does not exist: the one under its closest
    /// existing ancestor.
    fn wildcard_for(&self, name: &str) -> String {
        let encloser = ancestors(name)
            .find(|ancestor| self.exists(ancestor))
            .unwrap_or_default();
        format!("*.{encloser}")
    }

    fn fault_of(&self, name: &str, kind: Option<Kind>) -> Option<Fault> {
        let by_wildcard =
            || ancestors(name).find_map(|above| self.faults.get(&format!("*.{above}")));
        let by_kind = || kind.and_then(|kind| self.faults_of_kinds.get(&kind));
        self.faults
            .get(name)
            .or_else(by_wildcard)
            .or_else(by_kind)
            .copied()
            .or(self.fault_for_all)
    }
}

/// `b.c`, `c` for `a.b.c`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.split_once('.').map(|(_, above)| above), |above| {
        above.split_once('.').map(|(_, higher)| higher)
    })
}

fn is_below(name: &str, ancestor: &str) -> bool {
    name.strip_suffix(ancestor)
        .is_some_and(|rest| rest.ends_with('.'))
}

/// Makes the announcement of our side (RFC 6891).
fn our_edns() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    edns
}

/// The SOA of a negative answer. Without NS records, its zone is taken to be the last two labels of
/// the name, as for most real domains.
fn start_of_authority(name: &Name, data: &Data) -> Record {
    let lower = key(&name.to_ascii());
    let labels = data.top_of(&lower).map_or(2, |top| top.split('.').count());
    let apex = name.trim_to(labels);
    let primary = apex.prepend_label("ns").unwrap_or_else(|_| apex.clone());
    let mailbox = apex
        .prepend_label("hostmaster")
        .unwrap_or_else(|_| apex.clone());
    let ttl = data.ttl;
    let timer = i32::try_from(ttl).unwrap_or(i32::MAX);
    let data = SOA::new(primary, mailbox, 1, timer, timer, timer, ttl);
    Record::from_rdata(apex, ttl, RData::SOA(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_go_from_the_nearest_to_the_top() {
        assert_eq!(ancestors("a.b.c").collect::<Vec<_>>(), ["b.c", "c"]);
        assert_eq!(ancestors("c").count(), 0);
    }

    #[test]
    fn a_name_that_merely_ends_alike_is_not_below() {
        assert!(is_below("a.shop.test", "shop.test"));
        assert!(!is_below("ashop.test", "shop.test"));
        assert!(!is_below("shop.test", "shop.test"));
    }
}
