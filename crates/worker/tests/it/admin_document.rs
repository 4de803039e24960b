//! The `OpenAPI` document of the admin API: the checked-in text is the one that the code makes. It
//! also keeps rules that no validator checks.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Set to any value, this variable makes the test write the document instead of comparing it.
const REWRITE: &str = "DPS_REWRITE_OPENAPI";

#[test]
fn the_checked_in_openapi_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi/admin-v1.json");
    let made = dps_worker::admin::openapi_document()
        .to_pretty_json()
        .unwrap()
        + "\n";
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let checked_in = fs::read_to_string(&path).unwrap();
    assert_eq!(
        checked_in, made,
        "the document is not current; run the test with {REWRITE}=1 and review the difference"
    );
}

#[test]
fn every_call_needs_a_token_and_documents_its_refusals() {
    let document = serde_json::to_value(dps_worker::admin::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut calls = 0;
    for (path, methods) in paths {
        for (method, call) in methods.as_object().unwrap() {
            if path == "/openapi.json" {
                continue;
            }
            calls += 1;
            let words = format!("{method} {path}");
            assert!(path.starts_with("/admin/v1/"), "{words}");
            assert_eq!(
                call["security"][0]["token"],
                Value::Array(vec![]),
                "{words}"
            );
            let responses = call["responses"].as_object().unwrap();
            let is_acting = method != "get";
            for status in ["401", "500", "503"] {
                assert!(responses.contains_key(status), "{words}: {status}");
            }
            assert_eq!(responses.contains_key("403"), is_acting, "{words}");
            let role = call["tags"][0].as_str().unwrap();
            assert_eq!(role == "viewer", !is_acting, "{words}: {role}");
            let headers = call["parameters"].as_array().into_iter().flatten();
            let mut headers = headers.filter(|one| one["in"] == "header");
            let header = if is_acting {
                "Idempotency-Key"
            } else {
                "If-None-Match"
            };
            assert!(
                headers.any(|one| one["name"] == header),
                "{words}: {header}"
            );
            for (status, is_expected) in [("304", !is_acting), ("422", is_acting), ("429", true)] {
                let is_answer = responses.contains_key(status);
                assert_eq!(is_answer, is_expected, "{words}: {status}");
            }
            for (status, response) in responses {
                if status == "304" {
                    continue;
                }
                let media_type = if status.as_str() < "400" {
                    "application/json"
                } else {
                    "application/problem+json"
                };
                let content = response["content"].as_object().unwrap();
                assert!(content.contains_key(media_type), "{words}: {status}");
                let description = response["description"].as_str().unwrap();
                assert!(description.ends_with('.'), "{words}: {status}");
            }
        }
    }
    assert!(calls >= 6, "{calls}");
}
