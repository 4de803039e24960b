//! Calls of the admin API that come twice, too late or too often, and the roles of all calls.

use dps_lab::wait;
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin::{ADMIN, Api, OPERATOR, VIEWER, world};
use crate::world::{Database, Options, TIMEOUT, World, npgsql_database};

const HOST: &str = "www.nowhere.test";
const RETRY: &str = "/admin/v1/domains/www.nowhere.test/retry";
/// An action that may be repeated at once.
const PAUSE: &str = "/admin/v1/domains/www.nowhere.test/pause";
const SHOW: &str = "/admin/v1/domains/www.nowhere.test";

/// An answer with its headers.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

async fn call(
    api: &Api,
    (method, path): (Method, &str),
    (name, value): (&str, &str),
    body: &Value,
) -> Answer {
    let mut request = api
        .client
        .request(method.clone(), format!("http://{}{path}", api.at))
        .bearer_auth(ADMIN)
        .header(name, value);
    if method == Method::POST {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.text().await.unwrap(),
    }
}

async fn keyed(api: &Api, path: &str, key: &str, body: Value) -> Answer {
    call(api, (Method::POST, path), ("Idempotency-Key", key), &body).await
}

/// The number of recorded actions.
async fn actions(api: &Api) -> usize {
    let (_, page) = api.get("/admin/v1/activity", VIEWER).await;
    page["items"].as_array().unwrap().len()
}

async fn waiting(options: Options) -> (World, Api) {
    let (world, api) = world(options).await;
    let id = world.customer.add(HOST).await;
    world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    (world, api)
}

async fn a_key_is_carried_out_once(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (mut world, api) = waiting(options).await;
    let reason = json!({ "reason": "first" });
    let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    let first = keyed(&api, PAUSE, key, reason.clone()).await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(actions(&api).await, 1);
    let quoted = format!("\"{key}\"");
    let again = keyed(&api, PAUSE, &quoted, reason.clone()).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(actions(&api).await, 1);

    // Another body, path or caller makes another call.
    let other = json!({ "reason": "second" });
    for (path, body) in [
        (PAUSE, other),
        ("/admin/v1/domains/www.nowhere.test/renew", reason.clone()),
    ] {
        let refused = keyed(&api, path, key, body).await;
        let problem = refused.json();
        assert_eq!(
            (refused.status, &problem["code"], &problem["field"]),
            (422, &json!("KEY_REUSED"), &json!("Idempotency-Key"))
        );
    }
    let of_another = api
        .client
        .post(format!("http://{}{PAUSE}", api.at))
        .bearer_auth(OPERATOR)
        .header("Idempotency-Key", key);
    let of_another = of_another.body(reason.to_string()).send().await.unwrap();
    assert_eq!(of_another.status(), StatusCode::OK);
    assert_eq!(actions(&api).await, 2);

    // A refusal is an answer as well, and the same one after a restart.
    let renew = "/admin/v1/domains/www.nowhere.test/renew";
    let refused = keyed(&api, renew, "refused", json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    world.restart_service().await;
    for (path, key, body, first) in [
        (renew, "refused", json!({}), &refused),
        (PAUSE, key, reason, &first),
    ] {
        let again = keyed(&api, path, key, body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    }
    assert_eq!(actions(&api).await, 2);

    // Of many at once, one is carried out, and the others wait or get its answer.
    let at_once = (0..5).map(|_| keyed(&api, PAUSE, "at once", json!({})));
    for answer in futures_util::future::join_all(at_once).await {
        assert!(matches!(answer.status, 400), "{}", answer.body);
    }
    let at_once = (0..5).map(|_| keyed(&api, PAUSE, "at-once", json!({})));
    let answers = futures_util::future::join_all(at_once).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    for answer in &answers {
        if answer.status == 409 {
            answer.header(RETRY_AFTER);
        } else {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    assert_eq!(actions(&api).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_a_key_is_carried_out_once_on_sqlite() {
    a_key_is_carried_out_once(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_a_key_is_carried_out_once_on_postgresql() {
    a_key_is_carried_out_once(Database::Postgres(npgsql_database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_sent_once_and_an_action_is_refused_after_another() {
    let (_world, api) = waiting(Options::quick()).await;
    let none = ("If-None-Match", "\"none\"");
    let shown = call(&api, (Method::GET, SHOW), none, &Value::Null).await;
    let tag = shown.header(ETAG).to_owned();
    assert_eq!(shown.status, 200, "{}", shown.body);
    // A step may write the record meanwhile; then the document and its tag are new.
    let unchanged = wait::until("an unchanged document", TIMEOUT, || async {
        let shown = call(&api, (Method::GET, SHOW), none, &Value::Null).await;
        let tag = format!("\"other\", W/{}", shown.header(ETAG));
        let known = (IF_NONE_MATCH.as_str(), tag.as_str());
        let again = call(&api, (Method::GET, SHOW), known, &Value::Null).await;
        (again.status == 304).then_some((shown, again))
    });
    let (shown, again) = unchanged.await.unwrap();
    assert_eq!(again.body, "");
    assert_eq!(again.header(ETAG), shown.header(ETAG));
    for path in ["/admin/v1/issuance", "/admin/v1/edges"] {
        let shown = call(&api, (Method::GET, path), none, &Value::Null).await;
        assert!(shown.headers.contains_key(ETAG), "{path}");
    }

    // Two people read the same document and act. The second one hears of the first.
    let acted = wait::until("an action on what was read", TIMEOUT, || async {
        let shown = call(&api, (Method::GET, SHOW), none, &Value::Null).await;
        let tag = shown.header(ETAG).to_owned();
        let condition = (IF_MATCH.as_str(), tag.as_str());
        let acted = call(&api, (Method::POST, RETRY), condition, &json!({})).await;
        (acted.status == 200).then_some(tag)
    });
    let stale = acted.await.unwrap();
    for tag in [
        stale.as_str(),
        tag.as_str(),
        "\"unknown\"",
        &format!("W/{stale}"),
    ] {
        for action in ["retry", "renew", "recheck", "pause", "resume"] {
            let path = format!("/admin/v1/domains/{HOST}/{action}");
            let condition = (IF_MATCH.as_str(), tag);
            let refused = call(&api, (Method::POST, &path), condition, &json!({})).await;
            let problem = refused.json();
            assert_eq!(
                (refused.status, &problem["code"]),
                (412, &json!("RECORD_CHANGED")),
                "{path} {tag}"
            );
        }
    }
    let any = call(&api, (Method::POST, PAUSE), ("If-Match", "*"), &json!({})).await;
    assert_eq!(any.status, 200, "{}", any.body);
    let wrong = call(&api, (Method::POST, RETRY), ("If-Match", "1"), &json!({})).await;
    assert_eq!(
        (wrong.status, &wrong.json()["field"]),
        (400, &json!("If-Match"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_who_calls_too_often_hears_when_to_call_again() {
    let few = json!({ "Admin": { "RequestsPerMinute": 4, "ActionsPerMinute": 2 } });
    let (_world, api) = world(Options::quick().with(&few)).await;
    let path = "/admin/v1/domains/nobody.test/retry";
    for expected in [404, 404, 429] {
        let answer = call(&api, (Method::POST, path), ("x", "x"), &json!({})).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
        if expected == 429 {
            assert_eq!(answer.json()["code"], "TOO_MANY_REQUESTS");
            let wait: u64 = answer.header(RETRY_AFTER).parse().unwrap();
            assert!((1..=30).contains(&wait), "{wait}");
        }
    }
    let reads = ["/admin/v1/edges"; 3];
    let mut statuses = vec![];
    for path in reads {
        statuses.push(
            call(&api, (Method::GET, path), ("x", "x"), &Value::Null)
                .await
                .status,
        );
    }
    assert_eq!(statuses, [200, 200, 429]);
    // Another holder is not concerned.
    assert_eq!(api.get("/admin/v1/edges", VIEWER).await.0, StatusCode::OK);
}

async fn the_system_is_shown(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (world, api) = waiting(options).await;
    let served = world.add("shop.bakery.test").await;
    world.wait_for_status(&served, "Active").await;
    let other = world
        .customer
        .add_for("tenant-2", "www.elsewhere.test")
        .await;
    world.wait_for_code(&other, "DNS_NXDOMAIN").await;
    let get = async |path: &str| {
        let (status, document) = api.get(path, VIEWER).await;
        assert_eq!(status, StatusCode::OK, "{path} {document}");
        document
    };

    let first = get("/admin/v1/tenants?limit=1").await;
    assert_eq!(first["items"][0]["tenantId"], "tenant-1", "{first}");
    assert_eq!(first["items"][0]["domains"], 2, "{first}");
    assert_eq!(first["items"][0]["isComplete"], true, "{first}");
    let next = first["next"].as_str().unwrap();
    let rest = get(&format!("/admin/v1/tenants?after={next}")).await;
    assert_eq!(rest["items"][0]["tenantId"], "tenant-2", "{rest}");
    assert!(rest["next"].is_null(), "{rest}");
    let pause = json!({ "scope": "tenant", "subject": "tenant-2" });
    let (status, _) = api.post("/admin/v1/issuance/pause", OPERATOR, pause).await;
    assert_eq!(status, StatusCode::OK);
    let tenant = get("/admin/v1/tenants/tenant-2").await;
    assert_eq!(tenant["pauses"][0]["subject"], "tenant-2", "{tenant}");
    let sum = tenant["statuses"].as_array().unwrap().iter();
    let sum: u64 = sum.map(|group| group["domains"].as_u64().unwrap()).sum();
    assert_eq!((sum, &tenant["domains"]), (1, &json!(1)), "{tenant}");
    let (status, _) = api.get("/admin/v1/tenants/nobody", VIEWER).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let system = get("/admin/v1/system").await;
    assert_eq!(
        system["replicas"][0]["name"], system["replica"],
        "{system:#}"
    );
    assert_eq!(system["replicas"][0]["isAlive"], true, "{system:#}");
    assert_eq!(system["replicas"][0]["roles"], json!(["workers", "admin"]));
    assert_eq!(system["readiness"]["status"], "ready", "{system:#}");
    assert!(
        system["database"]["migration"].as_i64() >= Some(40),
        "{system:#}"
    );
    assert_eq!(system["keys"][0]["isCurrent"], true, "{system:#}");
    let lanes = system["queues"].as_array().unwrap().iter();
    let domains: u64 = lanes.map(|lane| lane["domains"].as_u64().unwrap()).sum();
    assert_eq!(domains, 3, "{system:#}");
    let text = system.to_string();
    assert!(!text.contains("token-of"), "{text}");

    let account = get("/admin/v1/ca/account").await;
    assert_eq!(account["termsOfServiceAgreed"], true, "{account}");
    assert!(account["url"].is_string(), "{account}");
    assert!(account.get("key").is_none(), "{account}");
    let page = get("/admin/v1/limits?limit=1").await;
    assert!(page["items"].as_array().unwrap().len() <= 1, "{page}");

    // Actions of the edges and of the brake, each with its record.
    let edge = get("/admin/v1/edges").await["items"][0]["name"].clone();
    let compared = get("/admin/v1/edges").await["items"][0]["comparedAt"].clone();
    let compare = json!({ "name": edge, "reason": "it was repaired" });
    let (status, due) = api.post("/admin/v1/edges/compare", OPERATOR, compare).await;
    assert_eq!((status, &due["name"]), (StatusCode::OK, &edge), "{due}");
    let again = wait::until("another comparison", TIMEOUT, || async {
        let (_, edges) = api.get("/admin/v1/edges", VIEWER).await;
        (edges["items"][0]["comparedAt"] != compared).then_some(())
    });
    again.await.unwrap();
    let unknown = json!({ "name": "http://127.0.0.1:1" });
    let (status, _) = api.post("/admin/v1/edges/compare", OPERATOR, unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let removals = get("/admin/v1/removals").await;
    assert!(removals["approvedUntil"].is_null(), "{removals}");
    let path = "/admin/v1/removals/approve";
    let (status, removals) = api.post(path, OPERATOR, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{removals}");
    assert!(removals["approvedUntil"].is_string(), "{removals}");
    let activity = get("/admin/v1/activity?limit=2").await;
    let kinds = activity["items"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["removals.approve", "edge.compare"]);
    assert_eq!(activity["items"][1]["reason"], "it was repaired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_system_account_and_removals_are_shown_on_sqlite() {
    the_system_is_shown(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_system_account_and_removals_are_shown_on_postgresql() {
    the_system_is_shown(Database::Postgres(npgsql_database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_needs_the_role_of_its_document() {
    let many = json!({ "Admin": { "ActionsPerMinute": 1000 } });
    let (_world, api) = world(Options::quick().with(&many)).await;
    let document = serde_json::to_value(dps_worker::admin::openapi_document()).unwrap();
    let roles = [("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN)];
    let mut calls = 0;
    for (template, methods) in document["paths"].as_object().unwrap() {
        if !template.starts_with("/admin/") {
            continue;
        }
        for (method, described) in methods.as_object().unwrap() {
            let needed = described["tags"][0].as_str().unwrap();
            let needed = roles.iter().position(|(role, _)| *role == needed).unwrap();
            // Of things that do not exist, so that no call has an effect.
            let path = template
                .replace("{host}", "nobody.test")
                .replace("{id}", "00000000-0000-0000-0000-000000000000");
            assert!(!path.contains('{'), "{path}");
            for (place, (role, token)) in roles.iter().enumerate() {
                let words = format!("{method} {path} as {role}");
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let request = api
                    .client
                    .request(method, format!("http://{}{path}", api.at))
                    .bearer_auth(token)
                    .body(r#"{"unknownMember":1}"#);
                let status = request.send().await.unwrap().status();
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{words}");
                let is_refused = status == StatusCode::FORBIDDEN;
                assert_eq!(is_refused, place < needed, "{words}: {status}");
            }
            calls += 1;
        }
    }
    assert!(calls >= 18, "{calls}");
}
