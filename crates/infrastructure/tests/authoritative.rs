//! Authoritative servers, found through a recursive resolver that has old answers. Real packets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/dns.rs"]
#[expect(dead_code, reason = "shared with the tests of resolvers")]
mod scripted;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dps_application::ports::AuthoritativeDns;
use dps_domain::Hostname;
use dps_domain::caa::{CaaAnswer, CaaLookup};
use dps_domain::dns::{AuthoritativeView, DnsAnswer, MAX_ADDRESSES};
use dps_domain::ownership::{TxtAnswer, txt_name};
use dps_infrastructure::dns::{AuthoritativeServers, AuthoritativeSettings, DnsSettings};
use dps_lab::dns::{DnsServer, Fault, Kind, Zone};
use scripted::{ScriptedServer, a, cname, response_to};
use tokio::time::Instant;

const HOST: &str = "shop.example.com";
const ZONE: &str = "example.com";
const TARGET: &str = "edge.platform.example";
const BOUND: Duration = Duration::from_secs(3);
const HOUR: Duration = Duration::from_secs(3600);

/// A resolver with old answers, and the authoritative servers of [`ZONE`] at one port.
struct World {
    resolver: DnsServer,
    servers: Vec<DnsServer>,
    port: u16,
}

impl World {
    /// One authoritative server for each zone, at 127.0.0.1 and the addresses after it.
    async fn start(zones: &[&Zone]) -> Self {
        let mut world = Self::without_servers(0).await;
        for (n, zone) in zones.iter().enumerate() {
            zone.set_ns(ZONE, &["ns0.dns.example"]).unwrap();
            let at = SocketAddr::from((address(n), world.port));
            let server = DnsServer::start_authoritative(at, (*zone).clone()).await;
            let server = server.unwrap();
            world.port = server.address().port();
            world.servers.push(server);
        }
        world.delegate_to(zones.len());
        world
    }

    async fn without_servers(port: u16) -> Self {
        let resolver = DnsServer::start_local().await.unwrap();
        let zone = resolver.zone();
        zone.set_a(TARGET, &["203.0.113.7".parse().unwrap()]);
        Self {
            resolver,
            servers: vec![],
            port,
        }
    }

    fn delegate_to(&self, count: usize) {
        let zone = self.resolver.zone();
        let names: Vec<String> = (0..count).map(|n| format!("ns{n}.dns.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        zone.set_ns(ZONE, &names).unwrap();
        for (n, name) in names.iter().enumerate() {
            zone.set_a(name, &[address(n)]);
        }
    }

    async fn observe(&self, host: &str) -> AuthoritativeView {
        let settings = AuthoritativeSettings {
            port: self.port,
            allow_private: true,
            ..AuthoritativeSettings::default()
        };
        self.observe_with(settings, host).await
    }

    /// The TXT records of a claim, by server.
    async fn observe_proof(&self, host: &str) -> Vec<TxtAnswer> {
        let settings = AuthoritativeSettings {
            port: self.port,
            allow_private: true,
            ..AuthoritativeSettings::default()
        };
        let resolver = self.resolver.address();
        let servers = AuthoritativeServers::new([resolver], DnsSettings::default(), settings);
        let host = Hostname::parse(host).unwrap();
        let deadline = Instant::now() + BOUND;
        let seen = servers.observe_proof(&host, resolver, deadline).await;
        seen.into_iter().map(|seen| seen.answer).collect()
    }

    /// The CAA records of a name and those above it, by server.
    async fn observe_caa(&self, host: &str) -> Vec<(SocketAddr, CaaLookup)> {
        let settings = AuthoritativeSettings {
            port: self.port,
            allow_private: true,
            ..AuthoritativeSettings::default()
        };
        let resolver = self.resolver.address();
        let servers = AuthoritativeServers::new([resolver], DnsSettings::default(), settings);
        let host = Hostname::parse(host).unwrap();
        let deadline = Instant::now() + BOUND;
        let seen = servers.observe_caa(&host, resolver, deadline).await;
        let of_server = seen.into_iter().flat_map(|seen| {
            let lookups = seen.lookups.into_iter();
            lookups.map(move |lookup| (seen.resolver, lookup))
        });
        of_server.collect()
    }

    async fn observe_with(&self, settings: AuthoritativeSettings, host: &str) -> AuthoritativeView {
        let dns = DnsSettings {
            query_timeout: Duration::from_millis(500),
            ..DnsSettings::default()
        };
        let resolver = self.resolver.address();
        let servers = AuthoritativeServers::new([resolver], dns, settings);
        let host = Hostname::parse(host).unwrap();
        servers
            .observe(&host, resolver, Instant::now() + BOUND)
            .await
    }
}

fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(n + 1).unwrap())
}

fn answers(view: &AuthoritativeView) -> Vec<&DnsAnswer> {
    view.answers.iter().map(|seen| &seen.answer).collect()
}

fn addresses(texts: &[&str]) -> DnsAnswer {
    DnsAnswer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[tokio::test]
async fn every_server_of_the_zone_is_asked_and_a_chain_that_leaves_it_is_followed_by_the_resolver()
{
    let (new, old) = (Zone::new(), Zone::new());
    let world = World::start(&[&new, &old]).await;
    new.set_cname(HOST, TARGET).unwrap();
    old.set_ttl(HOUR);
    let view = world.observe(HOST).await;
    assert_eq!(view.zone, ZONE);
    assert_eq!(view.name_servers, ["ns0.dns.example", "ns1.dns.example"]);
    let servers: Vec<SocketAddr> = view.answers.iter().map(|seen| seen.resolver).collect();
    let expected: Vec<SocketAddr> = world.servers.iter().map(DnsServer::address).collect();
    assert_eq!(servers, expected);
    assert_eq!(view.answers[0].chain, [TARGET]);
    assert_eq!(
        answers(&view),
        [&addresses(&["203.0.113.7"]), &DnsAnswer::NxDomain]
    );
    assert_eq!(view.answers[1].ttl, Some(HOUR));
    assert_eq!(world.resolver.zone().queries_of(HOST, Kind::A), 0);
}

#[tokio::test]
async fn a_chain_inside_the_zone_is_followed_at_its_server() {
    let zone = Zone::new();
    let world = World::start(&[&zone]).await;
    zone.set_cname(HOST, "www.example.com").unwrap();
    zone.set_cname("www.example.com", "other.example.com")
        .unwrap();
    zone.set_a("other.example.com", &["203.0.113.9".parse().unwrap()]);
    let view = world.observe(HOST).await;
    assert_eq!(
        view.answers[0].chain,
        ["www.example.com", "other.example.com"]
    );
    assert_eq!(answers(&view), [&addresses(&["203.0.113.9"])]);
    zone.set_cname("other.example.com", HOST).unwrap();
    zone.clear_kind("other.example.com", Kind::A);
    let view = world.observe(HOST).await;
    assert_eq!(answers(&view), [&DnsAnswer::Loop]);
}

#[tokio::test]
async fn servers_at_addresses_of_inside_networks_are_never_asked() {
    let zone = Zone::new();
    let world = World::start(&[&zone]).await;
    let settings = AuthoritativeSettings {
        port: world.port,
        ..AuthoritativeSettings::default()
    };
    let view = world.observe_with(settings, HOST).await;
    assert!(view.answers.is_empty(), "{view:?}");
    assert_eq!(view.not_queried[0].kind, "loopback");
    assert_eq!(zone.queries(HOST), 0);
    let forbidden = AuthoritativeSettings {
        port: world.port,
        allow_private: true,
        forbidden_networks: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let view = world.observe_with(forbidden, HOST).await;
    assert_eq!(view.not_queried[0].kind, "blocked");
    assert_eq!(zone.queries(HOST), 0);
}

#[tokio::test]
async fn of_many_servers_that_do_not_answer_a_few_are_asked_within_the_bound() {
    let zone = Zone::new();
    let world = World::start(&[&zone]).await;
    zone.set_fault_for_all(Some(Fault::Unanswered));
    world.delegate_to(60);
    let begun = Instant::now();
    let view = world.observe(HOST).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(view.answers.len(), 4);
    assert!(view.name_servers.len() <= 8, "{:?}", view.name_servers);
    let unanswered = |answer: &&DnsAnswer| **answer == DnsAnswer::Timeout;
    assert!(answers(&view).iter().all(unanswered), "{view:?}");
}

#[tokio::test]
async fn of_a_server_with_thousands_of_addresses_two_are_asked() {
    let world = World::without_servers(53).await;
    let zone = world.resolver.zone();
    zone.set_ns(ZONE, &["ns.dns.example"]).unwrap();
    let many: Vec<Ipv4Addr> = (0..4000)
        .map(|n| Ipv4Addr::from_bits(0x7f01_0000 + n))
        .collect();
    zone.set_a("ns.dns.example", &many);
    let settings = AuthoritativeSettings::default();
    let view = world.observe_with(settings, HOST).await;
    assert_eq!(view.not_queried.len(), 2, "{view:?}");
}

#[tokio::test]
async fn an_answer_without_authority_does_not_count() {
    let world = World::start(&[]).await;
    let lame = DnsServer::start(SocketAddr::from((address(0), 0)), Zone::new());
    let lame = lame.await.unwrap();
    world.delegate_to(1);
    let world = World {
        port: lame.address().port(),
        ..world
    };
    lame.zone().set_cname(HOST, TARGET).unwrap();
    let view = world.observe(HOST).await;
    assert_eq!(answers(&view), [&DnsAnswer::Refused]);
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp_and_bounded() {
    let zone = Zone::new();
    let world = World::start(&[&zone]).await;
    let many: Vec<Ipv4Addr> = (0..4000).map(Ipv4Addr::from_bits).collect();
    zone.set_a(HOST, &many);
    let view = world.observe(HOST).await;
    let DnsAnswer::Addresses(kept) = &view.answers[0].answer else {
        panic!("{view:?}")
    };
    assert_eq!(kept.len(), MAX_ADDRESSES);
    assert_eq!(view.answers[0].more, 4000 - MAX_ADDRESSES);
}

#[tokio::test]
async fn a_server_is_not_believed_about_names_outside_its_zone() {
    let liar = ScriptedServer::start_with(|request| {
        let mut response = response_to(request);
        response.metadata.authoritative = true;
        response.add_answers([
            cname("shop.example.com.", "edge.platform.example."),
            a("edge.platform.example.", [6, 6, 6, 6]),
        ]);
        response
    })
    .await;
    let world = World::without_servers(liar.address().port()).await;
    world.delegate_to(1);
    let view = world.observe(HOST).await;
    assert_eq!(view.answers[0].chain, [TARGET]);
    assert_eq!(answers(&view), [&addresses(&["203.0.113.7"])]);
}

#[tokio::test]
async fn a_forged_answer_is_passed_over() {
    let forger = ScriptedServer::start_with(|request| {
        let mut response = response_to(request);
        response.metadata.authoritative = true;
        response.metadata.id = request.metadata.id.wrapping_add(1);
        response.add_answers([a("shop.example.com.", [6, 6, 6, 6])]);
        response
    })
    .await;
    let world = World::without_servers(forger.address().port()).await;
    world.delegate_to(1);
    let view = world.observe(HOST).await;
    assert_eq!(answers(&view), [&DnsAnswer::Timeout]);
}

#[tokio::test]
async fn a_name_without_a_known_zone_leads_to_no_server() {
    let world = World::without_servers(53).await;
    assert_eq!(world.observe(HOST).await, AuthoritativeView::default());
}

#[tokio::test]
async fn the_value_of_a_claim_is_read_at_each_server_and_bounded() {
    let zones = [Zone::new(), Zone::new(), Zone::new()];
    let world = World::start(&[&zones[0], &zones[1], &zones[2]]).await;
    let name = txt_name(&Hostname::parse(HOST).unwrap());
    let value = "dps-verify=0123456789abcdef0123456789abcdef";
    // As much as fits into a message, of which one record is the value.
    let long = "x".repeat(250);
    let texts: Vec<&str> = std::iter::once(value)
        .chain(std::iter::repeat_n(long.as_str(), 230))
        .collect();
    zones[0].set_txt(&name, &texts);
    zones[1].set_fault(&name, Fault::ServFail);
    // An alias into another zone, whose records its own servers have.
    zones[2]
        .set_cname(&name, "proof.elsewhere.example")
        .unwrap();
    let seen = world.observe_proof(HOST).await;
    let [TxtAnswer::Values(values), TxtAnswer::Failed(failed)] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert!(values.iter().any(|found| found == value), "{values:?}");
    assert!(values.len() <= 64, "{}", values.len());
    assert_eq!(*failed, DnsAnswer::ServFail);
}

/// The answers of a server, each with its name, its chain, and the first of its records.
fn caa_at(seen: &[(SocketAddr, CaaLookup)], server: SocketAddr) -> Vec<(&str, String, String)> {
    let of_server = seen.iter().filter(|(at, _)| *at == server);
    let shown = of_server.map(|(_, lookup)| {
        let answer = match &lookup.answer {
            CaaAnswer::Records(records) => records[0].to_string(),
            other => format!("{other:?}"),
        };
        (lookup.name.as_str(), lookup.chain.join(" "), answer)
    });
    shown.collect()
}

fn entry<'a>(name: &'a str, chain: &str, answer: &str) -> (&'a str, String, String) {
    (name, chain.to_owned(), answer.to_owned())
}

#[tokio::test]
async fn the_records_of_each_name_are_read_at_each_server_and_not_at_the_resolver() {
    let (new, old) = (Zone::new(), Zone::new());
    let world = World::start(&[&new, &old]).await;
    for zone in [&old, world.resolver.zone()] {
        zone.set_caa(ZONE, &[(0, "issue", "other.test")]);
    }
    new.set_caa(ZONE, &[(0, "issue", "ca.test")]);
    let seen = world.observe_caa(HOST).await;
    let at = |n: usize| caa_at(&seen, world.servers[n].address());
    let of_host = entry(HOST, "", "None");
    let allowed = entry(ZONE, "", "0 issue \"ca.test\"");
    assert_eq!(at(0), [of_host.clone(), allowed]);
    let forbidden = entry(ZONE, "", "0 issue \"other.test\"");
    assert_eq!(at(1), [of_host, forbidden]);
    // The resolver is asked about the top-level domain alone.
    let of_top = entry("com", "", "None");
    assert_eq!(caa_at(&seen, world.resolver.address()), [of_top]);
    assert_eq!(world.resolver.zone().queries_of(ZONE, Kind::Caa), 0);
}

#[tokio::test]
async fn a_name_below_a_zone_cut_is_asked_at_its_own_servers() {
    let (parent, child) = (Zone::new(), Zone::new());
    let world = World::start(&[&parent, &child]).await;
    let resolver = world.resolver.zone();
    for zone in [&parent, &child, resolver] {
        zone.set_ns(HOST, &["ns1.dns.example"]).unwrap();
        zone.set_ns(ZONE, &["ns0.dns.example"]).unwrap();
    }
    child.set_caa(HOST, &[(0, "issue", "ca.test")]);
    // Records of the other side of the cut, which are not its own.
    parent.set_caa(HOST, &[(0, "issue", "other.test")]);
    child.set_caa(ZONE, &[(0, "issue", "other.test")]);
    let seen = world.observe_caa(HOST).await;
    let at = |n: usize| caa_at(&seen, world.servers[n].address());
    assert_eq!(at(0), [entry(ZONE, "", "None")]);
    assert_eq!(at(1), [entry(HOST, "", "0 issue \"ca.test\"")]);
}

#[tokio::test]
async fn an_alias_is_followed_to_the_servers_of_its_zone_and_to_the_resolver_without_any() {
    let (zone, other) = (Zone::new(), Zone::new());
    let world = World::start(&[&zone, &other]).await;
    let (alias, end) = ("shops.alias.example", "pages.host.example");
    let resolver = world.resolver.zone();
    resolver
        .set_ns("alias.example", &["ns1.dns.example"])
        .unwrap();
    resolver.set_ns(ZONE, &["ns0.dns.example"]).unwrap();
    other.set_ns("alias.example", &["ns1.dns.example"]).unwrap();
    zone.set_cname(HOST, alias).unwrap();
    other.set_caa(alias, &[(0, "issue", "ca.test")]);
    resolver.set_caa(alias, &[(0, "issue", "other.test")]);
    let seen = world.observe_caa(HOST).await;
    let at = |server| caa_at(&seen, server);
    let found = entry(HOST, alias, "0 issue \"ca.test\"");
    assert_eq!(at(world.servers[1].address()), [found]);
    // The zone to which the alias leads then has no servers that are known.
    other.clear_kind(alias, Kind::Caa);
    other.set_cname(alias, end).unwrap();
    resolver.set_caa(end, &[(0, "issue", "third.test")]);
    let seen = world.observe_caa(HOST).await;
    let found = entry(HOST, &format!("{alias} {end}"), "0 issue \"third.test\"");
    let by_resolver = caa_at(&seen, world.resolver.address());
    assert!(by_resolver.contains(&found), "{by_resolver:?}");
    // Aliases that return to the first zone end.
    other.set_cname(alias, HOST).unwrap();
    let seen = world.observe_caa(HOST).await;
    let found = entry(HOST, &format!("{alias} {HOST}"), "Failed(Loop)");
    assert_eq!(
        caa_at(&seen, world.servers[1].address()),
        [found],
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_name_with_many_labels_and_one_without_a_known_zone_are_left_to_the_resolver() {
    let zone = Zone::new();
    let world = World::start(&[&zone]).await;
    let many = format!("a.b.c.d.e.f.{ZONE}");
    assert!(world.observe_caa(&many).await.is_empty());
    assert!(world.observe_caa("shop.unknown.com").await.is_empty());
    assert_eq!(zone.queries(ZONE), 0);
}

#[tokio::test]
async fn a_server_with_an_ipv6_address_alone_is_asked_over_ipv6() {
    let zone = Zone::new();
    zone.set_ns(ZONE, &["ns6.dns.example"]).unwrap();
    let at = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let server = DnsServer::start_authoritative(at, zone.clone()).await;
    let server = server.unwrap();
    let world = World::without_servers(server.address().port()).await;
    let resolver = world.resolver.zone();
    resolver.set_ns(ZONE, &["ns6.dns.example"]).unwrap();
    resolver.set_aaaa("ns6.dns.example", &[Ipv6Addr::LOCALHOST]);
    zone.set_a(HOST, &["203.0.113.9".parse().unwrap()]);
    zone.set_caa(ZONE, &[(0, "issue", "ca.test")]);
    zone.set_txt(&txt_name(&Hostname::parse(HOST).unwrap()), &["v=spf1 -all"]);
    let view = world.observe(HOST).await;
    assert_eq!(view.answers[0].resolver, server.address());
    assert_eq!(answers(&view), [&addresses(&["203.0.113.9"])]);
    let records = world.observe_caa(HOST).await;
    let allowed = entry(ZONE, "", "0 issue \"ca.test\"");
    assert!(
        caa_at(&records, server.address()).contains(&allowed),
        "{records:?}"
    );
    let values = world.observe_proof(HOST).await;
    assert_eq!(values, [TxtAnswer::Values(vec!["v=spf1 -all".into()])]);
    // A truncated answer is fetched over TCP there too.
    zone.set_fault(HOST, Fault::Truncated);
    let view = world.observe(HOST).await;
    assert_eq!(answers(&view), [&addresses(&["203.0.113.9"])]);
}
