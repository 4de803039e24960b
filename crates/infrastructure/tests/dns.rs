//! The DNS adapter against name servers that answer with real packets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/dns.rs"]
mod scripted;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dps_application::ports::DnsResolver;
use dps_domain::Hostname;
use dps_domain::caa::{CaaAnswer, CaaLookup, CaaRecord};
use dps_domain::dns::{DnsAnswer, DnsObservation, MAX_ADDRESSES};
use dps_infrastructure::dns::{DnsSettings, HickoryResolver};
use dps_lab::dns::{DnsServer, Fault, Kind};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use scripted::{ScriptedServer, a, aaaa, cname, response_to, soa};

const HOST: &str = "shop.example.com";
const TARGET: &str = "edge.platform.example";

fn settings() -> DnsSettings {
    DnsSettings {
        query_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(2),
        randomize_case: true,
        max_active_requests: 64,
    }
}

fn host(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

async fn observe(server: SocketAddr, name: &str) -> DnsObservation {
    HickoryResolver::new(server, settings())
        .observe(&host(name))
        .await
}

fn addresses(texts: &[&str]) -> DnsAnswer {
    DnsAnswer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

async fn server_with_target() -> DnsServer {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_a(TARGET, &["203.0.113.7".parse().unwrap()]);
    server
        .zone()
        .set_aaaa(TARGET, &["2001:db8::7".parse().unwrap()]);
    server
}

#[tokio::test]
async fn a_name_without_cname_is_reported_with_both_families_of_addresses() {
    let server = server_with_target().await;
    let seen = observe(server.address(), TARGET).await;
    assert_eq!(seen.resolver, server.address());
    assert_eq!(seen.chain, Vec::<String>::new());
    assert_eq!(seen.answer, addresses(&["203.0.113.7", "2001:db8::7"]));
}

#[tokio::test]
async fn one_family_is_enough() {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_aaaa(HOST, &["2001:db8::9".parse().unwrap()]);
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        addresses(&["2001:db8::9"])
    );
}

#[tokio::test]
async fn a_chain_is_reported_in_order_in_lower_case_without_final_dots() {
    let server = server_with_target().await;
    let zone = server.zone();
    zone.set_cname(HOST, "WWW.Example.COM.").unwrap();
    zone.set_cname("www.example.com", "cdn.example.net")
        .unwrap();
    zone.set_cname("cdn.example.net", TARGET).unwrap();
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.chain, ["www.example.com", "cdn.example.net", TARGET]);
    assert_eq!(seen.answer, addresses(&["203.0.113.7", "2001:db8::7"]));
}

#[tokio::test]
async fn a_missing_name_and_a_name_without_addresses_are_distinguished() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_txt(HOST, &["here, but no address"]);
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        DnsAnswer::NoData
    );
    let missing = observe(server.address(), "nobody.example.com").await;
    assert_eq!(
        (missing.chain, missing.answer),
        (vec![], DnsAnswer::NxDomain)
    );
}

#[tokio::test]
async fn a_dangling_cname_is_its_chain_and_a_missing_name() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_cname(HOST, "gone.example.net").unwrap();
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.chain, ["gone.example.net"]);
    assert_eq!(seen.answer, DnsAnswer::NxDomain);
}

#[tokio::test]
async fn a_chain_to_a_name_without_addresses_is_its_chain_and_no_data() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_cname(HOST, "bare.example.net").unwrap();
    server.zone().set_txt("bare.example.net", &["text"]);
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.chain, ["bare.example.net"]);
    assert_eq!(seen.answer, DnsAnswer::NoData);
    assert_eq!(
        server.zone().queries("bare.example.net"),
        0,
        "the first answer said it all"
    );
}

#[tokio::test]
async fn servfail_and_refused_are_distinguished() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_fault(HOST, Fault::ServFail);
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        DnsAnswer::ServFail
    );
    server.zone().set_fault(HOST, Fault::Refused);
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        DnsAnswer::Refused
    );
}

#[tokio::test]
async fn a_servfail_that_succeeds_without_validation_is_bogus() {
    let server = server_with_target().await;
    server.zone().set_cname(HOST, TARGET).unwrap();
    server.zone().set_fault(HOST, Fault::Bogus);
    let seen = observe(server.address(), HOST).await;
    assert_eq!((seen.answer, seen.chain.len()), (DnsAnswer::Bogus, 0));
    server.zone().set_caa("example.com", &[(0, "issue", ";")]);
    server.zone().set_fault("example.com", Fault::Bogus);
    let lookups = observe_caa(&server, HOST).await;
    assert_eq!(lookups[1].answer, CaaAnswer::Failed(DnsAnswer::Bogus));
}

#[tokio::test]
async fn a_server_that_failed_for_a_moment_is_not_bogus() {
    let queries = AtomicU32::new(0);
    let flaky = ScriptedServer::start_with(move |request| {
        // The first query of each family fails, whatever its flags are.
        let code = match queries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => ResponseCode::ServFail,
            _ => ResponseCode::NXDomain,
        };
        let mut response = response_to(request);
        response.metadata.response_code = code;
        response
    })
    .await;
    let seen = observe(flaky.address(), HOST).await;
    assert_ne!(seen.answer, DnsAnswer::Bogus);
}

#[tokio::test]
async fn bogus_signatures_behind_a_cname_are_reported_with_the_chain_that_leads_there() {
    let server = ScriptedServer::start_with(|request| {
        let mut response = response_to(request);
        let is_cname = request.queries[0].query_type() == RecordType::CNAME;
        let asks_host = request.queries[0]
            .name()
            .to_ascii()
            .eq_ignore_ascii_case("shop.example.com.");
        if request.metadata.checking_disabled || is_cname && asks_host {
            response.add_answer(cname(HOST, "shops.example.net"));
        } else {
            response.metadata.response_code = ResponseCode::ServFail;
        }
        if request.metadata.checking_disabled {
            response.add_answer(a("shops.example.net", [203, 0, 113, 7]));
        }
        response
    })
    .await;
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.answer, DnsAnswer::Bogus);
    assert_eq!(seen.chain, ["shops.example.net"]);
}

#[tokio::test]
async fn servfail_behind_a_cname_is_reported_with_the_chain_that_leads_there() {
    let broken = ScriptedServer::start(|name, kind| match (name, kind) {
        (HOST, "CNAME") => Some((
            ResponseCode::NoError,
            vec![cname(HOST, "broken.example.net")],
        )),
        (_, _) => Some((ResponseCode::ServFail, vec![])),
    })
    .await;
    let seen = observe(broken.address(), HOST).await;
    assert_eq!(seen.chain, ["broken.example.net"]);
    assert_eq!(seen.answer, DnsAnswer::ServFail);
}

#[tokio::test]
async fn a_loop_that_the_resolver_answers_with_servfail_is_proven_cname_by_cname() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_cname(HOST, "a.example.net").unwrap();
    server
        .zone()
        .set_cname("a.example.net", "b.example.net")
        .unwrap();
    server
        .zone()
        .set_cname("b.example.net", "a.example.net")
        .unwrap();
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.answer, DnsAnswer::Loop);
    assert_eq!(
        seen.chain,
        ["a.example.net", "b.example.net", "a.example.net"]
    );
    assert!(
        server.zone().queries_of(HOST, Kind::Cname) > 0,
        "the loop was never walked"
    );
}

#[tokio::test]
async fn a_name_that_is_its_own_alias_is_a_loop() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_cname(HOST, HOST).unwrap();
    let seen = observe(server.address(), HOST).await;
    assert_eq!(
        (seen.chain, seen.answer),
        (vec![HOST.to_owned()], DnsAnswer::Loop)
    );
}

#[tokio::test]
async fn a_loop_inside_a_good_answer_is_a_loop() {
    let server = ScriptedServer::start(|_, _| {
        let records = vec![cname("b.example.net", HOST), cname(HOST, "b.example.net")];
        Some((ResponseCode::NoError, records))
    })
    .await;
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.answer, DnsAnswer::Loop);
    assert_eq!(seen.chain, ["b.example.net", HOST]);
}

#[tokio::test]
async fn a_chain_that_never_ends_is_given_up_where_a_ca_gives_up() {
    let server = ScriptedServer::start(|name, _| {
        let number: u32 = name.strip_prefix('n')?.split_once('.')?.0.parse().ok()?;
        let next = format!("n{}.example.net", number + 1);
        Some((ResponseCode::NoError, vec![cname(name, &next)]))
    })
    .await;
    let seen = observe(server.address(), "n0.example.net").await;
    assert_eq!(seen.answer, DnsAnswer::Loop);
    assert_eq!(seen.chain.len(), 11);
}

#[tokio::test]
async fn a_server_that_gives_one_link_at_a_time_is_asked_until_the_end() {
    let server = ScriptedServer::start(|name, kind| {
        let records = match (name, kind) {
            (HOST, _) => vec![cname(HOST, "middle.example.net")],
            ("middle.example.net", _) => vec![cname("middle.example.net", TARGET)],
            (TARGET, "A") => vec![a(TARGET, [203, 0, 113, 7])],
            _ => vec![],
        };
        Some((ResponseCode::NoError, records))
    })
    .await;
    let seen = observe(server.address(), HOST).await;
    assert_eq!(seen.chain, ["middle.example.net", TARGET]);
    assert_eq!(seen.answer, addresses(&["203.0.113.7"]));
}

#[tokio::test]
async fn an_address_of_one_family_counts_when_the_other_lookup_fails() {
    let server = ScriptedServer::start(|name, kind| match kind {
        "A" => Some((ResponseCode::NoError, vec![a(name, [203, 0, 113, 7])])),
        "AAAA" => None,
        _ => Some((ResponseCode::ServFail, vec![])),
    })
    .await;
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        addresses(&["203.0.113.7"])
    );
}

#[tokio::test]
async fn no_data_of_one_family_is_not_believed_while_the_other_times_out() {
    let server =
        ScriptedServer::start(|_, kind| (kind == "A").then(|| (ResponseCode::NoError, vec![])))
            .await;
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        DnsAnswer::Timeout
    );
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_again_over_tcp() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_a(HOST, &["203.0.113.7".parse().unwrap()]);
    server.zone().set_fault(HOST, Fault::Truncated);
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        addresses(&["203.0.113.7"])
    );
    assert!(
        server.zone().queries_of(HOST, Kind::A) >= 2,
        "asked once over UDP, once over TCP"
    );
}

#[tokio::test]
async fn of_a_name_with_thousands_of_addresses_a_few_are_kept_and_the_others_counted() {
    let server = DnsServer::start_local().await.unwrap();
    let (v4, v6) = (
        Ipv4Addr::new(203, 0, 0, 0),
        Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]),
    );
    let v4: Vec<_> = (0..4000)
        .map(|n| Ipv4Addr::from_bits(v4.to_bits() + n))
        .collect();
    let v6: Vec<_> = (0..2300)
        .map(|n| Ipv6Addr::from_bits(v6.to_bits() + n))
        .collect();
    server.zone().set_a(HOST, &v4);
    server.zone().set_aaaa(HOST, &v6);
    let seen = observe(server.address(), HOST).await;
    let DnsAnswer::Addresses(found) = &seen.answer else {
        panic!("no addresses: {seen:?}")
    };
    assert_eq!(
        (found.len(), seen.more),
        (2 * MAX_ADDRESSES, 6300 - 2 * MAX_ADDRESSES)
    );
}

#[tokio::test]
async fn a_resolver_that_does_not_take_edns_is_asked_without() {
    for refusal in [ResponseCode::FormErr, ResponseCode::NotImp] {
        let server = ScriptedServer::start_with(move |request| {
            let mut response = response_to(request);
            if request.edns.is_some() {
                response.metadata.response_code = refusal;
            } else if request.queries[0].query_type().to_string() == "A" {
                response.add_answers([a(HOST, [203, 0, 113, 7])]);
            }
            response
        })
        .await;
        assert_eq!(
            observe(server.address(), HOST).await.answer,
            addresses(&["203.0.113.7"])
        );
    }
}

#[tokio::test]
async fn a_resolver_that_answers_in_lower_case_and_not_over_tcp_works_by_the_setting() {
    let server = ScriptedServer::start_with(|request| {
        let mut response = response_to(request);
        for query in &mut response.queries {
            let lower = query.name().to_lowercase();
            query.set_name(lower);
        }
        response.add_answers([a(HOST, [203, 0, 113, 7])]);
        response
    })
    .await;
    assert_eq!(
        observe(server.address(), HOST).await.answer,
        DnsAnswer::Timeout
    );
    let plain = DnsSettings {
        randomize_case: false,
        ..settings()
    };
    let seen = HickoryResolver::new(server.address(), plain)
        .observe(&host(HOST))
        .await;
    assert_eq!(seen.answer, addresses(&["203.0.113.7"]));
}

#[tokio::test]
async fn families_with_different_chains_are_distinguished() {
    let server = ScriptedServer::start(|_, kind| {
        let records = match kind {
            "A" => vec![cname(HOST, TARGET), a(TARGET, [203, 0, 113, 7])],
            "AAAA" => vec![aaaa(HOST, "2001:db8::bad")],
            _ => vec![],
        };
        Some((ResponseCode::NoError, records))
    })
    .await;
    let seen = observe(server.address(), HOST).await;
    assert_eq!(
        (seen.chain, seen.answer),
        (vec![TARGET.to_owned()], addresses(&["203.0.113.7"]))
    );
    let ipv6 = seen.ipv6.unwrap();
    assert_eq!(
        (ipv6.chain, ipv6.answer),
        (vec![], addresses(&["2001:db8::bad"]))
    );
}

#[tokio::test]
async fn a_name_that_is_a_zone_of_its_own_is_known_by_its_negative_answer() {
    for (zone, is_zone) in [
        (HOST, true),
        ("SHOP.example.com", true),
        ("example.com", false),
    ] {
        let server = ScriptedServer::start_with(move |request| {
            let mut response = response_to(request);
            response.add_authorities([soa(zone)]);
            response
        })
        .await;
        let seen = observe(server.address(), HOST).await;
        assert_eq!(
            (seen.answer, seen.is_zone),
            (DnsAnswer::NoData, is_zone),
            "{zone}"
        );
    }
}

#[tokio::test]
async fn mixed_case_queries_and_answers_lead_to_one_spelling() {
    let server = ScriptedServer::start(|_, kind| {
        (kind == "A").then(|| {
            let records = vec![
                cname("SHOP.example.COM", "Edge.PLATFORM.example"),
                a("EDGE.platform.EXAMPLE", [203, 0, 113, 7]),
            ];
            (ResponseCode::NoError, records)
        })
    })
    .await;
    let seen = observe(server.address(), "Shop.Example.Com").await;
    assert_eq!(
        (seen.chain, seen.answer),
        (vec![TARGET.to_owned()], addresses(&["203.0.113.7"]))
    );
    let spellings = server.spellings();
    assert!(
        spellings
            .iter()
            .any(|name| name.bytes().any(|b| b.is_ascii_uppercase())),
        "queries were not randomised: {spellings:?}"
    );
}

#[tokio::test]
async fn case_is_left_alone_when_the_setting_says_so() {
    let server = ScriptedServer::start(|name, _| {
        Some((ResponseCode::NoError, vec![a(name, [203, 0, 113, 7])]))
    })
    .await;
    let plain = DnsSettings {
        randomize_case: false,
        ..settings()
    };
    HickoryResolver::new(server.address(), plain)
        .observe(&host(HOST))
        .await;
    assert!(
        server.spellings().iter().all(|name| name == HOST),
        "{:?}",
        server.spellings()
    );
}

#[tokio::test]
async fn special_names_are_asked_for_like_any_other() {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_a("shop.localhost", &["203.0.113.7".parse().unwrap()]);
    let seen = observe(server.address(), "shop.localhost").await;
    assert_eq!(seen.answer, addresses(&["203.0.113.7"]));
}

#[tokio::test]
async fn nothing_is_remembered_between_observations() {
    let server = server_with_target().await;
    let resolver = HickoryResolver::new(server.address(), settings());
    assert_eq!(
        resolver.observe(&host(HOST)).await.answer,
        DnsAnswer::NxDomain
    );
    server.zone().set_cname(HOST, TARGET).unwrap();
    assert_eq!(resolver.observe(&host(HOST)).await.chain, [TARGET]);
    server.zone().clear(HOST);
    assert_eq!(
        resolver.observe(&host(HOST)).await.answer,
        DnsAnswer::NxDomain
    );
}

#[tokio::test]
async fn a_dead_resolver_is_a_time_out_within_its_bound() {
    let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let seen = observe(unused.local_addr().unwrap(), HOST).await;
    assert_eq!(seen.answer, DnsAnswer::Timeout);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_resolver_that_slows_down_at_every_link_is_bounded_in_total() {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_fault_for_all(Some(Fault::Slow(Duration::from_millis(300))));
    for n in 0..16 {
        let next = format!("n{}.example.net", n + 1);
        server
            .zone()
            .set_cname(&format!("n{n}.example.net"), &next)
            .unwrap();
    }
    // A seventeenth link makes the resolver fail, and us walk.
    server
        .zone()
        .set_cname("n16.example.net", "n17.example.net")
        .unwrap();
    let hasty = DnsSettings {
        total_timeout: Duration::from_secs(1),
        ..settings()
    };
    let started = Instant::now();
    let seen = HickoryResolver::new(server.address(), hasty)
        .observe(&host("n0.example.net"))
        .await;
    assert_eq!(seen.answer, DnsAnswer::ServFail);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn garbage_packets_are_survived() {
    let server = ScriptedServer::start_raw(|request| {
        let mut packet = request.get(..2).unwrap_or_default().to_vec();
        packet.extend([
            0x81, 0x80, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xc0, 0x0c, 0xc0, 0x0c,
        ]);
        packet
    })
    .await;
    let seen = observe(server.address(), HOST).await;
    assert!(
        matches!(seen.answer, DnsAnswer::Refused | DnsAnswer::Timeout),
        "{seen:?}"
    );
}

#[tokio::test]
async fn two_resolvers_each_report_their_own_view() {
    let (fresh, stale) = (server_with_target().await, server_with_target().await);
    fresh.zone().set_cname(HOST, TARGET).unwrap();
    let (first, second) = tokio::join!(
        observe(fresh.address(), HOST),
        observe(stale.address(), HOST)
    );
    assert_eq!(
        (first.resolver, first.chain),
        (fresh.address(), vec![TARGET.to_owned()])
    );
    assert_eq!(
        (second.resolver, second.answer),
        (stale.address(), DnsAnswer::NxDomain)
    );
}

#[tokio::test]
async fn many_observations_at_once_lose_none() {
    let server = server_with_target().await;
    server.zone().set_cname("*.many.example", TARGET).unwrap();
    // Shorter timeouts would make this a test of the machine's speed. A datagram that a full
    // socket buffer drops is sent again long before.
    let patient = DnsSettings {
        query_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(240),
        ..settings()
    };
    let resolver = HickoryResolver::new(server.address(), patient);
    let names: Vec<Hostname> = (0..300)
        .map(|n| host(&format!("n{n}.many.example")))
        .collect();
    let seen =
        futures_util::future::join_all(names.iter().map(|name| resolver.observe(name))).await;
    for one in seen {
        assert_eq!(one.answer, addresses(&["203.0.113.7", "2001:db8::7"]));
    }
}

async fn observe_caa(server: &DnsServer, name: &str) -> Vec<CaaLookup> {
    let resolver = HickoryResolver::new(server.address(), settings());
    resolver.observe_caa(&host(name)).await.lookups
}

#[tokio::test]
async fn caa_records_are_looked_up_for_every_name_up_to_the_top_and_through_aliases() {
    let server = server_with_target().await;
    let zone = server.zone();
    zone.set_cname(HOST, TARGET).unwrap();
    zone.set_caa(TARGET, &[(128, "ISSUE", "ca.example; accounturi=x")]);
    zone.set_caa(
        "example.com",
        &[(0, "issue", ";"), (0, "iodef", "mailto:a")],
    );
    zone.set_fault("com", Fault::ServFail);
    let [name, parent, top] = observe_caa(&server, HOST).await.try_into().unwrap();
    assert_eq!((name.name.as_str(), name.owner()), (HOST, TARGET));
    let record = CaaRecord::new(128, "issue", b"ca.example; accounturi=x");
    assert_eq!(name.answer, CaaAnswer::Records(vec![record]));
    assert_eq!(
        (parent.name.as_str(), parent.chain.len()),
        ("example.com", 0)
    );
    assert!(matches!(parent.answer, CaaAnswer::Records(records) if records.len() == 2));
    assert_eq!(top.name, "com");
    assert_eq!(top.answer, CaaAnswer::Failed(DnsAnswer::ServFail));
}

#[tokio::test]
async fn names_without_caa_records_and_faults_are_told_apart() {
    let server = server_with_target().await;
    let zone = server.zone();
    zone.set_a(HOST, &["203.0.113.7".parse().unwrap()]);
    zone.set_fault("silent.example", Fault::Unanswered);
    zone.set_fault("refused.example", Fault::Refused);
    zone.set_cname("loop.example", "round.example").unwrap();
    zone.set_cname("round.example", "loop.example").unwrap();
    let many: Vec<(u8, &str, &str)> = vec![(0, "issue", "ca.example"); 300];
    zone.set_caa("many.example", &many);
    for (name, answer) in [
        (HOST, CaaAnswer::None),
        ("nowhere.example", CaaAnswer::None),
        ("silent.example", CaaAnswer::Failed(DnsAnswer::Timeout)),
        ("refused.example", CaaAnswer::Failed(DnsAnswer::Refused)),
        ("loop.example", CaaAnswer::Failed(DnsAnswer::Loop)),
    ] {
        assert_eq!(observe_caa(&server, name).await[0].answer, answer, "{name}");
    }
    let found = observe_caa(&server, "many.example").await;
    assert!(matches!(&found[0].answer, CaaAnswer::Records(records) if records.len() == 300));
}
