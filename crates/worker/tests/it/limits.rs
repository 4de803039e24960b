//! A CA that limits us, end to end: the customer reads until when, and the CA is left alone.

use std::time::Duration;

use dps_domain::Timestamp;
use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply};
use dps_lab::wait;
use serde_json::{Value, json};

use crate::world::{Options, TIMEOUT, World, dps};

/// A world whose CA is the double.
async fn world_of(double: &AcmeDouble) -> World {
    let settings = json!({ "LetsEncrypt": { "DirectoryUrl": double.directory_url(), "CaCertificateFile": null } });
    World::start(Options::quick().with(&settings)).await
}

fn answer_orders(double: &AcmeDouble, reply: Reply) {
    double.inject(Endpoint::NewOrder, 1, &Fault::Reply(reply));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_ca_is_left_alone_until_it_says_by_the_domain_it_refused_and_by_the_next_one()
{
    let double = AcmeDouble::start().await.unwrap();
    let detail = "too many new orders (300) from this account in the last 3h0m0s";
    answer_orders(&double, Reply::rate_limited(detail, 15));
    let world = world_of(&double).await;
    let refused = world.add("shop.bakery.test").await;
    let domain = world.wait_for_code(&refused, "ACME_RATE_LIMITED").await;
    assert!(domain["nextAttemptAt"].is_string(), "{domain}");
    assert_eq!(domain["status"], "Issuing", "{domain}");
    let next = world.add("www.bakery.test").await;
    let waits = world.wait_for_code(&next, "ACME_RATE_LIMITED").await;
    assert!(waits["nextAttemptAt"].is_string(), "{waits}");
    assert_eq!(
        double.requests(Endpoint::NewOrder),
        1,
        "nothing is sent before"
    );
    wait::until("both orders", TIMEOUT, async || {
        (double.requests(Endpoint::NewOrder) == 3).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_the_ca_named_by_mistake_is_shown_and_lifted_while_the_service_runs() {
    let double = AcmeDouble::start().await.unwrap();
    let detail = "too many new orders (300) from this account in the last 3h0m0s";
    answer_orders(&double, Reply::rate_limited(detail, 864_000));
    let world = world_of(&double).await;
    let id = world.add("shop.bakery.test").await;
    let domain = world.wait_for_code(&id, "ACME_RATE_LIMITED").await;
    assert!(domain["nextAttemptAt"].is_string(), "{domain}");
    let said = |arguments: &[&str]| {
        let output = dps(world.home(), arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: Value = serde_json::from_str(said(&["limits", "show", "--json"]).trim()).unwrap();
    assert_eq!(shown["limit"], "NewOrders", "{shown}");
    assert!(shown["blockedUntil"].is_string(), "{shown}");
    let table = said(&["limits", "show"]);
    assert!(
        table.contains("NewOrders") && table.contains("the account"),
        "{table}"
    );
    let unknown = dps(world.home(), &["limits", "lift", "Orders"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("the limits are NewOrders, "),
        "{unknown:?}"
    );
    let lifted = said(&["limits", "lift", "NewOrders"]);
    assert!(
        lifted.contains("1 lifted; 1 waiting domains are due now"),
        "{lifted}"
    );
    wait::until("the order", TIMEOUT, async || {
        (double.requests(Endpoint::NewOrder) == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    assert!(said(&["limits", "show"]).contains("is used or waited for"));
}

/// Ten days in the `Retry-After` of a maintenance page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_maintenance_page_is_an_outage_of_an_hour_at_most_and_no_limit() {
    let double = AcmeDouble::start().await.unwrap();
    answer_orders(&double, Reply::html(503).header("Retry-After", "864000"));
    let world = world_of(&double).await;
    let id = world.add("shop.bakery.test").await;
    let domain = world.wait_for_code(&id, "ACME_CA_UNAVAILABLE").await;
    let next: Timestamp = domain["nextAttemptAt"].as_str().unwrap().parse().unwrap();
    let updated: Timestamp = domain["updatedAt"].as_str().unwrap().parse().unwrap();
    assert!(
        next.since(updated) <= Duration::from_secs(3_700),
        "{domain}"
    );
    let shown = dps(world.home(), &["limits", "show", "--json"]);
    assert!(
        shown.status.success() && shown.stdout.is_empty(),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_name_is_reported_with_its_link_and_gets_no_more_orders() {
    let double = AcmeDouble::start().await.unwrap();
    let link = "https://ca.example/sfe/v1/unpause?jwt=abc.def";
    answer_orders(&double, Reply::paused("shop.bakery.test", link));
    let world = world_of(&double).await;
    let id = world.add("shop.bakery.test").await;
    let domain = world.wait_for_code(&id, "ACME_PAUSED").await;
    assert_eq!(domain["status"], "Failed", "{domain}");
    assert!(
        domain["lastErrorMessage"].as_str().unwrap().contains(link),
        "{domain}"
    );
    // Another domain goes its way meanwhile, which takes longer than a retry of the first would.
    let other = world.add("www.bakery.test").await;
    wait::until("the other order", TIMEOUT, async || {
        (double.requests(Endpoint::NewOrder) == 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(world.log().count("shop.bakery.test", "order.placed"), 0);
    let record = world
        .wait_until(&other, "to be ordered", |domain| {
            domain["status"] == "Issuing"
        })
        .await;
    assert_eq!(record["status"], "Issuing");
    assert_eq!(double.requests(Endpoint::NewOrder), 2);
}
