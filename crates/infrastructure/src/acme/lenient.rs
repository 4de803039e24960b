//! Repair of a CA's responses for strict decoders: `null` counts as absent, and optional members of
//! an unknown kind are left out.
//!
//! RFC 8555 §7.1 tells clients to ignore what they do not recognise. The protocol library refuses a
//! whole response for one `null`, one unknown identifier type or one unknown challenge. So
//! responses pass through here first.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The states of a challenge (RFC 8555 §7.1.6).
const CHALLENGE_STATES: [&str; 4] = ["pending", "processing", "valid", "invalid"];

/// The body as it is decoded; bytes that are no JSON object stay as they came.
pub(super) fn normalize(body: Bytes) -> Bytes {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(&body) else {
        return body;
    };
    drop_nulls(&mut answer);
    if answer.contains_key("newOrder") {
        directory(&mut answer);
    } else if answer.contains_key("suggestedWindow") {
        keep_if(&mut answer, "explanationURL", Value::is_string);
    } else if answer.contains_key("finalize") || answer.contains_key("authorizations") {
        order(&mut answer);
    } else if is_challenge(&answer) {
        challenge(&mut answer);
    } else if answer.contains_key("challenges") || answer.contains_key("identifier") {
        authorization(&mut answer);
    } else {
        problem(&mut answer);
    }
    serde_json::to_vec(&answer).map_or(body, Bytes::from)
}

/// Members and list elements that are `null`, at any depth.
fn drop_nulls(object: &mut Map<String, Value>) {
    fn inside(value: &mut Value) -> bool {
        match value {
            Value::Null => return false,
            Value::Object(members) => drop_nulls(members),
            Value::Array(elements) => elements.retain_mut(inside),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        true
    }
    object.retain(|_, value| inside(value));
}

fn keep_if(object: &mut Map<String, Value>, member: &str, is_usable: impl FnOnce(&Value) -> bool) {
    if object.get(member).is_some_and(|value| !is_usable(value)) {
        object.remove(member);
    }
}

fn directory(answer: &mut Map<String, Value>) {
    for resource in ["newAuthz", "revokeCert", "keyChange", "renewalInfo"] {
        keep_if(answer, resource, Value::is_string);
    }
    keep_if(answer, "meta", Value::is_object);
    if let Some(Value::Object(meta)) = answer.get_mut("meta") {
        keep_if(meta, "termsOfService", Value::is_string);
        keep_if(meta, "profiles", Value::is_object);
        if let Some(Value::Object(profiles)) = meta.get_mut("profiles") {
            profiles.retain(|_, description| description.is_string());
        }
        keep_if(meta, "caaIdentities", Value::is_array);
        if let Some(Value::Array(identities)) = meta.get_mut("caaIdentities") {
            identities.retain(Value::is_string);
        }
    }
}

fn order(answer: &mut Map<String, Value>) {
    for member in ["certificate", "replaces", "profile"] {
        keep_if(answer, member, Value::is_string);
    }
    error(answer);
}

fn authorization(answer: &mut Map<String, Value>) {
    keep_if(answer, "wildcard", Value::is_boolean);
    // An authorization is read by its order's URL. The library demands its identifier, which is not
    // used.
    if !answer.get("identifier").is_some_and(is_identifier) {
        answer.insert(
            "identifier".to_owned(),
            json!({ "type": "dns", "value": "" }),
        );
    }
    keep_if(answer, "challenges", Value::is_array);
    let challenges = answer
        .entry("challenges")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(challenges) = challenges {
        challenges.retain_mut(|offered| match offered {
            Value::Object(offered) if is_challenge(offered) => {
                challenge(offered);
                true
            }
            _ => false,
        });
    }
}

/// Whether an object is a challenge that can be answered or at least read.
fn is_challenge(object: &Map<String, Value>) -> bool {
    let text = |member: &str| object.get(member).and_then(Value::as_str);
    let is_whole =
        text("type") != Some("http-01") || text("token").is_some_and(|token| !token.is_empty());
    text("type").is_some()
        && text("url").is_some()
        && text("status").is_some_and(|status| CHALLENGE_STATES.contains(&status))
        && is_whole
}

fn challenge(object: &mut Map<String, Value>) {
    keep_if(object, "token", Value::is_string);
    error(object);
}

/// The problem inside an order or a challenge.
fn error(object: &mut Map<String, Value>) {
    keep_if(object, "error", Value::is_object);
    if let Some(Value::Object(error)) = object.get_mut("error") {
        problem(error);
    }
}

/// A problem document (RFC 7807, RFC 8555 §6.7).
fn problem(object: &mut Map<String, Value>) {
    for member in ["type", "detail"] {
        keep_if(object, member, Value::is_string);
    }
    keep_if(object, "status", |status| {
        status
            .as_u64()
            .is_some_and(|status| u16::try_from(status).is_ok())
    });
    keep_if(object, "subproblems", Value::is_array);
    if let Some(Value::Array(subproblems)) = object.get_mut("subproblems") {
        subproblems.retain_mut(|sub| match sub {
            Value::Object(sub) => {
                for member in ["type", "detail"] {
                    keep_if(sub, member, Value::is_string);
                }
                keep_if(sub, "identifier", is_identifier);
                true
            }
            _ => false,
        });
    }
}

/// Whether a value is a DNS identifier, the only kind that we order for (RFC 8555 §9.7.7).
fn is_identifier(value: &Value) -> bool {
    value["type"] == "dns" && value["value"].is_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&normalize(Bytes::from(answer.to_string())))
    }

    /// The answer with one member after another made `null`, left out where `optional`, or of
    /// another type.
    fn disturbed<'a>(answer: &'a Value, optional: &'a [&str]) -> impl Iterator<Item = Value> + 'a {
        let others = [
            Value::Null,
            json!(7),
            json!([null]),
            json!({ "a": { "b": null } }),
            json!("text"),
        ];
        optional.iter().flat_map(move |path| {
            others.clone().into_iter().map(move |other| {
                let mut changed = answer.clone();
                let place = changed
                    .pointer_mut(path)
                    .unwrap_or_else(|| panic!("{path} is there"));
                *place = other;
                changed
            })
        })
    }

    fn problem_document() -> Value {
        json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "policy forbids",
            "status": 400,
            "instance": null,
            "subproblems": [{
                "type": "urn:ietf:params:acme:error:caa",
                "detail": "no",
                "identifier": { "type": "dns", "value": "shop.example.com" },
            }],
        })
    }

    #[test]
    fn a_problem_is_read_whatever_its_members_are() {
        let whole = problem_document();
        let optional = [
            "/type",
            "/detail",
            "/status",
            "/subproblems",
            "/subproblems/0",
            "/subproblems/0/type",
            "/subproblems/0/detail",
            "/subproblems/0/identifier",
            "/subproblems/0/identifier/type",
        ];
        for answer in disturbed(&whole, &optional) {
            read::<instant_acme::Problem>(&answer)
                .unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
        let untouched: instant_acme::Problem = read(&whole).unwrap();
        assert_eq!(untouched.subproblems.len(), 1);
        assert!(untouched.subproblems[0].identifier.is_some());
    }

    #[test]
    fn an_order_is_read_whatever_its_optional_members_are() {
        let whole = json!({
            "status": "invalid",
            "expires": "2026-01-01T00:00:00Z",
            "identifiers": [{ "type": "dns", "value": "shop.example.com" }],
            "authorizations": ["https://ca.example/authz/1"],
            "finalize": "https://ca.example/finalize/1",
            "certificate": "https://ca.example/cert/1",
            "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
            "profile": "classic",
            "error": problem_document(),
            "notBefore": null,
        });
        let optional = [
            "/expires",
            "/identifiers",
            "/certificate",
            "/profile",
            "/error",
            "/error/subproblems",
            "/error/status",
        ];
        for answer in disturbed(&whole, &optional) {
            read::<instant_acme::OrderState>(&answer)
                .unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
        let absent = json!({ "status": "valid", "authorizations": ["a"], "finalize": "f", "replaces": null, "error": null });
        assert!(read::<instant_acme::OrderState>(&absent).is_ok());
    }

    #[test]
    fn an_authorization_offers_its_whole_challenges_and_no_others() {
        let http01 = json!({ "type": "http-01", "status": "pending", "url": "https://ca.example/c/1", "token": "t" });
        let whole = json!({
            "identifier": { "type": "dns", "value": "shop.example.com" },
            "status": "pending",
            "expires": null,
            "wildcard": null,
            "challenges": [
                { "type": "dns-persist-01", "status": "pending", "url": "https://ca.example/c/2",
                  "issuer-domain-names": ["ca.example"], "token": null },
                { "type": "http-01", "status": "pending", "url": "https://ca.example/c/3" },
                { "type": "tls-alpn-01", "status": "undecided", "url": "https://ca.example/c/4", "token": "t" },
                { "type": null, "status": "pending", "url": "https://ca.example/c/5" },
                "dns-01", null, 7,
                http01,
            ],
        });
        let state: instant_acme::AuthorizationState = read(&whole).unwrap();
        let urls: Vec<_> = state
            .challenges
            .iter()
            .map(|challenge| challenge.url.as_str())
            .collect();
        assert_eq!(urls, ["https://ca.example/c/2", "https://ca.example/c/1"]);
        for answer in disturbed(
            &whole,
            &[
                "/identifier",
                "/identifier/type",
                "/expires",
                "/wildcard",
                "/challenges",
            ],
        ) {
            read::<instant_acme::AuthorizationState>(&answer)
                .unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
        let mut failed = http01;
        failed["error"] = problem_document();
        failed["validated"] = Value::Null;
        for answer in disturbed(
            &failed,
            &["/error", "/error/subproblems", "/error/type", "/validated"],
        ) {
            read::<instant_acme::Challenge>(&answer)
                .unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
    }

    #[test]
    fn what_is_no_json_object_stays_as_it_came() {
        for body in [
            "",
            "<html>",
            "[null]",
            "null",
            "-----BEGIN CERTIFICATE-----\n",
            "{\"a\":",
        ] {
            assert_eq!(normalize(Bytes::from(body)), body);
        }
    }
}
