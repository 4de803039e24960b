//! The Cabinet adapter against a Cabinet that is slow, down, wrong, or of another version.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/raw.rs"]
mod raw;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetError, CabinetFault, CabinetPage, ReportAnswer, StatusReport,
};
use dps_domain::ownership::ProofValue;
use dps_domain::record::report::ProofRecord;
use dps_domain::{DomainId, Failure, Status, Timestamp};
use dps_infrastructure::cabinet::{CabinetSettings, HttpCabinet};
use raw::{RawServer, read_head};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const TOKEN: &str = "s3cret-token";
const ID: &str = "018bcfe5-6800-7000-8000-000000000001";
const OTHER_ID: &str = "018bcfe5-6800-7000-8000-000000000002";

fn cabinet(server: SocketAddr) -> HttpCabinet {
    let settings = CabinetSettings {
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
        page_limit: 100,
    };
    let base = format!("http://{server}").parse().unwrap();
    HttpCabinet::new(base, TOKEN.into(), settings).unwrap()
}

fn id() -> DomainId {
    ID.parse().unwrap()
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn domain(id: &str, status: &str, version: u64) -> Value {
    json!({
        "id": id, "tenantId": "tenant-1", "hostname": "Shop.Example.com", "canonicalHost": "shop.example.com",
        "cnameTarget": "edge.platform.example", "status": status, "version": version,
        "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
    })
}

async fn serving(body: &Value) -> RawServer {
    RawServer::answering(response("200 OK", "", &body.to_string())).await
}

/// The error of a listing at a server that answers with these bytes.
async fn listing_error(bytes: impl Into<Vec<u8>>) -> CabinetError {
    let server = RawServer::answering(bytes).await;
    let listed = cabinet(server.address())
        .list(Status::PendingDns, None)
        .await;
    let error = listed.unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
    error
}

/// A server that answers with `answer` and passes on each request, head and body.
async fn recording(answer: String) -> (RawServer, mpsc::UnboundedReceiver<(String, String)>) {
    let (seen, received) = mpsc::unbounded_channel();
    let server = RawServer::start(move |mut stream| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            let head = read_head(&mut stream).await;
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = seen.send((head, String::from_utf8(body).unwrap()));
        }
    })
    .await;
    (server, received)
}

#[tokio::test]
async fn a_page_is_read_and_the_request_is_the_contracts() {
    let body =
        json!({"items": [domain(ID, "PendingDns", 7)], "nextCursor": "c2", "total": 9}).to_string();
    let (server, mut seen) = recording(response("200 OK", "", &body)).await;
    let page = cabinet(server.address())
        .list(Status::PendingDns, Some("c 1&x="))
        .await
        .unwrap();
    assert_eq!(page.next.as_deref(), Some("c2"));
    let [found] = page.domains.as_slice() else {
        panic!("{:?}", page.domains)
    };
    assert_eq!(
        (found.id, found.status, found.version),
        (id(), Some(Status::PendingDns), 7)
    );
    assert_eq!(found.canonical_host.shown(), "shop.example.com");
    assert_eq!(found.cname_target.shown(), "edge.platform.example");
    let (head, _) = seen.recv().await.unwrap();
    let line = "GET /internal/v1/custom-domains?limit=100&status=PendingDns&cursor=c+1%26x%3D HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(
        head.contains(&format!("authorization: Bearer {TOKEN}\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn a_path_in_the_base_url_is_kept() {
    let (server, mut seen) = recording(response("200 OK", "", r#"{"items":[]}"#)).await;
    let base = format!("http://{}/cabinet/", server.address())
        .parse()
        .unwrap();
    let prefixed = HttpCabinet::new(base, TOKEN.into(), CabinetSettings::default()).unwrap();
    assert_eq!(
        prefixed.list(Status::Active, None).await.unwrap().next,
        None
    );
    let (head, _) = seen.recv().await.unwrap();
    assert!(
        head.starts_with("GET /cabinet/internal/v1/custom-domains?"),
        "{head}"
    );
}

#[tokio::test]
async fn unreadable_items_and_duplicates_spoil_no_others() {
    let mut later = domain(ID, "Suspended", 9);
    later["colour"] = json!({"deep": ["green"]});
    let body = json!({"items": [
        {"id": "not-a-uuid", "version": "x"}, 7, null, domain(ID, "PendingDns", 8), domain(OTHER_ID, "Active", 1), later,
        domain(ID, "Failed", 3),
    ]});
    let server = serving(&body).await;
    let page = cabinet(server.address())
        .list(Status::PendingDns, None)
        .await
        .unwrap();
    let seen: Vec<_> = page
        .domains
        .iter()
        .map(|domain| (domain.id.to_string(), domain.status, domain.version))
        .collect();
    // The newest version of the first, whose status is of a later contract.
    assert_eq!(
        seen,
        [
            (ID.to_owned(), None, 9),
            (OTHER_ID.to_owned(), Some(Status::Active), 1)
        ]
    );
}

/// A page with a good item beside this one, by list and by feed.
async fn beside(item: &str) -> Vec<CabinetPage> {
    let body = format!(
        r#"{{"items":[{item},{}],"nextCursor":"c2"}}"#,
        domain(ID, "Active", 3)
    );
    let server = RawServer::answering(response("200 OK", "", &body)).await;
    let listed = cabinet(server.address())
        .list(Status::Active, None)
        .await
        .unwrap();
    let server = RawServer::answering(response("200 OK", "", &body)).await;
    let changed = cabinet(server.address())
        .changes(None, Duration::ZERO)
        .await
        .unwrap();
    vec![listed, changed.unwrap()]
}

#[tokio::test]
async fn an_item_that_no_reader_takes_is_named_and_its_page_continues() {
    for (field, value) in [
        ("tenantId", r#""a\u0000b""#),
        ("tenantId", r#""a\ud800b""#),
        ("version", "9223372036854775808"),
        ("id", r#""\udfff""#),
    ] {
        let mut item = domain(OTHER_ID, "PendingDns", 1);
        item[field] = json!("@");
        let item = item.to_string().replace("\"@\"", value);
        for page in beside(&item).await {
            assert_eq!(page.domains.len(), 1, "{field} {value}");
            assert_eq!(page.domains[0].id, id());
            let [refused] = page.refused.as_slice() else {
                panic!("{:?}", page.refused)
            };
            assert_eq!((refused.field, refused.value.as_str()), (field, value));
            assert!(field == "id" || refused.id == OTHER_ID, "{refused:?}");
        }
    }
}

#[tokio::test]
async fn unused_fields_of_an_item_are_not_read() {
    let mut item = domain(OTHER_ID, "PendingDns", 1);
    item["createdAt"] = json!("2026-01-02T03:04:05.1234567");
    item["updatedAt"] = Value::Null;
    item["errorDetails"] = json!([]);
    item["lastErrorMessage"] = json!("@");
    let item = item.to_string().replace("\"@\"", r#""\ud800""#);
    for page in beside(&item).await {
        assert_eq!((page.domains.len(), page.refused.len()), (2, 0));
    }
}

#[tokio::test]
async fn a_cursor_that_no_database_takes_is_an_error_of_its_call() {
    let error = listing_error(response(
        "200 OK",
        "",
        r#"{"items":[],"nextCursor":"a\u0000"}"#,
    ))
    .await;
    assert!(error.detail.contains("cursor"), "{error}");
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_is_an_error_and_no_endless_loop() {
    let server = serving(&json!({"items": [], "nextCursor": "c1"})).await;
    assert!(
        cabinet(server.address())
            .list(Status::PendingDns, Some("c1"))
            .await
            .is_err()
    );
    let server = serving(&json!({"items": [], "nextCursor": ""})).await;
    assert_eq!(
        cabinet(server.address())
            .list(Status::PendingDns, Some("c1"))
            .await
            .unwrap()
            .next,
        None
    );
}

#[tokio::test]
async fn broken_answers_are_errors_that_say_what_was_seen() {
    for (bytes, expected) in [
        (response("500 Oops", "", "<html>"), "status 500"),
        (response("502 Bad Gateway", "", ""), "status 502"),
        (
            response("401 Unauthorized", "", r#"{"detail":"no such token"}"#),
            "refuses our token",
        ),
        (response("403 Forbidden", "", ""), "refuses our token"),
        (response("404 Not Found", "", ""), "status 404"),
        (
            response("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
            "base URL",
        ),
        (
            response(
                "400 Bad",
                "",
                r#"{"detail":"limit is wrong","code":"PARAMETER_INVALID"}"#,
            ),
            "limit is wrong",
        ),
        (
            response("200 OK", "", "<html>login</html>"),
            "cannot be read",
        ),
        (response("200 OK", "", r#"{"items":{}}"#), "cannot be read"),
        (
            response("200 OK", "", &"[".repeat(100_000)),
            "cannot be read",
        ),
        (
            response(
                "200 OK",
                "",
                &format!(r#"{{"items":[],"nextCursor":"{}"}}"#, "c".repeat(5_000)),
            ),
            "cursor",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"items\":[".to_owned(),
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ite".to_owned(),
            "",
        ),
        ("garbage".to_owned(), ""),
        (String::new(), ""),
    ] {
        let error = listing_error(bytes.clone()).await;
        assert!(error.detail.contains(expected), "{bytes:.60}: {error}");
        assert_eq!(error.retry_after, None);
    }
}

#[tokio::test]
async fn the_token_does_not_travel_along_a_redirect() {
    let elsewhere = serving(&json!({"items": []})).await;
    let location = format!("Location: http://{}/\r\n", elsewhere.address());
    listing_error(response("307 Temporary Redirect", &location, "")).await;
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_cabinet_that_asks_for_time_is_given_it() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let error = listing_error(response(status, "Retry-After: 17\r\n", "")).await;
        assert_eq!(error.retry_after, Some(Duration::from_secs(17)));
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let server = RawServer::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&vec![b' '; 64 * 1024]).await.is_ok() {}
    })
    .await;
    let error = cabinet(server.address()).domain(id()).await.unwrap_err();
    assert!(error.detail.contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_cabinet_that_hangs_or_is_down_is_bounded_in_time() {
    let unanswering = RawServer::start(|mut stream| async move {
        let mut drain = [0; 1024];
        while stream.read(&mut drain).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let started = Instant::now();
    let error = cabinet(unanswering.address())
        .domain(id())
        .await
        .unwrap_err();
    assert!(error.detail.contains("in time"), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = cabinet(unused).domain(id()).await.unwrap_err();
    assert!(error.detail.to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn changes_wait_longer_than_other_calls_and_return_the_next_cursor() {
    let body = json!({"items": [domain(ID, "PendingDns", 1)], "nextCursor": "c9"}).to_string();
    let (seen, mut received) = mpsc::unbounded_channel();
    let server = RawServer::start(move |mut stream| {
        let (seen, answer) = (seen.clone(), response("200 OK", "", &body));
        async move {
            let head = read_head(&mut stream).await;
            // Longer than the adapter's own time-out, shorter than the wait on top of it.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = seen.send(head);
        }
    })
    .await;
    let changes = cabinet(server.address())
        .changes(Some("c8"), Duration::from_secs(25))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (changes.domains.len(), changes.next.as_deref()),
        (1, Some("c9"))
    );
    let head = received.recv().await.unwrap();
    let line = "GET /internal/v1/custom-domains/changes?limit=100&wait=25&after=c8 HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
}

#[tokio::test]
async fn a_feed_that_is_not_offered_is_distinguished_from_one_that_fails() {
    for status in ["404 Not Found", "405 No", "501 Not Implemented"] {
        let server = RawServer::answering(response(status, "", "")).await;
        assert!(
            cabinet(server.address())
                .changes(None, Duration::ZERO)
                .await
                .unwrap()
                .is_none(),
            "{status}"
        );
    }
    for status in ["500 Oops", "401 Unauthorized", "400 Bad"] {
        let server = RawServer::answering(response(status, "", "")).await;
        assert!(
            cabinet(server.address())
                .changes(Some("c"), Duration::ZERO)
                .await
                .is_err(),
            "{status}"
        );
    }
}

#[tokio::test]
async fn faults_are_distinguished_by_their_reach() {
    let unknown = r#"{"code":"CURSOR_INVALID","detail":"unknown cursor"}"#;
    for (bytes, expected) in [
        (
            response("400 Bad", "", unknown),
            CabinetFault::CursorUnknown,
        ),
        (response("400 Bad", "", ""), CabinetFault::Call),
        (response("500 Oops", "", ""), CabinetFault::Call),
        (response("200 OK", "", "<html>"), CabinetFault::Call),
        (response("503 Busy", "", ""), CabinetFault::Away),
        (response("502 Bad Gateway", "", ""), CabinetFault::Away),
        (response("429 Slowly", "", ""), CabinetFault::Away),
        (response("401 Unauthorized", "", ""), CabinetFault::Away),
        (
            response("302 Found", "Location: /\r\n", ""),
            CabinetFault::Away,
        ),
        (String::new(), CabinetFault::Away),
    ] {
        let server = RawServer::answering(bytes.clone()).await;
        let client = cabinet(server.address());
        let error = client.changes(Some("c"), Duration::ZERO).await.unwrap_err();
        assert_eq!(error.fault, expected, "{bytes}");
        let error = client.list(Status::Active, Some("c")).await.unwrap_err();
        assert_eq!(error.fault, expected, "{bytes}");
    }
}

#[tokio::test]
async fn one_domain_is_there_or_gone() {
    let server = serving(&domain(ID, "Whatever", 3)).await;
    let found = cabinet(server.address())
        .domain(id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.status, found.version), (None, 3));
    let server =
        RawServer::answering(response("404 Not Found", "", r#"{"code":"NOT_FOUND"}"#)).await;
    assert_eq!(cabinet(server.address()).domain(id()).await.unwrap(), None);
    let problem = "Content-Type: application/problem+json\r\n";
    for answer in [
        response("404 Not Found", "", "<html>no such route</html>"),
        response(
            "404 Not Found",
            problem,
            r#"{"title":"Not Found","status":404}"#,
        ),
    ] {
        let server = RawServer::answering(answer).await;
        let error = cabinet(server.address()).domain(id()).await.unwrap_err();
        assert!(error.detail.contains("is not a Cabinet"), "{error}");
    }
    let server = serving(&domain(OTHER_ID, "Active", 3)).await;
    let error = cabinet(server.address()).domain(id()).await.unwrap_err();
    assert!(error.detail.contains(OTHER_ID), "{error}");
}

fn failed() -> StatusReport {
    StatusReport {
        status: Status::PendingDns,
        failure: Some(Failure::DnsWrongTarget {
            more: 0,
            chain: vec!["old.example.net".to_owned()],
            addresses: vec!["8.8.8.8".parse().unwrap()],
        }),
        message: Some("shop.example.com points elsewhere.".to_owned()),
        next_attempt_at: Some(Timestamp::from_unix_seconds(1_800_000_000)),
        certificate_not_after: None,
        proof: None,
    }
}

/// The answer to a report without a TXT record.
fn accepted(version: Option<u64>) -> ReportAnswer {
    ReportAnswer::Accepted {
        version,
        keeps_proof: None,
    }
}

#[tokio::test]
async fn a_report_carries_the_failure_as_code_sentence_and_typed_fields() {
    let (server, mut seen) = recording(response(
        "200 OK",
        "",
        &domain(ID, "PendingDns", 8).to_string(),
    ))
    .await;
    let answer = cabinet(server.address())
        .report(id(), 7, &failed())
        .await
        .unwrap();
    assert_eq!(answer, accepted(Some(8)));
    let (head, body) = seen.recv().await.unwrap();
    assert!(
        head.starts_with(&format!(
            "POST /internal/v1/custom-domains/{ID}/status HTTP/1.1\r\n"
        )),
        "{head}"
    );
    assert!(head.contains("if-match: \"7\"\r\n"), "{head}");
    let expected = json!({
        "status": "PendingDns", "lastErrorCode": "DNS_WRONG_TARGET", "lastErrorMessage": "shop.example.com points elsewhere.",
        "errorDetails": {"code": "DNS_WRONG_TARGET", "chain": ["old.example.net"], "addresses": ["8.8.8.8"]},
        "nextAttemptAt": "2027-01-15T08:00:00Z",
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn an_answer_to_a_report_tells_whether_its_proof_was_kept() {
    let name = "_dps-challenge.shop.example.com";
    let value = ProofValue::new([0x5e; 16]);
    let report = StatusReport {
        proof: Some(ProofRecord {
            name: name.to_owned(),
            value: value.clone(),
        }),
        ..failed()
    };
    let record = |name: &str, value: &str| json!({"name": name, "type": "TXT", "value": value});
    let showing = |record: Value| {
        let mut domain = domain(ID, "PendingDns", 8);
        domain["ownershipVerification"] = record;
        domain.to_string()
    };
    let tag = "ETag: \"8\"\r\n";
    let other = "dps-verify=00000000000000000000000000000007";
    for (status, headers, body, keeps_proof) in [
        (
            "200 OK",
            tag,
            showing(record(name, value.as_str())),
            Some(true),
        ),
        (
            "200 OK",
            "",
            showing(record("_DPS-challenge.shop.example.com", value.as_str())),
            Some(true),
        ),
        ("200 OK", tag, showing(record(name, other)), Some(false)),
        (
            "200 OK",
            tag,
            showing(record("shop.example.com", value.as_str())),
            Some(false),
        ),
        ("200 OK", tag, showing(Value::Null), Some(false)),
        ("200 OK", tag, showing(json!("TXT")), Some(false)),
        (
            "200 OK",
            "",
            domain(ID, "PendingDns", 8).to_string(),
            Some(false),
        ),
        // A later status of the contract is a domain's too.
        (
            "200 OK",
            tag,
            domain(ID, "Suspended", 8).to_string(),
            Some(false),
        ),
        ("200 OK", "", r#"{"version":8}"#.to_owned(), None),
        ("200 OK", tag, "fine".to_owned(), None),
        ("200 OK", tag, "null".to_owned(), None),
        ("204 No Content", tag, String::new(), None),
    ] {
        let bytes = response(status, headers, &body);
        let server = RawServer::answering(bytes.clone()).await;
        let cabinet = cabinet(server.address());
        let answer = cabinet.report(id(), 7, &report).await.unwrap();
        let expected = ReportAnswer::Accepted {
            version: Some(8),
            keeps_proof,
        };
        assert_eq!(answer, expected, "{bytes}");
    }
    // An answer that breaks off in its body is an answer.
    let cut = format!("HTTP/1.1 200 OK\r\n{tag}Content-Length: 900\r\n\r\n{{\"status\"");
    let server = RawServer::answering(cut).await;
    let answer = cabinet(server.address()).report(id(), 7, &report).await;
    assert_eq!(answer.unwrap(), accepted(Some(8)));
    // A report without a record tells nothing.
    let server = serving(&domain(ID, "PendingDns", 8)).await;
    let answer = cabinet(server.address()).report(id(), 7, &failed()).await;
    assert_eq!(answer.unwrap(), accepted(Some(8)));
}

#[tokio::test]
async fn every_answer_to_a_report_has_its_meaning() {
    let illegal = r#"{"code":"ILLEGAL_MOVE","detail":"Removed is the end"}"#;
    let problem = "Content-Type: application/problem+json; charset=utf-8\r\n";
    let refused = |detail: &str| ReportAnswer::ContentRefused {
        detail: detail.to_owned(),
    };
    for (bytes, expected) in [
        (
            response("204 No Content", "ETag: \"9\"\r\n", ""),
            accepted(Some(9)),
        ),
        (
            response("200 OK", "", r#"{"version":10,"strange":true}"#),
            accepted(Some(10)),
        ),
        (response("409 Conflict", "", ""), ReportAnswer::VersionMoved),
        (
            response("412 Precondition Failed", "", ""),
            ReportAnswer::VersionMoved,
        ),
        (
            response("404 Not Found", "", r#"{"code":"NOT_FOUND"}"#),
            ReportAnswer::Gone,
        ),
        (
            response("410 Gone", problem, r#"{"code":"NOT_FOUND"}"#),
            ReportAnswer::Gone,
        ),
        (response("200 OK", "", "fine"), accepted(None)),
        (
            response("204 No Content", "ETag: \"9223372036854775808\"\r\n", ""),
            accepted(None),
        ),
        (
            response("422 No", "", illegal),
            ReportAnswer::IllegalMove {
                detail: "status 422: Removed is the end".to_owned(),
            },
        ),
        (
            response("422 No", "", "<html>"),
            ReportAnswer::IllegalMove {
                detail: "status 422".to_owned(),
            },
        ),
        (
            response(
                "422 No",
                problem,
                r#"{"code":"FIELD_INVALID","detail":"too long","field":"lastErrorMessage"}"#,
            ),
            refused("status 422: too long"),
        ),
        (
            response(
                "400 No",
                problem,
                r#"{"code":"BODY_INVALID","detail":"no object"}"#,
            ),
            refused("status 400: no object"),
        ),
        (response("413 Too Large", "", ""), refused("status 413")),
    ] {
        let server = RawServer::answering(bytes.clone()).await;
        assert_eq!(
            cabinet(server.address())
                .report(id(), 7, &failed())
                .await
                .unwrap(),
            expected,
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_cabinets_delivers_no_report() {
    let problem = "Content-Type: application/problem+json; charset=utf-8\r\n";
    for bytes in [
        response("500 Oops", "", ""),
        response("401 Unauthorized", "", ""),
        response("428 Precondition Required", "", ""),
        // Whatever stands in front of the Cabinet, not the Cabinet.
        response("404 Not Found", "", ""),
        response(
            "404 Not Found",
            "Content-Type: text/html\r\n",
            "<html>no such route</html>",
        ),
        response(
            "404 Not Found",
            "Content-Type: application/json\r\n",
            r#"{"error":"no route"}"#,
        ),
        // A framework's answer for a route that it does not have.
        response(
            "404 Not Found",
            problem,
            r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.5","title":"Not Found","status":404}"#,
        ),
        response("410 Gone", "", ""),
    ] {
        let server = RawServer::answering(bytes.clone()).await;
        assert!(
            cabinet(server.address())
                .report(id(), 7, &failed())
                .await
                .is_err(),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn the_token_is_in_no_debug_output() {
    let server = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(!format!("{:?}", cabinet(server)).contains(TOKEN));
}
