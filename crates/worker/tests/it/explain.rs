//! Where a domain stands, by the command line and by the admin API: one document and one sentence.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::admin;
use crate::world::{Options, STRANGER, World, dps};

const HOST: &str = "shop.bakery.test";

/// The document, which differs between command line and API in its time alone.
async fn explained(world: &World, api: &admin::Api, host: &str) -> Value {
    let output = dps(world.home(), &["explain", host, "--json"]);
    assert!(output.status.success(), "{output:?}");
    let mut printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = format!("/admin/v1/domains/{host}/explain");
    let (status, mut served) = api.get(&path, admin::VIEWER).await;
    assert_eq!(status, StatusCode::OK, "{served}");
    let explained_at = served["explainedAt"].take();
    assert!(explained_at.is_string(), "{served}");
    printed["explainedAt"] = Value::Null;
    // A step may have run in between.
    for field in ["next", "lease", "evidence"] {
        printed[field] = served[field].clone();
    }
    assert_eq!(printed, served);
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_says_who_must_act_and_has_the_sentence_that_the_customer_reads() {
    let (world, api) = admin::world(Options::quick()).await;
    world.zone.set_cname(HOST, "shops.elsewhere.test").unwrap();
    world
        .zone
        .set_a("shops.elsewhere.test", &[[192, 0, 2, 7].into()]);
    let id = world.customer.add(HOST).await;
    let reported = world.wait_for_code(&id, "DNS_WRONG_TARGET").await;
    let found = explained(&world, &api, HOST).await;
    assert_eq!(found["message"], reported["lastErrorMessage"], "{found:#}");
    assert_eq!(found["code"], "DNS_WRONG_TARGET");
    assert_eq!(found["responsible"], "customer");
    assert_eq!(found["next"]["action"], "check_dns");
    assert_eq!(found["evidence"]["dns"][0]["kind"], "resolver");
    assert_eq!(
        found["evidence"]["dns"][0]["chain"],
        json!(["shops.elsewhere.test"])
    );
    assert_eq!(found["evidence"]["dns"][0]["answer"], "192.0.2.7");
    assert_eq!(found["orders"], json!([]));
    assert_eq!(found["certificate"], Value::Null);
    assert_eq!(found["edges"][0]["isWanted"], true, "none is wanted");
    let text = dps(world.home(), &["explain", HOST]);
    let text = String::from_utf8(text.stdout).unwrap();
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    for part in [sentence, "Who must act\n  customer", "192.0.2.7"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }

    world.zone.clear(HOST);
    world.zone.set_a(HOST, &[STRANGER]);
    world.wait_for_code(&id, "HTTP_WRONG_RESPONDER").await;
    let found = explained(&world, &api, HOST).await;
    let probe = &found["evidence"]["probes"][0];
    assert_eq!(probe["address"], STRANGER.to_string(), "{found:#}");

    world.point_at_us(HOST);
    world.wait_for_status(&id, "Active").await;
    let served = world.visit(HOST).await;
    let found = explained(&world, &api, HOST).await;
    assert_eq!(found["responsible"], "nobody", "{found:#}");
    assert_eq!(found["message"], Value::Null);
    assert_eq!(found["certificate"]["fingerprint"], served.as_str());
    assert_eq!(found["edges"][0]["presented"], served.as_str());
    assert_eq!(found["edges"][0]["isWanted"], true);
    assert_eq!(found["orders"][0]["isOpen"], false);
    assert_eq!(found["next"]["action"], "recheck");
    let text = dps(world.home(), &["explain", HOST]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("presents this certificate since"), "{text}");

    let unknown = dps(world.home(), &["explain", "www.nowhere.test"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let path = "/admin/v1/domains/www.nowhere.test/explain";
    let (status, _) = api.get(path, admin::VIEWER).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
