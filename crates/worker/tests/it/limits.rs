//! A CA that limits us, end to end: the customer reads until when, and the CA is left alone.

use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply};
use dps_lab::wait;
use serde_json::json;

use crate::world::{Options, PATIENCE, World};

/// A world whose CA is the double.
async fn world_of(double: &AcmeDouble) -> World {
    let settings =
        json!({ "LetsEncrypt": { "DirectoryUrl": double.directory_url(), "CaCertificateFile": null } });
    World::start(Options::quick().with(&settings)).await
}

fn answer_orders(double: &AcmeDouble, reply: Reply) {
    double.inject(Endpoint::NewOrder, 1, &Fault::Reply(reply));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_ca_is_left_alone_until_it_says_by_the_domain_it_refused_and_by_the_next_one() {
    let double = AcmeDouble::start().await.unwrap();
    let detail = "too many new orders (300) from this account in the last 3h0m0s";
    answer_orders(&double, Reply::rate_limited(detail, 15));
    let world = world_of(&double).await;
    let refused = world.add("shop.bakery.test").await;
    let told = world.wait_for_code(&refused, "ACME_RATE_LIMITED").await;
    assert!(told["nextAttemptAt"].is_string(), "{told}");
    assert_eq!(told["status"], "Issuing", "{told}");
    let next = world.add("www.bakery.test").await;
    let waits = world.wait_for_code(&next, "ACME_RATE_LIMITED").await;
    assert!(waits["nextAttemptAt"].is_string(), "{waits}");
    assert_eq!(double.requests(Endpoint::NewOrder), 1, "nothing is sent before");
    wait::until("both orders", PATIENCE, async || {
        (double.requests(Endpoint::NewOrder) == 3).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_name_is_told_with_its_link_and_the_ca_is_asked_no_more() {
    let double = AcmeDouble::start().await.unwrap();
    let link = "https://ca.example/sfe/v1/unpause?jwt=abc.def";
    answer_orders(&double, Reply::paused("shop.bakery.test", link));
    let world = world_of(&double).await;
    let id = world.add("shop.bakery.test").await;
    let told = world.wait_for_code(&id, "ACME_PAUSED").await;
    assert_eq!(told["status"], "Failed", "{told}");
    assert!(
        told["lastErrorMessage"].as_str().unwrap().contains(link),
        "{told}"
    );
    // Another domain goes its way meanwhile, which takes longer than a retry of the first would.
    let other = world.add("www.bakery.test").await;
    wait::until("the other order", PATIENCE, async || {
        (double.requests(Endpoint::NewOrder) == 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(world.log().count("shop.bakery.test", "order.placed"), 0);
    let look = world
        .wait_until(&other, "to be ordered", |domain| domain["status"] == "Issuing")
        .await;
    assert_eq!(look["status"], "Issuing");
    assert_eq!(double.requests(Endpoint::NewOrder), 2);
}
