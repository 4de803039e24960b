use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, StatusCode};
use dps_application::ports::Metrics as _;
use dps_host::http_server::ClientAddress;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;

/// A check that says what the test wants, and counts its runs.
struct Stub {
    name: &'static str,
    required: bool,
    answer: Answer,
    checks: AtomicUsize,
}

enum Answer {
    Fine,
    Broken(String),
    Never,
}

#[async_trait]
impl HealthCheck for Stub {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_required(&self) -> bool {
        self.required
    }

    async fn check(&self) -> Result<(), String> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        match &self.answer {
            Answer::Fine => Ok(()),
            Answer::Broken(why) => Err(why.clone()),
            Answer::Never => std::future::pending().await,
        }
    }
}

fn stub(name: &'static str, required: bool, answer: Answer) -> Arc<Stub> {
    Arc::new(Stub {
        name,
        required,
        answer,
        checks: AtomicUsize::new(0),
    })
}

struct World {
    router: Router,
    metrics: Metrics,
    draining: CancellationToken,
}

impl World {
    fn with(checks: &[&Arc<Stub>]) -> Self {
        let (metrics, draining) = (Metrics::new(), CancellationToken::new());
        let checks = checks
            .iter()
            .map(|check| Arc::clone(*check) as Arc<dyn HealthCheck>)
            .collect();
        let router = router(Surface {
            metrics: metrics.clone(),
            readiness: Arc::new(Readiness::new(checks, draining.clone())),
        });
        Self {
            router,
            metrics,
            draining,
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String, String) {
        self.get_from("127.0.0.1:40000", path).await
    }

    /// Sends a request as a client at this address.
    async fn get_from(&self, client: &str, path: &str) -> (StatusCode, String, String) {
        let client = ClientAddress(client.parse().unwrap());
        let request = Request::get(path).extension(client).body(Body::empty());
        self.send(request.unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String, String) {
        answer_of(&self.router, request).await
    }

    async fn health(&self) -> (StatusCode, Value) {
        let (status, kind, body) = self.get("/health/ready").await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_str(&body).unwrap())
    }
}

async fn answer_of(router: &Router, request: Request<Body>) -> (StatusCode, String, String) {
    let answer = router.clone().oneshot(request).await.unwrap();
    let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_process_with_all_it_needs_is_ready_and_names_each_check() {
    let world = World::with(&[
        &stub("store", true, Answer::Fine),
        &stub("cabinet", false, Answer::Fine),
    ]);
    let (status, body) = world.health().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["status"], "ready");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        body["checks"],
        json!([
            {"name": "store", "status": "ok", "required": true},
            {"name": "cabinet", "status": "ok", "required": false},
        ])
    );
    assert_eq!(world.get("/health").await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_something_required_it_is_not_ready_but_alive() {
    let world = World::with(&[&stub("store", true, Answer::Broken("disk full".into()))]);
    let (status, body) = world.health().await;
    assert_eq!(
        (status, &body["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("notReady"))
    );
    assert_eq!(body["checks"][0]["detail"], "disk full");
    assert_eq!(
        world.get("/health").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(world.get("/health/live").await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_required_is_shown_and_changes_nothing() {
    let world = World::with(&[&stub("cabinet", false, Answer::Broken("x".repeat(10_000)))]);
    let (status, body) = world.health().await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ready")));
    assert_eq!(body["checks"][0]["status"], "failing");
    assert_eq!(body["checks"][0]["detail"].as_str().unwrap().len(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_answers_counts_as_failing_in_time() {
    let world = World::with(&[&stub("store", true, Answer::Never)]);
    let (status, body) = world.health().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["checks"][0]["detail"], "no answer within 3 s");
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_share_one_answer_for_a_second() {
    let store = stub("store", true, Answer::Fine);
    let world = World::with(&[&store]);
    let many = (0..50).map(|_| world.health());
    futures_util::future::join_all(many).await;
    assert_eq!(store.checks.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_millis(1100)).await;
    world.health().await;
    assert_eq!(store.checks.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_draining_process_is_not_ready_at_once() {
    let world = World::with(&[&stub("store", true, Answer::Fine)]);
    assert_eq!(world.health().await.0, StatusCode::OK);
    world.draining.cancel();
    let (status, body) = world.health().await;
    assert_eq!(
        (status, &body["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("draining"))
    );
    assert_eq!(world.get("/health/live").await.0, StatusCode::OK);
}

#[tokio::test]
async fn only_clients_on_this_machine_read_details() {
    let secret = "postgres at 10.0.0.7 is away";
    let world = World::with(&[&stub("store", true, Answer::Broken(secret.into()))]);
    for (client, is_local) in [
        ("127.0.0.1:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("192.0.2.1:1", false),
        ("[2001:db8::1]:1", false),
    ] {
        let (status, _, body) = world.get_from(client, "/health").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            body.contains("\"name\":\"store\",\"status\":\"failing\""),
            "{body}"
        );
        assert_eq!(body.contains(secret), is_local, "{client}: {body}");
    }
}

#[tokio::test]
async fn a_process_that_is_not_configured_is_alive_and_says_what_is_missing() {
    let draining = CancellationToken::new();
    let readiness = Arc::new(Readiness::not_configured(
        vec!["CabinetApi:Token: is missing".into()],
        draining,
    ));
    let world = World {
        router: router(Surface {
            metrics: Metrics::new(),
            readiness: Arc::clone(&readiness),
        }),
        metrics: Metrics::new(),
        draining: CancellationToken::new(),
    };
    let (status, body) = world.health().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["status"], "notConfigured");
    assert_eq!(body["problems"], json!(["CabinetApi:Token: is missing"]));
    assert_eq!(world.get("/health/live").await.0, StatusCode::OK);
    readiness.started(vec![stub("store", true, Answer::Fine)]);
    assert_eq!(world.health().await.0, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_prometheus_text_unless_open_metrics_is_asked_for() {
    let world = World::with(&[]);
    world.metrics.acme_issuance(true);
    for (accept, expected) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let request = Request::get("/metrics").header("accept", accept);
        let (status, kind, body) = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, expected));
        assert!(
            body.contains("acme_issuance_total{result=\"success\"} 1\n"),
            "{body}"
        );
        assert_eq!(
            body.contains("# EOF"),
            expected.contains("openmetrics"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let world = World::with(&[]);
    let post = Request::builder()
        .method(Method::POST)
        .uri("/metrics")
        .body(Body::empty())
        .unwrap();
    for (answer, status, code) in [
        (world.get("/nothing").await, 404, "NOT_FOUND"),
        (world.send(post).await, 405, "METHOD_NOT_ALLOWED"),
    ] {
        let (found, kind, body) = answer;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (found.as_u16(), kind.as_str()),
            (status, "application/problem+json")
        );
        assert_eq!(
            (&body["status"], &body["code"]),
            (&json!(status), &json!(code))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_slow_answer_become_problem_documents() {
    let pages = Router::new()
        .route("/panic", get(async || -> () { panic!("a fault") }))
        .route("/slow", get(async || std::future::pending::<()>().await));
    let router = bounded(pages);
    for (path, status, code) in [("/panic", 500, "INTERNAL"), ("/slow", 503, "TIMEOUT")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (found, kind, body) = answer_of(&router, request).await;
        assert_eq!(
            (found.as_u16(), kind.as_str()),
            (status, "application/problem+json"),
            "{path}"
        );
        assert!(body.contains(code) && !body.contains("a fault"), "{body}");
    }
}
