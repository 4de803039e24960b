//! The `OpenAPI` document of the agent: the checked-in text is the one that the code makes. It also
//! keeps rules that no validator checks.

use std::collections::BTreeSet;
use std::path::Path;

use dps_agent_api::{PROBLEM_CONTENT_TYPE, ProblemCode};
use dps_api_check::{ApiCheck, Document, KnownValues};
use serde_json::{Value, json};

use crate::world::{TOKEN, World};

/// Set to any value, this variable makes the test write the document instead of comparing it.
const REWRITE: &str = "DPS_REWRITE_OPENAPI";

#[test]
fn the_checked_in_openapi_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi/agent-v1.json");
    let made = haproxy_domain_agent::openapi_document()
        .to_pretty_json()
        .unwrap()
        + "\n";
    if std::env::var_os(REWRITE).is_some() {
        return std::fs::write(&path, made).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap();
    assert!(
        checked_in == made,
        "the document is not current; run the test with {REWRITE}=1 and review the difference"
    );
}

#[test]
fn every_internal_call_needs_a_proof_and_every_code_has_an_example() {
    let document = serde_json::to_value(haproxy_domain_agent::openapi_document()).unwrap();
    let mut codes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            let words = format!("{method} {path}");
            let is_internal = path.starts_with("/internal/");
            assert_eq!(call["security"].is_array(), is_internal, "{words}");
            let summary = call["summary"].as_str().unwrap();
            assert!(summary.ends_with('.'), "{words}: {summary}");
            let responses = call["responses"].as_object().unwrap();
            assert_eq!(responses.contains_key("401"), is_internal, "{words}");
            for (status, response) in responses {
                let description = response["description"].as_str().unwrap();
                assert!(description.ends_with('.'), "{words} {status}");
                let content = &response["content"][PROBLEM_CONTENT_TYPE];
                for (code, example) in content["examples"].as_object().into_iter().flatten() {
                    let value = &example["value"];
                    assert_eq!(value["code"], Value::from(code.as_str()), "{words}");
                    assert_eq!(value["status"].to_string(), *status, "{words} {code}");
                    codes.insert(code.clone());
                }
            }
        }
    }
    // Paths and methods that do not exist belong to no documented call, nor do codes of others.
    let of_no_call = ["NOT_FOUND", "METHOD_NOT_ALLOWED", "UNKNOWN"];
    let all = ProblemCode::ALL.iter().map(|code| code.as_str().to_owned());
    let wanted: BTreeSet<String> = all
        .filter(|code| !of_no_call.contains(&code.as_str()))
        .collect();
    assert_eq!(codes, wanted);
}

#[tokio::test]
async fn answers_to_right_and_wrong_requests_are_those_of_the_document() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    let good = serde_json::to_value(issued.request(1)).unwrap();
    let member = |name: &str| vec![good[name].clone()];
    let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    world
        .client()
        .publish_challenge(&token.parse().unwrap(), &format!("{token}.x"))
        .await
        .unwrap();
    let known = KnownValues::from([
        ("hostname", member("hostname")),
        ("chainPem", member("chainPem")),
        ("privateKeyPem", member("privateKeyPem")),
        ("fingerprint", member("fingerprint")),
        ("generation", vec![json!(1), json!(2)]),
        ("limit", vec![json!(1), json!(1000)]),
        ("cursor", vec![json!("a.example.com")]),
        ("token", vec![json!(token)]),
        ("keyAuthorization", vec![json!(format!("{token}.x"))]),
        ("address", vec![json!("127.0.0.1"), json!("::1")]),
    ]);
    let check = ApiCheck {
        document: Document::new(
            serde_json::to_value(haproxy_domain_agent::openapi_document()).unwrap(),
        ),
        base: world.agent_url().parse().unwrap(),
        tokens: vec![("/internal/", TOKEN.to_owned())],
        known,
        allowed_faults: vec![],
        requests: 60,
        seed: 1,
    };
    let report = check.run().await.unwrap();
    assert_eq!(report.without_success(), Vec::<&str>::new());
    world.assert_loadable();
}
