//! The admin API: tokens and roles, and calls that act.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dps_api_check::{ApiCheck, Document, KnownValues};
use dps_lab::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql_database};

const HOST: &str = "shop.bakery.test";
pub(crate) const VIEWER: &str = "token-of-the-viewer";
pub(crate) const OPERATOR: &str = "token-of-the-operator";
pub(crate) const ADMIN: &str = "token-of-the-admin";

/// A file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A world with the admin API and a token of each role, and the API's address.
pub(crate) async fn world(options: Options) -> (World, Api) {
    let at = SocketAddr::from(([127, 0, 0, 1], dps_lab::free_port().unwrap()));
    let files = tempfile::tempdir().unwrap();
    let token = |name: &str, role: &str, text: &str| {
        let path = files.path().join(name);
        write_private(&path, text);
        json!({ "Name": name, "Role": role, "TokenFile": path })
    };
    let tokens = json!([
        token("vera", "Viewer", VIEWER),
        token("oleg", "Operator", OPERATOR),
        token("ada", "Admin", ADMIN),
    ]);
    let section = json!({ "Admin": { "Listen": at, "Tokens": tokens } });
    let world = World::start(options.with(&section)).await;
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().unwrap();
    (world, Api { at, files, client })
}

pub(crate) struct Api {
    pub(crate) at: SocketAddr,
    pub(crate) files: tempfile::TempDir,
    pub(crate) client: reqwest::Client,
}

impl Api {
    /// Calls with this token; returns the status and the document.
    async fn call(
        &self,
        (method, path): (Method, &str),
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.at);
        let mut request = self.client.request(method, url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let is_problem = !status.is_success();
        let media_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            media_type == "application/problem+json",
            is_problem,
            "{path} {media_type}"
        );
        (status, response.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        self.call((Method::GET, path), token, None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        self.call((Method::POST, path), token, Some(body)).await
    }
}

async fn acts_by_role(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (world, api) = world(options).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let waiting = world.customer.add("www.nowhere.test").await;
    world.wait_for_code(&waiting, "DNS_NXDOMAIN").await;

    // A role allows the calls of those before it, and no others.
    let acting = [
        ("/admin/v1/domains/www.nowhere.test/retry", json!({})),
        ("/admin/v1/limits/lift", json!({ "limit": "NewOrders" })),
    ];
    for (path, body) in &acting {
        let (status, problem) = api.post(path, VIEWER, body.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("FORBIDDEN"))
        );
        let (status, _) = api.post(path, OPERATOR, body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        // Of two requests for a check, the run of the first serves both.
        let (status, problem) = api.post(path, ADMIN, body.clone()).await;
        let expected = if path.ends_with("/retry") {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::OK
        };
        assert_eq!(status, expected, "{path}: {problem}");
    }
    let approve = json!({ "name": "http://127.0.0.1:1" });
    let path = "/admin/v1/edges/approve";
    assert_eq!(
        api.post(path, OPERATOR, approve.clone()).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        api.post(path, ADMIN, approve).await.0,
        StatusCode::NOT_FOUND
    );
    for path in ["/admin/v1/edges", "/admin/v1/limits"] {
        assert_eq!(api.get(path, VIEWER).await.0, StatusCode::OK, "{path}");
        for wrong in ["", "token-of-nobody-00"] {
            let (status, problem) = api.get(path, wrong).await;
            assert_eq!(
                (status, &problem["field"]),
                (StatusCode::UNAUTHORIZED, &json!("Authorization"))
            );
        }
    }
    let (_, edges) = api.get("/admin/v1/edges", VIEWER).await;
    assert_eq!(edges["items"][0]["presents"], 1, "{edges}");

    // Lists and counts are answered as the command line does.
    let (_, page) = api.get("/admin/v1/domains?limit=1", VIEWER).await;
    let after = page["next"].as_str().unwrap();
    assert_eq!(page["items"][0]["hostname"], HOST, "{page}");
    let path = format!("/admin/v1/domains?limit=5&after={after}");
    let (_, page) = api.get(&path, VIEWER).await;
    assert_eq!(page["items"][0]["hostname"], "www.nowhere.test", "{page}");
    assert!(page["next"].is_null(), "{page}");
    let path = "/admin/v1/domains?code=DNS_NXDOMAIN&suffix=nowhere.test";
    let (_, page) = api.get(path, VIEWER).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    let (_, count) = api.get("/admin/v1/domains/count?by=code", VIEWER).await;
    assert_eq!(count["domains"], 2, "{count}");
    let (_, fleet) = api.get("/admin/v1/fleet", VIEWER).await;
    assert_eq!(fleet["domains"], 2, "{fleet}");
    let (_, shown) = api.get("/admin/v1/domains/www.nowhere.test", VIEWER).await;
    assert_eq!(shown["code"], "DNS_NXDOMAIN", "{shown}");
    assert!(shown["message"].is_string(), "{shown}");

    // An action is in the history, with who acted and why.
    let served = world.visit(HOST).await;
    let path = format!("/admin/v1/domains/{HOST}/renew");
    let reason = json!({ "reason": "the key may be known" });
    let (status, acted) = api.post(&path, OPERATOR, reason).await;
    assert_eq!((status, &acted["hostname"]), (StatusCode::OK, &json!(HOST)));
    let renewed = wait::until("another certificate", TIMEOUT, || async {
        (world.visit(HOST).await != served).then_some(())
    });
    renewed.await.unwrap();
    let shown = dps(world.home(), &["domains", "show", HOST, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let events = shown["events"].as_array().unwrap();
    let asked = events
        .iter()
        .find(|event| event["kind"] == "renewal.requested");
    let asked = asked.unwrap_or_else(|| panic!("{shown:#}"));
    assert_eq!(asked["replica"], "admin:oleg");
    assert_eq!(asked["detail"]["reason"], "the key may be known");
    records_every_action(&world, &api).await;
}

/// Checks the record of actions after those of [`acts_by_role`].
async fn records_every_action(world: &World, api: &Api) {
    let line = ["domains", "recheck", HOST, "--reason", "it was moved"];
    let recheck = wait::until("the recheck", TIMEOUT, || async {
        dps(world.home(), &line).status.success().then_some(())
    });
    recheck.await.unwrap();
    let (status, page) = api.get("/admin/v1/activity?limit=2", VIEWER).await;
    assert_eq!(status, StatusCode::OK);
    let [newest, second] = page["items"].as_array().unwrap().as_slice() else {
        panic!("{page:#}");
    };
    assert_eq!(newest["action"], "domain.recheck", "{page:#}");
    assert_eq!(newest["source"], "cli");
    assert_eq!(newest["reason"], "it was moved");
    assert_eq!(second["action"], "domain.renew", "{page:#}");
    assert_eq!(
        (&second["who"], &second["role"]),
        (&json!("admin:oleg"), &json!("Operator"))
    );
    assert_eq!(
        (&second["subject"], &second["count"]),
        (&json!(HOST), &json!(1))
    );
    let next = page["next"].as_str().unwrap();
    let path = format!("/admin/v1/activity?before={next}");
    let (_, rest) = api.get(&path, VIEWER).await;
    let kinds: Vec<&str> = (rest["items"].as_array().unwrap().iter())
        .map(|item| item["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["limit.lift", "limit.lift", "domain.retry"],
        "{rest:#}"
    );
    assert!(rest["next"].is_null());
    let shown = dps(world.home(), &["activity", "--json", "--limit", "1"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown, page["items"][0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_allows_its_calls_and_the_history_says_who_acted_on_sqlite() {
    acts_by_role(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_allows_its_calls_and_the_history_says_who_acted_on_postgresql() {
    acts_by_role(Database::Postgres(npgsql_database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_cannot_be_used_is_answered_with_the_field() {
    let (_world, api) = world(Options::quick()).await;
    let (long, huge) = ("x".repeat(501), "x".repeat(20_000));
    for (path, body, status, field) in [
        (
            "/admin/v1/domains/nobody.test/retry",
            json!({}),
            404,
            Value::Null,
        ),
        ("/admin/v1/domains/_/retry", json!({}), 400, json!("host")),
        ("/admin/v1/domains/%ff/retry", json!({}), 400, json!("host")),
        (
            "/admin/v1/domains/nobody.test/retry",
            json!({ "reasons": 1 }),
            400,
            json!("body"),
        ),
        (
            "/admin/v1/domains/nobody.test/retry",
            json!([]),
            400,
            json!("body"),
        ),
        (
            "/admin/v1/domains/nobody.test/retry",
            json!({ "reason": long }),
            400,
            json!("reason"),
        ),
        (
            "/admin/v1/domains/nobody.test/retry",
            json!({ "reason": huge }),
            400,
            json!("body"),
        ),
        (
            "/admin/v1/domains/nobody.test/retry",
            json!({ "reason": "a\nb" }),
            400,
            json!("reason"),
        ),
        ("/admin/v1/limits/lift", json!({}), 400, json!("body")),
        (
            "/admin/v1/limits/lift",
            json!({ "limit": "Orders" }),
            400,
            json!("limit"),
        ),
        (
            "/admin/v1/limits/lift",
            json!({ "limit": "ExactSet", "name": "_" }),
            400,
            json!("name"),
        ),
        ("/admin/v1/nothing", json!({}), 404, Value::Null),
        ("/admin/v1/edges", json!({}), 405, Value::Null),
    ] {
        let (found, problem) = api.post(path, ADMIN, body.clone()).await;
        assert_eq!(
            (found.as_u16(), &problem["field"]),
            (status, &field),
            "{path} {body} {problem}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
    for (path, field) in [
        ("/admin/v1/domains?statuses=Failed", "query"),
        ("/admin/v1/domains?status=Failed&status=Active", "query"),
        ("/admin/v1/domains?status=broken", "status"),
        ("/admin/v1/domains?name=a.test&prefix=b", "prefix"),
        ("/admin/v1/domains?expiresWithin=7", "expiresWithin"),
        ("/admin/v1/domains?limit=0", "limit"),
        ("/admin/v1/domains?limit=1001", "limit"),
        ("/admin/v1/domains?after=nonsense%20", "after"),
        ("/admin/v1/domains?edge=http://nowhere", "edge"),
        (
            "/admin/v1/domains?edgePending=http://nowhere",
            "edgePending",
        ),
        ("/admin/v1/domains?by=code", "by"),
        ("/admin/v1/activity?limit=0", "limit"),
        ("/admin/v1/activity?before=yesterday", "before"),
        ("/admin/v1/domains/count?limit=1", "limit"),
        ("/admin/v1/domains/count?by=name", "by"),
    ] {
        let (status, problem) = api.get(path, VIEWER).await;
        let found = (status.as_u16(), &problem["field"]);
        assert_eq!(found, (400, &json!(field)), "{path} {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_token_file_is_taken_over_and_one_that_cannot_be_used_is_logged() {
    let (world, api) = world(Options::quick()).await;
    let (status, document) = api.get("/openapi.json", "").await;
    assert_eq!(
        (status, &document["info"]["title"]),
        (StatusCode::OK, &json!("Admin API"))
    );

    // A token file that changes is taken over; one that cannot be used leaves all as it was.
    write_private(
        &api.files.path().join("vera"),
        "another-token-of-the-viewer",
    );
    let taken = wait::until("the new token", TIMEOUT, || async {
        let (status, _) = api
            .get("/admin/v1/edges", "another-token-of-the-viewer")
            .await;
        (status == StatusCode::OK).then_some(())
    });
    taken.await.unwrap();
    assert_eq!(
        api.get("/admin/v1/edges", VIEWER).await.0,
        StatusCode::UNAUTHORIZED
    );
    write_private(&api.files.path().join("vera"), "short");
    let logged = wait::until("the log", TIMEOUT, || async {
        world
            .service
            .log_text()
            .contains("admin.token_unusable")
            .then_some(())
    });
    logged.await.unwrap();
    assert_eq!(
        api.get("/admin/v1/edges", "another-token-of-the-viewer")
            .await
            .0,
        StatusCode::OK
    );
    // One whose file is gone loses access, and no other does.
    fs::remove_file(api.files.path().join("vera")).unwrap();
    let refused = wait::until("the loss of access", TIMEOUT, || async {
        let (status, _) = api
            .get("/admin/v1/edges", "another-token-of-the-viewer")
            .await;
        (status == StatusCode::UNAUTHORIZED).then_some(())
    });
    refused.await.unwrap();
    let (status, _) = api.get("/admin/v1/edges", OPERATOR).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!world.service.log_text().contains("token-of-the"));
}

#[tokio::test]
async fn answers_to_right_and_wrong_requests_are_those_of_the_document() {
    let often = json!({ "Admin": { "RequestsPerMinute": 100_000, "ActionsPerMinute": 100_000 } });
    let (world, api) = world(Options::quick().with(&often)).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let waiting = world.customer.add("www.nowhere.test").await;
    world.wait_for_code(&waiting, "DNS_NXDOMAIN").await;
    let (_, edges) = api.get("/admin/v1/edges", VIEWER).await;
    let edge = edges["items"][0]["name"].clone();
    // A job that can be cancelled for an hour: no domain refuses its action.
    let wanted = json!({ "action": "pause", "filter": {}, "pacePerHour": 1, "confirm": 2 });
    let (status, job) = api.post("/admin/v1/jobs", ADMIN, wanted).await;
    assert_eq!(status, StatusCode::OK, "{job}");
    let document = serde_json::to_value(dps_worker::admin::openapi_document()).unwrap();
    let check = ApiCheck {
        document: Document::new(document),
        base: format!("http://{}", api.at).parse().unwrap(),
        tokens: vec![("/admin/", ADMIN.to_owned())],
        known: KnownValues::from([
            ("host", vec![json!(HOST), json!("www.nowhere.test")]),
            ("status", vec![json!("Failed"), json!("Active")]),
            ("code", vec![json!("DNS_NXDOMAIN")]),
            ("actor", vec![json!("customer")]),
            ("tenant", vec![json!("tenant-1")]),
            ("expiresWithin", vec![json!("30d")]),
            ("limit", vec![json!(10), json!("NewOrders")]),
            ("by", vec![json!("status"), json!("tenant")]),
            ("name", vec![json!(HOST), edge]),
            ("reason", vec![json!("as asked")]),
            ("Idempotency-Key", vec![json!("1"), json!("2"), json!("3")]),
            ("If-Match", vec![json!("*"), json!("\"unknown\"")]),
            ("id", vec![json!("tenant-1"), job["id"].clone()]),
            ("action", vec![json!("retry"), json!("recheck")]),
            ("confirm", vec![json!(5)]),
            ("revocationReason", vec![json!("superseded")]),
            ("filter", vec![json!({}), json!({ "status": "Active" })]),
            ("pacePerHour", vec![json!(600)]),
        ]),
        allowed_faults: Vec::new(),
        requests: 40,
        seed: 1,
    };
    let report = check.run().await.unwrap();
    assert_eq!(report.without_success(), [""; 0], "{report:?}");
}
