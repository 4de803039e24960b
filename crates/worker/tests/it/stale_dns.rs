//! Recursive resolvers that keep an old answer, while the authoritative servers have the new one.

use std::time::Duration;

use dps_lab::dns::Fault;
use serde_json::{Value, json};

use crate::world::{CaResolver, EDGE, NAME_SERVER, Options, STRANGER, TARGET, World, dps, on_both};

const HOST: &str = "shop.bakery.test";
const ZONE: &str = "bakery.test";

/// Resolvers have the zone's servers, and keep every answer for an hour.
async fn world(options: Options) -> World {
    let world = World::start(Options {
        ca_resolver: CaResolver::Source,
        ..options
    })
    .await;
    for zone in [&world.zone, &world.second_zone, &world.source] {
        zone.set_ns(ZONE, &[NAME_SERVER]).unwrap();
        zone.set_ttl(Duration::from_secs(3600));
    }
    world
}

/// The newest line of this kind in the domain's history.
fn newest(world: &World, kind: &str) -> Value {
    let output = dps(world.home(), &["domains", "show", HOST, "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let events = shown["events"].as_array().unwrap();
    let of_kind = events.iter().rev().find(|event| event["kind"] == kind);
    of_kind
        .unwrap_or_else(|| panic!("no {kind} in {shown:#}"))
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repaired_name_is_active_within_seconds_while_resolvers_still_deny_it_for_an_hour() {
    on_both(async |database| {
        let world = world(Options {
            database,
            ..Options::quick()
        })
        .await;
        let id = world.customer.add(HOST).await;
        world.wait_for_code(&id, "DNS_NXDOMAIN").await;
        world.source.set_cname(HOST, TARGET).unwrap();
        let bound = Duration::from_secs(10);
        let active = |domain: &Value| domain["status"] == "Active";
        world.wait_longer_for(&id, bound, "Active", active).await;
        world.visit(HOST).await;
        let ready = newest(&world, "dns.ready");
        let detail = &ready["detail"];
        assert_eq!(detail["question"], format!("{HOST} A, AAAA"));
        assert_eq!(detail["answers"][0]["answer"], "does not exist");
        assert_eq!(detail["answers"][0]["ttl"], 3600);
        assert_eq!(detail["zone"], ZONE);
        assert_eq!(detail["nameServers"][0], NAME_SERVER);
        assert_eq!(detail["authoritative"][0]["chain"][0], TARGET);
        assert!(detail["dnsTime"]["budgetMs"].is_u64(), "{ready:#}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_only_some_resolvers_see_has_an_end_unless_the_source_confirms_it() {
    let world = world(Options {
        split_dns: true,
        ..Options::quick()
    })
    .await;
    // The zone's servers do not answer, so that only the resolvers are heard.
    world.source.set_fault(HOST, Fault::Unanswered);
    world.zone.set_cname(HOST, TARGET).unwrap();
    let id = world.customer.add(HOST).await;
    let reported = world.wait_for_code(&id, "DNS_PROPAGATING").await;
    assert!(reported["errorDetails"]["until"].is_string(), "{reported}");
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("at the latest"), "{sentence}");
    world.source.clear_fault(HOST);
    world.source.set_cname(HOST, TARGET).unwrap();
    world.wait_for_status(&id, "Active").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_source_says_is_reported_in_place_of_what_resolvers_remember() {
    let world = world(Options::quick()).await;
    let elsewhere = "shops.elsewhere.test";
    world.source.set_cname(HOST, elsewhere).unwrap();
    let id = world.customer.add(HOST).await;
    let reported = world.wait_for_code(&id, "DNS_WRONG_TARGET").await;
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains(elsewhere), "{sentence}");
    world.source.clear(HOST);
    world.source.set_a(HOST, &[STRANGER]);
    world.wait_for_code(&id, "HTTP_WRONG_RESPONDER").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dns_provider_is_recognised_and_its_instructions_are_named() {
    let world = world(Options::quick()).await;
    let name_server = "lily.ns.cloudflare.com";
    for zone in [&world.zone, &world.second_zone] {
        zone.set_ns(ZONE, &[name_server]).unwrap();
        zone.set_a(name_server, &[EDGE]);
    }
    let id = world.customer.add(HOST).await;
    let reported = world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    let hint = "How to do this at Cloudflare: https://developers.cloudflare.com/dns/";
    assert!(sentence.contains(hint), "{sentence}");
    let failed = newest(&world, "dns_nxdomain");
    assert_eq!(failed["detail"]["dnsProvider"], "Cloudflare");
    let shown = dps(world.home(), &["domains", "show", HOST]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(hint), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_seen_within_seconds_while_resolvers_still_deny_it_for_an_hour() {
    on_both(async |database| {
        let settings = json!({ "Workers": { "DomainVerification": { "RequireProof": "Always" } } });
        let options = Options {
            database,
            ..Options::quick()
        };
        let world = world(options.with(&settings)).await;
        for zone in [&world.zone, &world.second_zone, &world.source] {
            zone.set_cname(HOST, TARGET).unwrap();
        }
        let id = world.customer.add(HOST).await;
        let asked = world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
        let field = |name: &str| asked["ownershipVerification"][name].as_str().unwrap();
        world.source.set_txt(field("name"), &[field("value")]);
        world.wait_for_status(&id, "Active").await;
        world.visit(HOST).await;
        let ready = newest(&world, "dns.ready");
        let detail = &ready["detail"];
        assert_eq!(detail["question"], format!("{HOST} A, AAAA"));
        let name = format!("_dps-challenge.{HOST}");
        assert_eq!(detail["proofQuestion"], format!("{name} TXT"));
        // The resolvers' two, and that of the zone's server.
        let records = detail["proofRecords"].as_array().unwrap();
        let values: Vec<&Value> = records.iter().map(|record| &record["values"]).collect();
        assert_eq!(values, [0, 0, 1], "{ready:#}");
        assert!(
            records.iter().all(|record| record["ttl"] == 3600),
            "{ready:#}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repaired_caa_record_is_believed_within_seconds_while_resolvers_remember_the_old_one() {
    on_both(async |database| {
        let settings = json!({ "LetsEncrypt": { "CaaIdentities": ["ca.test"] } });
        let options = Options {
            database,
            ..Options::quick()
        };
        let world = world(options.with(&settings)).await;
        for zone in [&world.zone, &world.second_zone, &world.source] {
            zone.set_cname(HOST, TARGET).unwrap();
            zone.set_caa(ZONE, &[(0, "issue", "other.test")]);
        }
        let id = world.customer.add(HOST).await;
        world.wait_for_code(&id, "CAA_FORBIDS").await;
        assert_eq!(world.pebble.orders_for(HOST), 0);
        let held_back = newest(&world, "caa_forbids");
        let at_source = &held_back["detail"]["caaAuthoritative"];
        assert!(
            at_source.to_string().contains("other.test"),
            "{held_back:#}"
        );
        let remembered = &held_back["detail"]["caa"][0];
        assert_eq!(remembered["ttl"], 3600, "{held_back:#}");
        assert_eq!(held_back["detail"]["caaQuestion"], format!("{HOST} CAA"));
        world.source.set_caa(ZONE, &[(0, "issue", "ca.test")]);
        let bound = Duration::from_secs(10);
        let active = |domain: &Value| domain["status"] == "Active";
        world.wait_longer_for(&id, bound, "Active", active).await;
        assert_eq!(world.pebble.orders_for(HOST), 1);
        world.visit(HOST).await;
    })
    .await;
}
