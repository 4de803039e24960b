//! The edge adapter's reading of an agent's answers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/raw.rs"]
mod raw;

use std::time::Duration;

use dps_agent_api::{AgentClient, ClientOptions};
use dps_application::ports::Edge;
use dps_application::ports::edge::{DeployRequest, EdgeError, EdgeProbe, UndeployResult};
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;
use dps_infrastructure::edge::AgentEdge;
use raw::{RawServer, read_head};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TOKEN: &str = "s3cret-token";
const CHALLENGE: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const AUTHORIZATION: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.thumb";
const FINGERPRINT: &str = "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92";

fn edge(server: &RawServer) -> AgentEdge {
    let options = ClientOptions {
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
    };
    let base = format!("http://{}/", server.address()).parse().unwrap();
    AgentEdge::new(AgentClient::new(base, SecretString::from(TOKEN), options).unwrap())
}

fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Lab\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn problem(status: u16, code: &str) -> String {
    let body = json!({"type": "about:blank", "title": "t", "status": status, "detail": "said so", "code": code});
    response(status, &body.to_string())
}

/// An agent that gives one answer per method.
async fn agent(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> RawServer {
    let answers = std::sync::Arc::new(answers);
    RawServer::start(move |mut stream| {
        let answers = std::sync::Arc::clone(&answers);
        async move {
            let head = read_head(&mut stream).await;
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length: ")?.parse().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let method = head.split(' ').next().unwrap_or_default();
            let _ = stream.write_all(answers(method).as_bytes()).await;
        }
    })
    .await
}

fn deploy_request() -> DeployRequest {
    DeployRequest {
        hostname: Hostname::parse("shop.example.com").unwrap(),
        chain_pem: "chain".to_owned(),
        key_pem: SecretString::from("key"),
        fingerprint: FINGERPRINT.to_owned(),
        generation: 3,
    }
}

fn applied(fingerprint: &str) -> Value {
    json!({
        "hostname": "shop.example.com", "fingerprint": fingerprint, "generation": 3,
        "notAfter": "2027-01-15T08:00:00Z", "outcome": "created",
    })
}

#[tokio::test]
async fn the_edge_is_named_by_its_agents_base_url() {
    let agent = RawServer::answering(response(204, "")).await;
    assert_eq!(edge(&agent).name(), format!("http://{}", agent.address()));
}

#[tokio::test]
async fn a_challenge_is_published_only_when_the_public_path_answers_it() {
    let honest = agent(|method| match method {
        "PUT" => response(204, ""),
        _ => response(200, &format!("{AUTHORIZATION}\n")),
    })
    .await;
    edge(&honest)
        .publish_challenge(CHALLENGE, AUTHORIZATION)
        .await
        .unwrap();
    assert_eq!(honest.connections(), 2, "one to publish, one to prove");
    for lie in [
        response(404, ""),
        response(200, "another text"),
        response(500, ""),
    ] {
        let liar = agent(move |method| {
            if method == "PUT" {
                response(204, "")
            } else {
                lie.clone()
            }
        })
        .await;
        let error = edge(&liar)
            .publish_challenge(CHALLENGE, AUTHORIZATION)
            .await
            .unwrap_err();
        assert!(matches!(error, EdgeError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_text_that_is_no_token_is_rejected_without_a_call() {
    let agent = agent(|_| response(204, "")).await;
    let error = edge(&agent)
        .publish_challenge("../health", AUTHORIZATION)
        .await
        .unwrap_err();
    assert!(matches!(error, EdgeError::Rejected { .. }), "{error}");
    edge(&agent).withdraw_challenge("../health").await.unwrap();
    assert_eq!(agent.connections(), 0);
}

#[tokio::test]
async fn each_refusal_of_an_apply_has_its_kind() {
    let name = |error: &EdgeError| match error {
        EdgeError::Unreachable { .. } => "unreachable",
        EdgeError::Rejected { .. } => "rejected",
        EdgeError::Newer { .. } => "newer",
        EdgeError::Mismatch { .. } => "mismatch",
        EdgeError::Local { .. } => "local",
    };
    for (answer, kind, words) in [
        (
            problem(422, "KEY_MISMATCH"),
            "rejected",
            "KEY_MISMATCH: said so",
        ),
        (problem(409, "GENERATION_STALE"), "newer", "said so"),
        (problem(500, "EDGE_MISMATCH"), "mismatch", "said so"),
        (
            problem(503, "HAPROXY_UNREACHABLE"),
            "unreachable",
            "HAPROXY_UNREACHABLE: said so",
        ),
        (problem(507, "CAPACITY_EXHAUSTED"), "unreachable", "said so"),
        (response(401, ""), "unreachable", "refuses our credentials"),
        (response(200, "<html>"), "unreachable", "cannot be read"),
        (
            response(200, &applied(&"0".repeat(64)).to_string()),
            "mismatch",
            "reports",
        ),
        (String::new(), "unreachable", "no answer"),
    ] {
        let agent = agent(move |_| answer.clone()).await;
        let error = edge(&agent).deploy(&deploy_request()).await.unwrap_err();
        assert_eq!(name(&error), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
    }
    let agent = agent(|_| response(200, &applied(FINGERPRINT).to_string())).await;
    edge(&agent).deploy(&deploy_request()).await.unwrap();
}

#[tokio::test]
async fn withdrawing_and_removing_pass_on_what_the_agent_says() {
    let willing = agent(|_| response(204, "")).await;
    let hostname = Hostname::parse("shop.example.com").unwrap();
    edge(&willing).withdraw_challenge(CHALLENGE).await.unwrap();
    let removed = edge(&willing).undeploy(&hostname, None).await.unwrap();
    assert_eq!(removed, UndeployResult::Done);
    let down = agent(|_| problem(503, "HAPROXY_UNREACHABLE")).await;
    assert!(edge(&down).undeploy(&hostname, None).await.is_err());
    assert!(edge(&down).withdraw_challenge(CHALLENGE).await.is_err());
}

#[tokio::test]
async fn a_removal_up_to_a_generation_is_done_when_a_newer_one_is_held() {
    let newer = agent(|_| problem(409, "GENERATION_STALE")).await;
    let hostname = Hostname::parse("shop.example.com").unwrap();
    let removed = edge(&newer).undeploy(&hostname, Some(3)).await.unwrap();
    assert_eq!(removed, UndeployResult::NewerKept);
    let down = agent(|_| problem(503, "HAPROXY_UNREACHABLE")).await;
    assert!(edge(&down).undeploy(&hostname, Some(3)).await.is_err());
}

#[tokio::test]
async fn each_certificate_of_a_batch_has_its_own_result() {
    let refused = |code: &str, status: u16| {
        json!({ "refused": {
            "type": "about:blank", "title": "t", "status": status, "detail": "said so", "code": code,
        } })
    };
    let results = json!({ "results": [
        { "applied": applied(FINGERPRINT) },
        refused("GENERATION_STALE", 409),
        refused("KEY_MISMATCH", 422),
    ] });
    let willing = agent(move |_| response(200, &results.to_string())).await;
    let three = [deploy_request(), deploy_request(), deploy_request()];
    let results = edge(&willing).deploy_batch(&three).await;
    assert!(
        matches!(
            results[..],
            [
                Ok(()),
                Err(EdgeError::Newer { .. }),
                Err(EdgeError::Rejected { .. })
            ]
        ),
        "{results:?}"
    );
    let down = agent(|_| problem(503, "HAPROXY_UNREACHABLE")).await;
    let results = edge(&down).deploy_batch(&three).await;
    assert_eq!(results.len(), 3);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(EdgeError::Unreachable { .. })))
    );
}

#[tokio::test]
async fn an_edge_is_well_when_its_haproxy_answers_whatever_it_still_has_to_repair() {
    let health = |status: u16, haproxy: Value| {
        let health = json!({
            "status": "degraded", "haproxy": haproxy, "certificates": 3, "challenges": 0, "quarantined": 0,
            "startedAt": "2026-11-01T00:00:00Z",
        });
        response(status, &health.to_string())
    };
    let repairing =
        agent(move |_| health(503, json!({ "reachable": true, "problem": "repairing" }))).await;
    let well = edge(&repairing).check().await.unwrap();
    assert_eq!(
        well.started_at,
        Some("2026-11-01T00:00:00Z".parse().unwrap())
    );
    let alone =
        agent(move |_| health(503, json!({ "reachable": false, "problem": "no socket" }))).await;
    let error = edge(&alone).check().await.unwrap_err();
    assert!(matches!(error, EdgeError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("no socket"), "{error}");
    let stranger = agent(|_| response(200, "<html>")).await;
    assert!(edge(&stranger).check().await.is_err());
}

#[tokio::test]
async fn a_page_of_the_inventory_comes_with_the_cursor_of_the_next_and_the_digest_of_all() {
    let page = json!({
        "items": [{
            "hostname": "shop.example.com", "fingerprint": FINGERPRINT, "generation": 7,
            "notAfter": "2027-01-15T08:00:00Z", "state": "served",
        }],
        "nextCursor": "shop.example.com", "digest": "d1",
    });
    let willing = agent(move |_| response(200, &page.to_string())).await;
    let page = edge(&willing).inventory(None, 1).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("shop.example.com"));
    assert_eq!(page.digest, "d1");
    let entry = &page.entries[0];
    assert_eq!(
        (entry.hostname.as_str(), entry.generation),
        ("shop.example.com", 7)
    );
    assert_eq!(entry.fingerprint, FINGERPRINT);
}

#[tokio::test]
async fn an_agent_that_is_too_old_to_probe_is_no_edge_that_fails() {
    let address = "192.0.2.1".parse().unwrap();
    let host = Hostname::parse("shop.example.com").unwrap();
    let probed = async |answer: String| {
        let server = agent(move |_| answer.clone()).await;
        edge(&server)
            .probe(&host, address, CHALLENGE, "expected")
            .await
    };
    let old = probed(problem(404, "NOT_FOUND")).await;
    assert_eq!(old, Ok(EdgeProbe::Unsupported));
    let ours = probed(response(200, r#"{"answer":"ours"}"#)).await;
    assert_eq!(ours, Ok(EdgeProbe::Answered(ProbeAnswer::Ours)));
    let down = probed(problem(503, "HAPROXY_UNREACHABLE")).await;
    assert!(
        matches!(down, Err(EdgeError::Unreachable { .. })),
        "{down:?}"
    );
}
