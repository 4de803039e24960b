//! Input that no client should send: each answer is a refusal that names what is wrong.

use dps_cabinet_api::ProblemCode;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::world::{API_TOKEN, SERVICE_TOKEN, World, answer, on_both_databases, refusal};

on_both_databases! {
    async fn invalid_names_are_refused_with_the_remedy(database: Database) {
        let world = World::on(&database).await;
        let long = "a".repeat(10_000);
        for (name, hint) in [
            (long.as_str(), "longer than DNS allows"),
            ("*.example.com", "wildcard"),
            ("https://example.com/", "bare hostname"),
            ("'; DROP TABLE cabinet_domains; --", "bare hostname"),
            ("a'b.example.com", "letters, digits and hyphens"),
            ("a\u{0}b.example.com", "letters, digits and hyphens"),
            ("192.0.2.1", "IP address"),
            ("localhost", "one label"),
            ("co.uk", "public suffix"),
            ("", "empty"),
            ("xn--zzzzzzz999.example", "internationalised"),
        ] {
            let problem = refusal(world.create(name).await, 422).await;
            assert_eq!(problem.code(), Some(ProblemCode::NameInvalid), "{name}");
            assert_eq!(problem.field.as_deref(), Some("hostname"), "{name}");
            assert!(problem.detail.contains(hint), "{name}: {}", problem.detail);
        }
        answer(world.create("still-here.example.com").await, 201).await;
    }

    async fn fields_of_the_wrong_shape_are_named(database: Database) {
        let world = World::on(&database).await;
        let tenant = |tenant: Value| json!({"hostname": "a.example.com", "tenantId": tenant});
        for (body, field) in [
            (json!({"tenantId": "t"}), "hostname"),
            (json!({"hostname": "a.example.com"}), "tenantId"),
            (json!({"hostname": 7, "tenantId": "t"}), "hostname"),
            (tenant(json!("")), "tenantId"),
            (tenant(json!("a\u{0}b")), "tenantId"),
            (tenant(json!("t".repeat(201))), "tenantId"),
            (tenant(json!({"$ne": null})), "tenantId"),
            (json!({"hostname": "a.example.com", "tenantId": "t", "cnameTarget": "*"}), "cnameTarget"),
            (json!({"hostname": "a.example.com", "tenantId": "t", "cnameTarget": ""}), "cnameTarget"),
            (json!({"hostname": "a.example.com", "tenantId": "t", "cnameTarget": "A.example.com"}), "cnameTarget"),
        ] {
            let response = world.platform(Method::POST, "").json(&body).send().await.unwrap();
            assert_eq!(refusal(response, 422).await.field.as_deref(), Some(field), "{body}");
        }
        let id = world.created("a.example.com").await;
        for (body, field) in [
            (json!({}), "status"),
            (json!({"status": "Sideways"}), "status"),
            (json!({"status": ""}), "status"),
            (json!({"status": "Failed", "certificateNotAfter": ""}), "certificateNotAfter"),
            (json!({"status": "S".repeat(10_000)}), "status"),
            (json!({"status": "Failed", "nextAttemptAt": "tomorrow"}), "nextAttemptAt"),
            (json!({"status": "Failed", "errorDetails": [1]}), "errorDetails"),
            (json!({"status": "Failed", "errorDetails": {"x": "y".repeat(9_000)}}), "errorDetails"),
            (json!({"status": "Failed", "lastErrorCode": "C".repeat(65)}), "lastErrorCode"),
            (json!({"status": "Failed", "lastErrorMessage": "m".repeat(2_001)}), "lastErrorMessage"),
            (json!({"status": "Failed", "lastErrorMessage": "\u{0}"}), "lastErrorMessage"),
            (json!({"status": "PendingDns", "ownershipVerification": {"name": "a", "type": "TXT"}}), "ownershipVerification"),
            (json!({"status": "PendingDns", "ownershipVerification": {"name": "a", "type": "TXT", "value": 7}}), "ownershipVerification.value"),
            (json!({"status": "PendingDns", "ownershipVerification": {"name": "a", "type": "A", "value": "v"}}), "ownershipVerification"),
            (json!({"status": "PendingDns", "ownershipVerification": {"name": "a", "type": "TXT", "value": "\u{0}"}}), "ownershipVerification"),
            (json!({"status": "PendingDns", "ownershipVerification": {"name": "a", "type": "TXT", "value": "v".repeat(256)}}), "ownershipVerification"),
        ] {
            let call = world.service(Method::POST, &format!("/{id}/status")).header("If-Match", "\"1\"");
            assert_eq!(refusal(call.json(&body).send().await.unwrap(), 422).await.field.as_deref(), Some(field), "{body}");
        }
    }

    async fn parameters_out_of_bounds_are_named(database: Database) {
        let world = World::on(&database).await;
        for (query, field) in [
            ("?limit=0", "limit"),
            ("?limit=501", "limit"),
            ("?limit=-1", "limit"),
            ("?limit=many", "limit"),
            ("?limit=1&limit=2", "limit"),
            ("?cursor=", "cursor"),
            ("?cursor=l1%27%20OR%201=1", "cursor"),
            ("?cursor=c1", "cursor"),
            ("?status=pendingdns", "status"),
            ("?status=", "status"),
            ("?statsu=Active", "statsu"),
            ("/changes?after=l1", "after"),
            ("/changes?after=", "after"),
            ("/changes?wait=61", "wait"),
            ("/changes?wait=forever", "wait"),
        ] {
            let response = world.service(Method::GET, query).send().await.unwrap();
            assert_eq!(refusal(response, 400).await.field.as_deref(), Some(field), "{query}");
        }
        for (query, field) in [("?tenantId=a%00b", "tenantId"), ("?tenantId=", "tenantId"), ("?hostname=*", "hostname"), ("?hostname=", "hostname")] {
            let response = world.platform(Method::GET, query).send().await.unwrap();
            assert_eq!(refusal(response, 400).await.field.as_deref(), Some(field), "{query}");
        }
    }

    async fn bodies_that_are_too_large_or_no_json_are_refused(database: Database) {
        let world = World::on(&database).await;
        let send = |media_type: &str, body: String| {
            let call = world.platform(Method::POST, "").header("Content-Type", media_type);
            call.body(body).send()
        };
        let huge = format!("{{\"hostname\":\"{}\"}}", "a".repeat(500_000));
        let problem = refusal(send("application/json", huge).await.unwrap(), 413).await;
        assert_eq!(problem.field.as_deref(), Some("body"));
        for bad in ["", "{", "[]", "null", "\u{feff}{}", "{\"hostname\": \"a", &"[".repeat(10_000)] {
            let problem = refusal(send("application/json", bad.to_owned()).await.unwrap(), 400).await;
            assert_eq!(problem.field.as_deref(), Some("body"), "{bad}");
        }
        let problem = refusal(send("text/plain", "{}".to_owned()).await.unwrap(), 415).await;
        assert_eq!(problem.field.as_deref(), Some("Content-Type"));
        answer(send("application/json; charset=utf-8", json!({"hostname": "a.example.com", "tenantId": "t", "more": 1}).to_string()).await.unwrap(), 201).await;
    }

    async fn each_side_needs_its_own_token(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("a.example.com").await;
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        let (internal, customer) = ("/internal/v1/custom-domains", "/api/v1/custom-domains");
        let calls = [
            (&get, internal.to_owned()),
            (&get, format!("{internal}/changes")),
            (&get, format!("{internal}/{id}")),
            (&post, format!("{internal}/{id}/status")),
            (&get, customer.to_owned()),
            (&post, customer.to_owned()),
            (&get, format!("{customer}/{id}")),
            (&delete, format!("{customer}/{id}")),
            (&post, format!("{customer}/{id}/retry")),
        ];
        // Answers to wrong tokens are slow, so all are asked for at once.
        let mut answers = JoinSet::new();
        for (method, path) in calls {
            let others = if path.starts_with(internal) { API_TOKEN } else { SERVICE_TOKEN };
            for token in [None, Some(others), Some(""), Some("service-token-of-the-tes"), Some("ü")] {
                let call = world.bare(method.clone(), &path);
                let call = match token {
                    Some(token) => call.header("Authorization", format!("Bearer {token}").into_bytes()),
                    None => call,
                };
                let what = format!("{method} {path}");
                answers.spawn(async move { (what, call.send().await.unwrap()) });
            }
        }
        while let Some(answer) = answers.join_next().await {
            let (what, response) = answer.unwrap();
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
            assert_eq!(refusal(response, 401).await.code(), Some(ProblemCode::Unauthorized));
        }
    }

    async fn other_paths_and_methods_are_refused_like_the_rest(database: Database) {
        let world = World::on(&database).await;
        refusal(world.bare(Method::GET, "/nothing/here").send().await.unwrap(), 404).await;
        refusal(world.platform(Method::PATCH, "").send().await.unwrap(), 405).await;
        assert_eq!(world.bare(Method::GET, "/health").send().await.unwrap().status(), 200);
        assert_eq!(world.bare(Method::GET, "/openapi.json").send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let database = crate::world::Database::sqlite();
    let world = World::on(&database).await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let endless = async {
        // Ends when the Cabinet closes the connection, with an answer or without.
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), endless)
        .await
        .expect("the Cabinet read on for ever");
}

#[tokio::test]
async fn a_body_that_never_arrives_is_not_waited_for() {
    let database = crate::world::Database::sqlite();
    let world = World::on(&database).await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/custom-domains HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    let reading = stream.read_exact(&mut begin);
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, reading)
        .await
        .expect("the Cabinet waits for ever")
        .unwrap();
    assert_eq!(&begin, b"HTTP/1.1 408");
}
