//! The `OpenAPI` document: the checked-in text is the one that the code makes, and it keeps rules
//! that no validator knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use dps_cabinet_api::{PROBLEM_CONTENT_TYPE, ProblemCode, limits};
use dps_domain::Status;
use serde_json::{Value, json};

/// Set to any value, this variable makes the test write the document instead of comparing it.
const REWRITE: &str = "DPS_REWRITE_OPENAPI";

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(dps_cabinet::openapi_document()).unwrap());

/// Method, path and description of every call.
fn calls() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    entries(&DOCUMENT["paths"]).flat_map(|(path, methods)| {
        entries(methods).map(move |(method, call)| (method, path, call))
    })
}

/// Name and value of every member of an object; nothing for an absent one.
fn entries(object: &'static Value) -> impl Iterator<Item = (&'static str, &'static Value)> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

/// Status and description of every response, with the call in words.
fn responses() -> impl Iterator<Item = (String, u16, &'static Value)> {
    calls().flat_map(|(method, path, call)| {
        entries(&call["responses"]).map(move |(status, response)| {
            let status = status.parse().unwrap();
            (format!("{method} {path} {status}"), status, response)
        })
    })
}

/// Whether the text is a sentence.
fn is_sentence(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.ends_with('.'))
}

/// Whether a value has a type that its schema allows. A schema of alternatives allows any.
fn has_type_of(value: &Value, schema: &Value) -> bool {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|kind| kind == found),
        Value::String(kind) => kind == found,
        _ => schema.get("oneOf").is_some(),
    }
}

/// Asserts that a response with this status and media type is documented for a call of this path.
pub(crate) fn assert_documented(path: &str, status: u16, media_type: &str) {
    let fits = |template: &str| {
        let (given, wanted) = (path.split('/'), template.split('/'));
        given.clone().count() == wanted.clone().count()
            && given
                .zip(wanted)
                .all(|(given, wanted)| given == wanted || wanted == "{id}")
    };
    let templates: Vec<&str> = entries(&DOCUMENT["paths"]).map(|(path, _)| path).collect();
    let exact = templates.contains(&path);
    let mut known = false;
    let documented = calls()
        .filter(|(_, template, _)| {
            if exact {
                *template == path
            } else {
                fits(template)
            }
        })
        .any(|(_, _, call)| {
            known = true;
            call["responses"][status.to_string()]["content"]
                .get(media_type)
                .is_some()
        });
    // A path or a method that is not documented is refused in the same form.
    let is_no_call = (!known && status == 404) || status == 405;
    assert!(
        documented || (is_no_call && media_type == PROBLEM_CONTENT_TYPE),
        "{path} {status} {media_type} is not documented"
    );
}

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
        "the document is not current; run the test with {REWRITE}=1 and review the difference"
    );
}

#[test]
fn every_call_of_the_contract_is_documented_with_its_token_and_its_own_name() {
    let found: BTreeMap<_, _> = calls()
        .map(|(method, path, call)| {
            let token = entries(&call["security"][0])
                .next()
                .map_or("", |(name, _)| name);
            let id = call["operationId"].as_str().unwrap_or_default();
            (id, (method, path, token))
        })
        .collect();
    let (list, feed) = (
        "/internal/v1/custom-domains",
        "/internal/v1/custom-domains/changes",
    );
    let (domain, status) = (
        "/internal/v1/custom-domains/{id}",
        "/internal/v1/custom-domains/{id}/status",
    );
    let (view, retry) = (
        "/api/v1/custom-domains/{id}",
        "/api/v1/custom-domains/{id}/retry",
    );
    let expected = BTreeMap::from([
        ("listServiceDomains", ("get", list, "serviceToken")),
        ("listDomainChanges", ("get", feed, "serviceToken")),
        ("getServiceDomain", ("get", domain, "serviceToken")),
        ("reportDomainStatus", ("post", status, "serviceToken")),
        (
            "createCustomerDomain",
            ("post", "/api/v1/custom-domains", "apiToken"),
        ),
        (
            "listCustomerDomains",
            ("get", "/api/v1/custom-domains", "apiToken"),
        ),
        ("getCustomerDomain", ("get", view, "apiToken")),
        ("removeCustomerDomain", ("delete", view, "apiToken")),
        ("retryCustomerDomain", ("post", retry, "apiToken")),
        ("getHealth", ("get", "/health", "")),
        ("getOpenApiDocument", ("get", "/openapi.json", "")),
    ]);
    assert_eq!(found, expected);
    assert_eq!(calls().count(), expected.len(), "a name occurs twice");
}

#[test]
fn every_part_is_described() {
    assert!(is_sentence(&DOCUMENT["info"]["description"]));
    let lists = [&DOCUMENT["servers"], &DOCUMENT["tags"]];
    for entry in lists
        .map(|list| list.as_array().unwrap())
        .into_iter()
        .flatten()
    {
        assert!(is_sentence(&entry["description"]), "{entry}");
    }
    for (method, path, call) in calls() {
        assert!(is_sentence(&call["summary"]), "{method} {path}");
        let body = &call["requestBody"];
        assert!(
            body.is_null() || is_sentence(&body["description"]),
            "{method} {path} body"
        );
        for parameter in call["parameters"].as_array().into_iter().flatten() {
            assert!(
                is_sentence(&parameter["description"]),
                "{method} {path} {}",
                parameter["name"]
            );
        }
    }
    for (call, _, response) in responses() {
        assert!(is_sentence(&response["description"]), "{call}");
        for (name, header) in entries(&response["headers"]) {
            assert!(is_sentence(&header["description"]), "{call} {name}");
        }
    }
}

#[test]
fn every_error_is_a_problem_document_with_an_example_of_each_code() {
    let mut codes = BTreeSet::new();
    for (call, status, response) in responses().filter(|(_, status, _)| *status >= 400) {
        let content: Vec<_> = entries(&response["content"]).collect();
        assert_eq!(content.len(), 1, "{call}");
        let (media_type, content) = content[0];
        assert_eq!(media_type, PROBLEM_CONTENT_TYPE, "{call}");
        assert_eq!(
            content["schema"],
            json!({"$ref": "#/components/schemas/Problem"}),
            "{call}"
        );
        for (code, example) in entries(&content["examples"]) {
            let example = &example["value"];
            assert_eq!(example["code"], code, "{call}");
            assert_eq!(example["status"], status, "{call} {code}");
            assert!(is_sentence(&example["detail"]), "{call} {code}");
            codes.insert(code);
        }
        let header = match status {
            401 => Some("WWW-Authenticate"),
            429 | 503 => Some("Retry-After"),
            _ => None,
        };
        let headers: Vec<&str> = entries(&response["headers"])
            .map(|(name, _)| name)
            .collect();
        assert_eq!(headers, Vec::from_iter(header), "{call}");
    }
    // A method that is not allowed belongs to no documented call.
    let all = ProblemCode::ALL.iter().map(|code| code.as_str());
    let of_calls: BTreeSet<&str> = all.filter(|code| *code != "METHOD_NOT_ALLOWED").collect();
    assert_eq!(codes, of_calls);
}

#[test]
fn every_call_documents_the_errors_of_its_kind() {
    for (method, path, call) in calls() {
        let documented: BTreeSet<u16> = entries(&call["responses"])
            .map(|(status, _)| status.parse().unwrap())
            .collect();
        let mut wanted = BTreeSet::new();
        if entries(&call["security"][0]).next().is_some() {
            wanted.extend([401, 500, 503]);
        }
        if call.get("requestBody").is_some() {
            wanted.extend([400, 408, 413, 415, 422]);
        }
        if path.contains("{id}") {
            wanted.insert(404);
        }
        if !path.contains("{id}") && call.get("parameters").is_some() {
            wanted.insert(400);
        }
        assert!(
            wanted.is_subset(&documented),
            "{method} {path}: {documented:?}"
        );
    }
}

#[test]
fn every_body_has_an_example_that_fits_its_schema() {
    let bodies =
        calls().map(|(method, path, call)| (format!("{method} {path}"), &call["requestBody"]));
    let answers = responses().map(|(call, _, response)| (call, response));
    for (place, body) in bodies.chain(answers).filter(|(_, body)| !body.is_null()) {
        assert!(!body["content"].is_null(), "{place}");
        for (_, content) in entries(&body["content"]) {
            let several = entries(&content["examples"]).map(|(_, example)| &example["value"]);
            let examples: Vec<&Value> = content.get("example").into_iter().chain(several).collect();
            assert!(!examples.is_empty(), "{place}");
            let Some(schema) = content["schema"]["$ref"].as_str() else {
                continue;
            };
            let schema = DOCUMENT.pointer(schema.trim_start_matches('#')).unwrap();
            let (mut required, mut known) = (BTreeSet::new(), BTreeMap::new());
            for part in
                std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten())
            {
                let part = match part["$ref"].as_str() {
                    Some(name) => DOCUMENT.pointer(name.trim_start_matches('#')).unwrap(),
                    None => part,
                };
                let names = part["required"].as_array().into_iter().flatten();
                required.extend(names.map(|name| name.as_str().unwrap()));
                known.extend(entries(&part["properties"]));
            }
            for example in examples {
                let given: BTreeMap<&str, &Value> = entries(example).collect();
                for name in &required {
                    assert!(
                        given.contains_key(name),
                        "{place}: {name} is missing in {example}"
                    );
                }
                for (name, value) in given {
                    let schema = known
                        .get(name)
                        .unwrap_or_else(|| panic!("{place}: {name} is not known"));
                    assert!(has_type_of(value, schema), "{place}: {name} in {example}");
                }
            }
        }
    }
}

#[test]
fn parameters_have_the_bounds_that_the_cabinet_keeps() {
    for (method, path, call) in calls() {
        for parameter in call["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let wanted = match name {
                "limit" => {
                    json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": limits::MAX_PAGE_LIMIT})
                }
                "wait" => {
                    json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": limits::MAX_WAIT_SECONDS})
                }
                "cursor" | "after" => {
                    json!({"type": "string", "minLength": 1, "maxLength": limits::MAX_CURSOR_BYTES})
                }
                "tenantId" => {
                    json!({"type": "string", "minLength": 1, "maxLength": limits::MAX_TENANT_ID_BYTES})
                }
                "hostname" => {
                    json!({"type": "string", "minLength": 1, "maxLength": limits::MAX_HOSTNAME_BYTES})
                }
                "status" => {
                    json!({"type": "string", "description": "Where a domain stands.", "enum": Status::ALL.map(Status::as_str)})
                }
                "id" => json!({"type": "string", "format": "uuid"}),
                "If-Match" => {
                    json!({"type": "string", "minLength": 3, "maxLength": 22, "pattern": "^\"[0-9]+\"$"})
                }
                other => panic!("{method} {path}: the bounds of {other} are not known here"),
            };
            assert_eq!(schema, &wanted, "{method} {path} {name}");
        }
    }
}

/// Every string of a schema by its name, with those of inline objects.
fn strings(schema: &'static Value, found: &mut Vec<(&'static str, &'static Value)>) {
    for (name, property) in entries(&schema["properties"]) {
        let kind = &property["type"];
        if kind == "string" || kind[0] == "string" {
            found.push((name, property));
        }
        strings(property, found);
        strings(&property["items"], found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        strings(part, found);
    }
}

#[test]
fn strings_of_bodies_have_bounds() {
    let mut found = Vec::new();
    for (_, schema) in entries(&DOCUMENT["components"]["schemas"]) {
        strings(schema, &mut found);
    }
    let wanted = |name: &str| {
        Some(match name {
            "tenantId" => (1, limits::MAX_TENANT_ID_BYTES),
            "hostname" => (1, limits::MAX_HOSTNAME_BYTES),
            "nextCursor" => (1, limits::MAX_CURSOR_BYTES),
            "canonicalHost" | "cnameTarget" => (1, 253),
            "name" => (1, limits::MAX_OWNERSHIP_NAME_BYTES),
            "value" => (1, limits::MAX_OWNERSHIP_VALUE_BYTES),
            "status" => (1, 64),
            // From "2026-01-02T03:04:05Z" to nine digits of a second and an offset.
            "createdAt" | "updatedAt" | "nextAttemptAt" | "certificateNotAfter" => (20, 35),
            _ => return None,
        })
    };
    let mut bounded = BTreeSet::new();
    for (name, schema) in found {
        match name {
            "lastErrorCode" => assert_eq!(schema["maxLength"], limits::MAX_ERROR_CODE_BYTES),
            "lastErrorMessage" => assert_eq!(schema["maxLength"], limits::MAX_ERROR_MESSAGE_BYTES),
            // A closed list, in what a caller sends; or the word of the health check.
            "status" if schema.get("enum").is_some() => {
                assert_eq!(schema["enum"], json!(Status::ALL.map(Status::as_str)));
            }
            "status" if schema["example"] == "Healthy" => {}
            _ => {
                let Some((least, most)) = wanted(name) else {
                    continue;
                };
                assert_eq!(schema["minLength"], least, "{name}");
                assert_eq!(schema["maxLength"], most, "{name}");
                bounded.insert(name);
            }
        }
    }
    assert_eq!(bounded.len(), 12, "{bounded:?}");
    let reported = &DOCUMENT["components"]["schemas"]["StatusReport"]["properties"]["status"];
    assert_eq!(reported["enum"], json!(Status::ALL.map(Status::as_str)));
}
