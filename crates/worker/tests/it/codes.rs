//! Codes of the failure catalogue that no other test sees end to end.

use std::net::Ipv4Addr;

use dps_lab::dns::Fault;
use dps_lab::tls::{LocalAuthority, TlsServer};
use dps_lab::web::{Answer, WebServer};
use serde_json::json;

use crate::world::{CaResolver, Options, STRANGER, World};

/// Servers of others, to which names may lead by the settings.
const REFUSING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
const REDIRECTING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_of_another_server_has_its_code_and_a_sentence_that_names_it() {
    let settings = json!({
        "Dns": { "Timeout": "1s" },
        "Workers": { "DomainVerification": { "RequireProof": "Never" }, "HttpProbe": {
            "AcceptProxied": true,
            "ProxyNetworks": [REFUSING, REDIRECTING, FORBIDDEN],
            "ForbiddenNetworks": [FORBIDDEN],
        } },
    });
    let world = World::start(Options::quick().with(&settings)).await;
    let port = world.http().port();
    let denied = Answer::Content {
        status: 403,
        body: "Forbidden.\n".to_owned(),
    };
    let moved = Answer::Redirect {
        status: 301,
        location: "https://elsewhere.test/".to_owned(),
    };
    let _servers = [
        WebServer::start((REFUSING, port).into(), denied)
            .await
            .unwrap(),
        WebServer::start((REDIRECTING, port).into(), moved)
            .await
            .unwrap(),
    ];
    world.zone.set_a("denied.test", &[REFUSING]);
    world.zone.set_a("redirected.test", &[REDIRECTING]);
    world.zone.set_a("inside.test", &[FORBIDDEN]);
    world.zone.set_fault("unanswered.test", Fault::Unanswered);
    let expected = [
        ("denied.test", "HTTP_STATUS", "status 403"),
        (
            "redirected.test",
            "HTTP_REDIRECT",
            "https://elsewhere.test/",
        ),
        ("inside.test", "HTTP_ADDRESS_FORBIDDEN", "127.0.0.9"),
        ("unanswered.test", "DNS_TIMEOUT", "do not answer in time"),
    ];
    for (host, code, part) in expected {
        let id = world.customer.add(host).await;
        let reported = world.wait_for_code(&id, code).await;
        let sentence = reported["lastErrorMessage"].as_str().unwrap();
        assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
        assert_eq!(world.pebble.orders_for(host), 0, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_that_fails_at_the_ca_alone_is_reported_with_its_cause() {
    let world = World::start(Options {
        ca_resolver: CaResolver::Source,
        ..Options::quick()
    })
    .await;
    let host = "shop.bakery.test";
    world.source.set_a(host, &[STRANGER]);
    let id = world.add(host).await;
    let reported = world.wait_for_code(&id, "ACME_VALIDATION_FAILED").await;
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("repeatedly does not"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_cannot_be_taken_is_refused_with_its_code() {
    let settings = json!({ "Workers": { "DomainVerification": {
        "BlockedNames": ["blocked.test"],
    } } });
    let world = World::start(Options::quick().with(&settings)).await;
    // This Cabinet does not know the service's rules.
    let id = world.customer.add("www.blocked.test").await;
    let refused = world.wait_for_code(&id, "NAME_BLOCKED").await;
    assert_eq!(refused["status"], "Failed", "{refused}");
    let problem = world.customer.refused("no_name.test").await;
    assert_eq!(problem["code"], "NAME_INVALID", "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_of_another_platform_is_refused_with_its_code() {
    let settings = json!({ "Workers": { "DomainVerification": {
        "AllowedTargets": ["other-platform.test"],
    } } });
    let world = World::start(Options::quick().with(&settings)).await;
    let id = world.customer.add("shop.bakery.test").await;
    let refused = world.wait_for_code(&id, "TARGET_NOT_ALLOWED").await;
    assert_eq!(refused["status"], "Failed", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_refuses_our_account_is_reported_as_the_operators_to_mend() {
    let world = World::start(Options {
        pebble: |pebble| pebble.external_account_required = true,
        ..Options::quick()
    })
    .await;
    let host = "shop.bakery.test";
    let id = world.add(host).await;
    let reported = world.wait_for_code(&id, "ACME_ACCOUNT").await;
    assert_eq!(reported["status"], "Issuing", "{reported}");
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("on our side"), "{sentence}");
    assert_eq!(world.pebble.orders_for(host), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_fit_into_haproxy_is_reported_as_refused_by_the_edge() {
    let settings = json!({ "Agent": { "MaxRuntimeRequestBytes": 4096 } });
    let options = Options {
        pebble: |pebble| pebble.chain_length = Some(4),
        ..Options::quick()
    };
    let world = World::start(options.with(&settings)).await;
    let id = world.add("shop.bakery.test").await;
    let reported = world.wait_for_code(&id, "EDGE_REJECTED").await;
    assert_eq!(reported["status"], "Issuing", "{reported}");
    let reason = reported["errorDetails"].to_string();
    assert!(reason.contains("PAYLOAD_TOO_LARGE"), "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_presents_another_certificate_serves_nobody() {
    let another = LocalAuthority::new().unwrap();
    let another = another.certify(&["shop.bakery.test"]).unwrap();
    let server = TlsServer::start((Ipv4Addr::LOCALHOST, 0).into(), &another)
        .await
        .unwrap();
    // In place of HAProxy, where the agent proves what is served.
    let settings = json!({ "Agent": { "TlsAddress": server.address() } });
    let world = World::start(Options::quick().with(&settings)).await;
    let id = world.add("shop.bakery.test").await;
    let reported = world.wait_for_code(&id, "EDGE_MISMATCH").await;
    assert_eq!(reported["status"], "Issuing", "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_cannot_be_looked_up_decides_nothing() {
    let settings = json!({ "Dns": { "Timeout": "1s" } });
    let world = World::start(Options::quick().with(&settings)).await;
    let host = "shop.bakery.test";
    let proof = format!("_dps-challenge.{host}");
    world.zone.set_fault(&proof, Fault::Unanswered);
    let id = world.add(host).await;
    let reported = world.wait_for_code(&id, "DNS_TIMEOUT").await;
    assert_eq!(reported["status"], "PendingDns", "{reported}");
    assert_eq!(world.pebble.orders_for(host), 0);
    // The value of a claim that nobody knows any more, and then none.
    world.zone.clear(&proof);
    world
        .zone
        .set_txt(&proof, &["dps-verify=00000000000000000000000000000007"]);
    world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
}
