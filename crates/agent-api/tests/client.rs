//! The client's requests, and its reading of good, bad and hostile responses from a scripted
//! socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use dps_agent_api::{
    AgentClient, AgentError, ApplyOutcome, ApplyRequest, ChallengeToken, ClientOptions,
    HealthStatus, ProblemCode,
};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with the given bytes, then closes. The handle gives what was received.
async fn agent_that_answers(answer: Vec<u8>) -> (AgentClient, JoinHandle<String>) {
    let (client, received) = agent_that_answers_all(vec![answer]).await;
    let first = tokio::spawn(async move { received.await.unwrap().remove(0) });
    (client, first)
}

/// The same for one request after the other, each on a connection of its own.
async fn agent_that_answers_all(answers: Vec<Vec<u8>>) -> (AgentClient, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let received = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            requests.push(answer_one(&listener, &answer).await);
        }
        requests
    });
    (client(&url), received)
}

async fn answer_one(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    let mut buffer = vec![0; 16_384];
    while !is_complete(&request) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the client hung up early");
        request.extend_from_slice(&buffer[..count]);
    }
    // The client may hang up in the middle of an answer it does not like.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8(request).unwrap()
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

fn client(url: &str) -> AgentClient {
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(2),
    };
    AgentClient::new(url.parse().unwrap(), SecretString::from("s3cret"), options).unwrap()
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn request() -> ApplyRequest {
    ApplyRequest {
        hostname: "shop.example.com".parse().unwrap(),
        chain_pem: "chain".to_owned(),
        private_key_pem: SecretString::from("the private key"),
        fingerprint: "aa".repeat(32),
        generation: 7,
    }
}

fn applied(fingerprint: &str) -> String {
    format!(
        r#"{{"hostname":"shop.example.com","fingerprint":"{fingerprint}","generation":7,
           "notAfter":"2026-09-01T00:00:00Z","outcome":"replaced","field of a newer agent":1}}"#
    )
}

#[tokio::test]
async fn an_apply_travels_with_token_and_camel_case_and_comes_back_typed() {
    let (client, received) = agent_that_answers(answer("200 OK", &applied(&"aa".repeat(32)))).await;
    assert_eq!(
        client.apply(&request()).await.unwrap().outcome,
        ApplyOutcome::Replaced
    );
    let received = received.await.unwrap();
    assert!(
        received.starts_with("POST /internal/v1/certificates/apply HTTP/1.1\r\n"),
        "{received}"
    );
    assert!(received.contains("authorization: Bearer s3cret\r\n"));
    for field in [
        r#""chainPem":"chain""#,
        r#""privateKeyPem":"the private key""#,
        r#""generation":7"#,
    ] {
        assert!(received.contains(field), "{received}");
    }
}

#[tokio::test]
async fn an_answer_about_another_certificate_is_a_mismatch() {
    let (client, _received) =
        agent_that_answers(answer("200 OK", &applied(&"bb".repeat(32)))).await;
    assert!(matches!(
        client.apply(&request()).await,
        Err(AgentError::Mismatch { .. })
    ));
}

#[tokio::test]
async fn a_removal_says_which_generation_it_knows_of() {
    let host = "shop.example.com".parse().unwrap();
    let (client, received) = agent_that_answers(answer("204 No Content", "")).await;
    client.remove_generation(&host, 7).await.unwrap();
    let received = received.await.unwrap();
    assert!(
        received.starts_with(
            "DELETE /internal/v1/certificates/shop.example.com?generation=7 HTTP/1.1\r\n"
        ),
        "{received}"
    );
}

#[tokio::test]
async fn refusals_keep_the_agents_code_and_sentence() {
    let problem = r#"{"type":"about:blank","title":"t","status":409,"detail":"generation 9 is held","code":"GENERATION_STALE"}"#;
    let (client, _received) = agent_that_answers(answer("409 Conflict", problem)).await;
    match client.apply(&request()).await {
        Err(AgentError::Refused { code, detail, .. }) => {
            assert_eq!(code, ProblemCode::GenerationStale);
            assert_eq!(detail, "generation 9 is held");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_token_an_edge_mismatch_and_an_outage_are_distinguished() {
    let (client, _received) = agent_that_answers(answer("401 Unauthorized", "")).await;
    assert!(matches!(
        client.inventory(None, 10).await,
        Err(AgentError::Unauthorized { .. })
    ));

    let mismatch = r#"{"type":"about:blank","title":"t","status":500,"detail":"other leaf","code":"EDGE_MISMATCH"}"#;
    let (client, _received) =
        agent_that_answers(answer("500 Internal Server Error", mismatch)).await;
    assert!(matches!(
        client.apply(&request()).await,
        Err(AgentError::Mismatch { .. })
    ));

    let outage = r#"{"type":"about:blank","title":"t","status":503,"detail":"no socket","code":"HAPROXY_UNREACHABLE"}"#;
    let (client, _received) = agent_that_answers(answer("503 Service Unavailable", outage)).await;
    let error = client.apply(&request()).await.unwrap_err();
    assert!(
        matches!(&error, AgentError::Unreachable { detail, .. } if detail.contains("no socket"))
    );
}

#[tokio::test]
async fn answers_that_no_agent_gives_are_an_outage_and_not_a_refusal() {
    let endless = answer("200 OK", &"x".repeat(2 * 1024 * 1024));
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"items\":".to_vec();
    let elsewhere =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            .to_vec();
    let html = answer("404 Not Found", "<html>not here</html>");
    for bytes in [
        endless,
        cut,
        elsewhere,
        html,
        answer("200 OK", "[]"),
        b"SSH-2.0-x\r\n".to_vec(),
    ] {
        let (client, _received) = agent_that_answers(bytes).await;
        assert!(matches!(
            client.inventory(None, 10).await,
            Err(AgentError::Unreachable { .. })
        ));
    }
}

#[tokio::test]
async fn a_closed_port_and_an_agent_without_an_answer_are_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let unanswered = client(&url).health().await;
    assert!(
        matches!(unanswered, Err(AgentError::Unreachable { .. })),
        "{unanswered:?}"
    );
    drop(listener);
    assert!(matches!(
        client(&url).health().await,
        Err(AgentError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_challenge_is_read_on_the_public_path_without_the_token() {
    let token = ChallengeToken::parse("tok_en-1").unwrap();
    let (client, received) = agent_that_answers(answer("200 OK", "tok_en-1.thumb")).await;
    assert_eq!(
        client.read_challenge(&token).await.unwrap().as_deref(),
        Some("tok_en-1.thumb")
    );
    let received = received.await.unwrap();
    assert!(
        received.starts_with("GET /.well-known/acme-challenge/tok_en-1 HTTP/1.1\r\n"),
        "{received}"
    );
    assert!(!received.contains("s3cret"));

    let (client, _received) = agent_that_answers(answer("404 Not Found", "")).await;
    assert_eq!(client.read_challenge(&token).await.unwrap(), None);
}

#[tokio::test]
async fn a_degraded_agent_still_reports_its_health() {
    let body = r#"{"status":"degraded","haproxy":{"reachable":false},"certificates":3,"challenges":0,"quarantined":1}"#;
    let (client, _received) = agent_that_answers(answer("503 Service Unavailable", body)).await;
    let health = client.health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(health.certificates, 3);
}

#[test]
fn a_request_never_shows_its_key() {
    assert!(!format!("{:?}", request()).contains("the private key"));
}

#[tokio::test]
async fn a_batch_is_one_call_and_each_result_is_typed() {
    let refused =
        r#"{"type":"about:blank","title":"t","status":409,"detail":"d","code":"GENERATION_STALE"}"#;
    let body = format!(
        r#"{{"results":[{{"applied":{}}},{{"refused":{refused}}},{{"applied":{}}}]}}"#,
        applied(&"aa".repeat(32)),
        applied(&"bb".repeat(32)),
    );
    let (client, received) = agent_that_answers(answer("200 OK", &body)).await;
    let results = client.apply_batch(&[request(), request(), request()]).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert!(
        matches!(
            &results[1],
            Err(AgentError::Refused {
                code: ProblemCode::GenerationStale,
                ..
            })
        ),
        "{results:?}"
    );
    assert!(
        matches!(&results[2], Err(AgentError::Mismatch { .. })),
        "{results:?}"
    );
    let received = received.await.unwrap();
    assert!(
        received.starts_with("POST /internal/v1/certificates/apply-batch "),
        "{received}"
    );
}

#[tokio::test]
async fn an_agent_too_old_for_batches_is_asked_one_by_one() {
    let absent = r#"{"type":"about:blank","title":"t","status":405,"detail":"d","code":"METHOD_NOT_ALLOWED"}"#;
    let single = answer("200 OK", &applied(&"aa".repeat(32)));
    let answers = vec![
        answer("405 Method Not Allowed", absent),
        single.clone(),
        single,
    ];
    let (client, received) = agent_that_answers_all(answers).await;
    for result in client.apply_batch(&[request(), request()]).await {
        result.unwrap();
    }
    let received = received.await.unwrap();
    assert!(
        received[1].starts_with("POST /internal/v1/certificates/apply "),
        "{received:?}"
    );
}

#[tokio::test]
async fn a_batch_that_nobody_answers_fails_for_each_of_its_certificates() {
    let refused =
        r#"{"type":"about:blank","title":"t","status":401,"detail":"d","code":"UNAUTHORIZED"}"#;
    let (client, _) = agent_that_answers(answer("401 Unauthorized", refused)).await;
    let results = client.apply_batch(&[request(), request()]).await;
    assert_eq!(results.len(), 2);
    for result in results {
        assert!(
            matches!(result, Err(AgentError::Unauthorized { .. })),
            "{result:?}"
        );
    }
}

/// Holds every call back until so many are under way as may be, and counts those that are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_are_under_way_at_one_agent_than_it_has_places_for() {
    const AT_ONCE: usize = 48;
    const CALLS: usize = 300;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let host = dps_domain::Hostname::parse("shop.example.com").unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (client, host) = (client.clone(), host.clone());
            tokio::spawn(async move { client.remove(&host).await })
        })
        .collect();
    let (mut held, mut answered) = (Vec::new(), 0);
    while answered < CALLS {
        let expected = AT_ONCE.min(CALLS - answered);
        while held.len() < expected {
            held.push(listener.accept().await.unwrap().0);
        }
        // A health request does not wait for them.
        let health = client.clone();
        let health = tokio::spawn(async move { health.health().await });
        let mut stream = listener.accept().await.unwrap().0;
        let mut line = [0; 11];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"GET /health", "a call too many");
        drop(stream);
        assert!(health.await.unwrap().is_err());
        answered += held.len();
        for mut stream in held.drain(..) {
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }
    for call in calls {
        // The test reads no request, so that the end of a connection may come as a reset.
        let _ = call.await.unwrap();
    }
}
