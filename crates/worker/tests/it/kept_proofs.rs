//! A Cabinet that does not keep the TXT records of reports, and learns to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use dps_lab::wait;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::ownership::readiness_check;
use crate::world::{EDGE, Options, TIMEOUT, World};

/// The Cabinet as an earlier version of it: passes every call on to the reference Cabinet, reports
/// without the field that it does not know.
#[derive(Clone)]
struct EarlierCabinet {
    http: reqwest::Client,
    cabinet: Arc<OnceLock<SocketAddr>>,
    drops_proofs: Arc<AtomicBool>,
}

impl EarlierCabinet {
    /// Starts it; returns it and where it listens.
    async fn start() -> (Self, SocketAddr) {
        dps_lab::tls::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cabinet = Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            cabinet: Arc::default(),
            drops_proofs: Arc::new(AtomicBool::new(true)),
        };
        let router = Router::new().fallback(pass_on).with_state(cabinet.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (cabinet, address)
    }
}

async fn pass_on(State(earlier): State<EarlierCabinet>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap();
    if earlier.drops_proofs.load(Ordering::SeqCst) && head.uri.path().ends_with("/status") {
        let mut report: Map<String, Value> = serde_json::from_slice(&body).unwrap();
        report.remove("ownershipVerification");
        body = Bytes::from(serde_json::to_vec(&report).unwrap());
    }
    let mut headers = head.headers;
    headers.remove("content-length");
    let cabinet = earlier.cabinet.get().unwrap();
    let call = earlier
        .http
        .request(head.method, format!("http://{cabinet}{}", head.uri))
        .headers(headers)
        .body(body);
    let Ok(answer) = call.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::builder().status(answer.status());
    for name in ["content-type", "etag"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap();
    response.body(Body::from(body)).unwrap()
}

/// A domain that its tenant must prove by a TXT record.
async fn asked(world: &World, host: &str) -> Value {
    world.zone.set_a(host, &[EDGE]);
    let id = world.customer.add_for("owner", host).await;
    world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await
}

/// Waits until the check `ownership` has this status.
async fn wait_for_check(world: &World, status: &str) -> Value {
    let shown = wait::until("the check follows", TIMEOUT, || async {
        let check = readiness_check(world).await;
        (check["status"] == status).then_some(check)
    });
    shown.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_warns_of_a_cabinet_that_keeps_no_proofs_until_it_keeps_one() {
    let (earlier, address) = EarlierCabinet::start().await;
    let cabinet = Arc::clone(&earlier.cabinet);
    let options = Options {
        prepare: Some(Box::new(move |home, _| {
            let settings = std::fs::read(home.join("appsettings.json")).unwrap();
            let settings: Value = serde_json::from_slice(&settings).unwrap();
            let listen = settings["Cabinet"]["Listen"].as_str().unwrap();
            cabinet.set(listen.parse().unwrap()).unwrap();
        })),
        ..Options::quick()
    };
    let world = World::start(options.with(&json!({
        "Cabinet": { "CnameTarget": "{random}.t.platform.test" },
        "CabinetApi": { "BaseUrl": format!("http://{address}") },
        "Workers": { "DomainVerification": { "RequireProof": "Always" } },
    })))
    .await;
    let check = readiness_check(&world).await;
    assert_eq!(check["status"], "ok", "{check}");

    let domain = asked(&world, "first.shop.test").await;
    assert!(domain["ownershipVerification"].is_null(), "{domain}");
    let sentence = domain["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("dps-verify="), "{sentence}");
    let check = wait_for_check(&world, "failing").await;
    assert_eq!(check["required"], false, "{check}");
    let detail = check["detail"].as_str().unwrap();
    for part in [
        "did not keep its ownershipVerification",
        "let the Cabinet store the field",
    ] {
        assert!(detail.contains(part), "{part:?} is not in {detail:?}");
    }

    earlier.drops_proofs.store(false, Ordering::SeqCst);
    let domain = asked(&world, "second.shop.test").await;
    world.publish_proof(&domain);
    let id = domain["id"].as_str().unwrap();
    world.wait_for_status(id, "Active").await;
    let check = wait_for_check(&world, "ok").await;
    assert!(check["detail"].is_null(), "{check}");
}
