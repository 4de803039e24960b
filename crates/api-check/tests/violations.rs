//! Servers that do not keep their document are noticed.

use dps_api_check::{ApiCheck, Document, KnownValues, Report, Violations};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Checks a server that gives everybody the same answer. Its document allows 200 with a number.
#[expect(
    clippy::unwrap_used,
    reason = "loopback that cannot be bound ends the test"
)]
async fn check(status: u16, media_type: &str, body: &str) -> Result<Report, Violations> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let schema = json!({ "$ref": "#/components/schemas/Thing" });
    let thing = json!({
        "type": "object",
        "required": ["n"],
        "properties": { "n": { "type": "integer", "minimum": 0 } },
    });
    let check = ApiCheck {
        document: Document::new(json!({
            "paths": { "/things": { "get": {
                "parameters": [{ "name": "limit", "in": "query", "schema": { "type": "integer" } }],
                "responses": { "200": { "content": { "application/json": { "schema": schema } } } },
            } } },
            "components": { "schemas": { "Thing": thing } },
        })),
        base: base.parse().unwrap(),
        tokens: Vec::new(),
        known: KnownValues::new(),
        allowed_faults: Vec::new(),
        requests: 3,
        seed: 1,
    };
    let result = check.run().await;
    server.abort();
    result
}

#[tokio::test]
async fn an_answer_of_the_document_is_no_violation() {
    let report = check(200, "application/json", r#"{"n":1}"#).await.unwrap();
    assert_eq!(report.statuses["GET /things"][&200], 3);
    assert!(report.without_success().is_empty());
}

#[tokio::test]
async fn other_answers_are_violations() {
    for (status, media_type, body, problem) in [
        (
            200,
            "application/json",
            r#"{"n":"1"}"#,
            "the body does not fit: /n",
        ),
        (
            200,
            "application/json",
            r#"{"n":-1}"#,
            "the body does not fit: /n",
        ),
        (200, "application/json", "{}", "the body does not fit"),
        (200, "application/json", "{", "no JSON"),
        (200, "text/html", "<p>", "media type \"text/html\""),
        (
            418,
            "application/json",
            "{}",
            "the status is not documented",
        ),
        (
            404,
            "application/problem+json",
            "{}",
            "the status is not documented",
        ),
        (500, "application/json", "{}", "a fault of the server"),
    ] {
        let Violations(found) = check(status, media_type, body).await.unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].status, status);
        assert!(found[0].problem.starts_with(problem), "{found:?}");
        assert!(found[0].request.starts_with("GET http://127.0.0.1"));
    }
}
