//! Service and agent are upgraded one after the other: either may be one version ahead.

use dps_agent_api::{Applied, Health, HealthStatus, InventoryPage, Problem, ProblemCode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{TOKEN, World};

async fn call(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = http
        .request(method, format!("{}{path}", world.agent_url()))
        .bearer_auth(TOKEN);
    let answer = call.body(body.to_string()).send().await.unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
    )
}

#[tokio::test]
async fn a_newer_service_that_says_more_is_understood_and_what_an_older_agent_lacks_is_a_404_with_a_code() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    let mut request = serde_json::to_value(issued.request(1)).unwrap();
    request["profile"] = json!("shortlived");
    request["options"] = json!({ "nested": [1, 2, 3] });
    let (status, applied) = call(&world, Method::POST, "/internal/v1/certificates/apply", request).await;
    assert_eq!(status, 200, "{applied}");
    world.assert_serves(&issued).await;
    let publication = json!({ "keyAuthorization": "abc.thumbprint", "validFor": "1h" });
    assert_eq!(
        call(&world, Method::PUT, "/internal/v1/challenges/abc", publication)
            .await
            .0,
        204
    );

    // A call of a version to come: the service sees by the code that it must do without.
    let (status, problem) = call(&world, Method::POST, "/internal/v2/certificates/apply", json!({})).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (404, Some("NOT_FOUND")),
        "{problem}"
    );
}

#[tokio::test]
async fn a_newer_agent_that_says_more_and_an_older_one_that_says_less_are_understood() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    let request = serde_json::to_value(issued.request(1)).unwrap();
    let (_, applied) = call(&world, Method::POST, "/internal/v1/certificates/apply", request).await;
    let (_, page) = call(&world, Method::GET, "/internal/v1/certificates", Value::Null).await;
    let (_, health) = call(&world, Method::GET, "/health", Value::Null).await;
    let more = |mut answer: Value| {
        answer["brandNew"] = json!({ "some": ["thing"] });
        answer
    };
    serde_json::from_value::<Applied>(more(applied)).unwrap();
    serde_json::from_value::<InventoryPage>(more(page)).unwrap();
    serde_json::from_value::<Health>(more(health)).unwrap();
    let problem =
        json!({ "type": "x", "title": "t", "status": 422, "detail": "d", "code": "BRAND_NEW", "more": 1 });
    assert_eq!(
        serde_json::from_value::<Problem>(problem).unwrap().code,
        ProblemCode::Unknown
    );

    // What the first version said.
    let first = json!({ "status": "ok", "haproxy": { "reachable": true }, "certificates": 1, "challenges": 0, "quarantined": 0 });
    let first = serde_json::from_value::<Health>(first).unwrap();
    assert_eq!((first.status, first.started_at), (HealthStatus::Ok, None));
}
