//! The `OpenAPI` document that is checked in is the one the code makes.

use std::path::Path;

/// Set to any value, this environment variable makes the test write the document instead of comparing it.
const REWRITE: &str = "DPS_REWRITE_OPENAPI";

#[test]
fn the_checked_in_openapi_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi/cabinet-v1.json");
    let made = dps_cabinet::openapi_document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os(REWRITE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "the document is not current; run the test with {REWRITE}=1 and look at the difference"
    );
}

#[test]
fn every_call_of_the_contract_is_documented_with_its_token() {
    let document = serde_json::to_value(dps_cabinet::openapi_document()).unwrap();
    let calls: Vec<(String, String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, call)| {
                let token = call["security"][0]
                    .as_object()
                    .and_then(|token| token.keys().next().cloned());
                (method.clone(), path.clone(), token.unwrap_or_default())
            })
        })
        .collect();
    let expected = [
        ("get", "/internal/v1/custom-domains", "serviceToken"),
        ("get", "/internal/v1/custom-domains/changes", "serviceToken"),
        ("get", "/internal/v1/custom-domains/{id}", "serviceToken"),
        ("post", "/internal/v1/custom-domains/{id}/status", "serviceToken"),
        ("post", "/api/v1/custom-domains", "apiToken"),
        ("get", "/api/v1/custom-domains", "apiToken"),
        ("get", "/api/v1/custom-domains/{id}", "apiToken"),
        ("delete", "/api/v1/custom-domains/{id}", "apiToken"),
        ("post", "/api/v1/custom-domains/{id}/retry", "apiToken"),
        ("get", "/health", ""),
        ("get", "/openapi.json", ""),
    ];
    for (method, path, token) in expected {
        let call = (method.to_owned(), path.to_owned(), token.to_owned());
        assert!(calls.contains(&call), "{method} {path}");
    }
    assert_eq!(calls.len(), expected.len());
}
