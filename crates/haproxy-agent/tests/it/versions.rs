//! Service and agent are upgraded one after the other: either may be one version ahead.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dps_agent_api::{
    AgentClient, Applied, ApplyOutcome, CertificateState, ClientOptions, Health, HealthStatus,
    InventoryPage, Problem, ProblemCode,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::batches::{issue_many, requests};
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
async fn a_newer_service_that_says_more_is_understood_and_what_an_older_agent_lacks_is_a_404_with_a_code()
 {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    let mut request = serde_json::to_value(issued.request(1)).unwrap();
    request["profile"] = json!("shortlived");
    request["options"] = json!({ "nested": [1, 2, 3] });
    let (status, applied) = call(
        &world,
        Method::POST,
        "/internal/v1/certificates/apply",
        request,
    )
    .await;
    assert_eq!(status, 200, "{applied}");
    world.assert_serves(&issued).await;
    let publication = json!({ "keyAuthorization": "abc.thumbprint", "validFor": "1h" });
    assert_eq!(
        call(
            &world,
            Method::PUT,
            "/internal/v1/challenges/abc",
            publication
        )
        .await
        .0,
        204
    );

    // A call of a version to come: the service sees by the code that it must do without.
    let (status, problem) = call(
        &world,
        Method::POST,
        "/internal/v2/certificates/apply",
        json!({}),
    )
    .await;
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
    let (_, applied) = call(
        &world,
        Method::POST,
        "/internal/v1/certificates/apply",
        request,
    )
    .await;
    let (_, page) = call(
        &world,
        Method::GET,
        "/internal/v1/certificates",
        Value::Null,
    )
    .await;
    let (_, health) = call(&world, Method::GET, "/health", Value::Null).await;
    let more = |mut answer: Value| {
        answer["brandNew"] = json!({ "some": ["thing"] });
        answer
    };
    serde_json::from_value::<Applied>(more(applied)).unwrap();
    serde_json::from_value::<InventoryPage>(more(page)).unwrap();
    serde_json::from_value::<Health>(more(health)).unwrap();
    let problem = json!({ "type": "x", "title": "t", "status": 422, "detail": "d", "code": "BRAND_NEW", "more": 1 });
    assert_eq!(
        serde_json::from_value::<Problem>(problem).unwrap().code,
        ProblemCode::Unknown
    );

    // The answer of the first version.
    let first = json!({ "status": "ok", "haproxy": { "reachable": true }, "certificates": 1, "challenges": 0, "quarantined": 0 });
    let first = serde_json::from_value::<Health>(first).unwrap();
    assert_eq!((first.status, first.started_at), (HealthStatus::Ok, None));
}

/// A proxy between service and agent that makes this agent report another version.
#[derive(Clone)]
struct Version {
    agent: String,
    http: reqwest::Client,
    /// Changes a path and its query.
    path: fn(&Method, &str) -> String,
    /// Changes an answer.
    answer: fn(Value) -> Value,
}

impl Version {
    /// A client of the service that talks to this version.
    async fn client(
        world: &World,
        path: fn(&Method, &str) -> String,
        answer: fn(Value) -> Value,
    ) -> AgentClient {
        let version = Self {
            agent: world.agent_url(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            path,
            answer,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::pass_on).with_state(version);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let token = SecretString::from(TOKEN);
        AgentClient::new(url.parse().unwrap(), token, ClientOptions::default()).unwrap()
    }

    async fn pass_on(State(version): State<Self>, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = (version.path)(&head.method, head.uri.path_and_query().unwrap().as_str());
        let mut call = version
            .http
            .request(head.method, format!("{}{path}", version.agent))
            .body(to_bytes(body, usize::MAX).await.unwrap());
        if let Some(token) = head.headers.get(header::AUTHORIZATION) {
            call = call.header(header::AUTHORIZATION, token);
        }
        let answer = call.send().await.unwrap();
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
        let bytes = answer.bytes().await.unwrap();
        match serde_json::from_slice(&bytes) {
            Ok(value) => (status, (version.answer)(value).to_string()).into_response(),
            Err(_) => (status, Body::from(bytes)).into_response(),
        }
    }
}

#[tokio::test]
async fn an_agent_of_the_version_before_is_given_what_it_understands() {
    let world = World::new().await;
    let path = |method: &Method, path: &str| match path {
        // It knew no batches: what comes closest is the path of one hostname, which takes no POST.
        "/internal/v1/certificates/apply-batch" => {
            "/internal/v1/certificates/apply-many".to_owned()
        }
        // And no generation of a removal.
        path if method == Method::DELETE => path.split('?').next().unwrap().to_owned(),
        path => path.to_owned(),
    };
    let answer = |mut answer: Value| {
        for field in ["startedAt", "tls", "lastRepairAt", "field"] {
            answer.as_object_mut().unwrap().remove(field);
        }
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            item.as_object_mut().unwrap().remove("state");
        }
        answer
    };
    let client = Version::client(&world, path, answer).await;
    let issued = issue_many(&world, 5);
    for verdict in client.apply_batch(&requests(&issued, 2)).await {
        assert_eq!(verdict.unwrap().outcome, ApplyOutcome::Created);
    }
    for one in &issued {
        world.assert_serves(one).await;
    }
    let page = client.inventory(None, 10).await.unwrap();
    assert_eq!(page.items.len(), 5);
    assert!(
        page.items
            .iter()
            .all(|item| item.state == CertificateState::Unknown)
    );
    assert_eq!(client.health().await.unwrap().started_at, None);
    client
        .remove_generation(&issued[0].hostname, 2)
        .await
        .unwrap();
    assert_eq!(world.visit(&issued[0].hostname).await, None);
}

#[tokio::test]
async fn an_agent_of_the_version_to_come_is_understood_as_far_as_it_matters() {
    let world = World::new().await;
    let answer = |mut answer: Value| {
        answer["brandNew"] = json!(["thing"]);
        for (field, new) in [("outcome", "reissued"), ("status", "splendid")] {
            if answer[field].is_string() {
                answer[field] = json!(new);
            }
        }
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            item["state"] = json!("warming");
        }
        answer
    };
    let client = Version::client(&world, |_, path| path.to_owned(), answer).await;
    let issued = issue_many(&world, 1);
    let applied = client.apply(&issued[0].request(1)).await.unwrap();
    assert_eq!(applied.outcome, ApplyOutcome::Unknown);
    let page = client.inventory(None, 10).await.unwrap();
    assert_eq!(page.items[0].state, CertificateState::Unknown);
    let health = client.health().await.unwrap();
    assert_eq!(
        (health.status, health.certificates),
        (HealthStatus::Degraded, 1)
    );
    world.assert_serves(&issued[0]).await;
}
