//! No call of the agent gives away a private key, whatever is asked.

use dps_x509::CertificateKey;
use reqwest::Method;
use secrecy::ExposeSecret;

use crate::authority::Issued;
use crate::world::{TOKEN, World};

/// The beginning of every P-256 key in PKCS#8, up to the scalar.
const HEAD: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
/// Base64 characters of the 32 octets of the scalar.
const SCALAR: usize = 42;

/// The forms in which a key's scalar could slip out: any 16 Base64 characters in a row of it, and
/// its octets in hex.
fn forms(key: &CertificateKey) -> Vec<String> {
    let pem = key.to_pem();
    let text: String = pem
        .expose_secret()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let scalar = &text.strip_prefix(HEAD).unwrap()[..SCALAR];
    let mut forms: Vec<String> = (0..=SCALAR - 16)
        .map(|at| scalar[at..at + 16].to_owned())
        .collect();
    forms.push(hex::encode(&key.pkcs8_der()[36..68]));
    forms
}

#[tokio::test]
async fn no_answer_of_any_call_holds_key_material() {
    let mut world =
        World::with_settings(|settings| settings.max_runtime_request_bytes = 4096).await;
    world.start_haproxy().await;
    let served = world.authority.issue("shop.example.com");
    let refused = world.authority.issue_padded("long.example.com", 6000);
    let calls = calls(&served, &refused);
    let secrets: Vec<_> = [&served.key, &refused.key]
        .into_iter()
        .flat_map(forms)
        .collect();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (method, path, body) in calls {
        let url = format!("{}{path}", world.agent_url());
        let answer = http
            .request(method, url)
            .bearer_auth(TOKEN)
            .body(body)
            .send()
            .await
            .unwrap();
        let headers = format!("{:?}", answer.headers());
        let said = headers + &answer.text().await.unwrap();
        assert!(!said.contains("PRIVATE KEY"), "{path}: {said}");
        let leaked = secrets
            .iter()
            .find(|secret| said.to_lowercase().contains(&secret.to_lowercase()));
        assert_eq!(leaked, None, "{path}: {said}");
    }
}

/// Every call that there is, and many that there are not.
fn calls(served: &Issued, refused: &Issued) -> Vec<(Method, &'static str, String)> {
    let good = serde_json::to_value(served.request(1)).unwrap();
    let changed = |field: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let key = served.key.to_pem().expose_secret().to_owned();
    let apply = "/internal/v1/certificates/apply";
    vec![
        (Method::POST, apply, good.to_string()),
        (Method::POST, apply, good.to_string()),
        (
            Method::POST,
            apply,
            serde_json::to_string(&refused.request(1)).unwrap(),
        ),
        // Keys in places where no key belongs, which an error could repeat.
        (
            Method::POST,
            apply,
            changed("hostname", key.as_str().into()),
        ),
        (
            Method::POST,
            apply,
            changed("chainPem", key.as_str().into()),
        ),
        (
            Method::POST,
            apply,
            changed("fingerprint", key.as_str().into()),
        ),
        (
            Method::POST,
            apply,
            changed("generation", key.as_str().into()),
        ),
        (
            Method::POST,
            apply,
            changed("privateKeyPem", format!("{key}{key}").into()),
        ),
        (
            Method::POST,
            apply,
            changed(
                "privateKeyPem",
                key.replace("PRIVATE", "ENCRYPTED PRIVATE").into(),
            ),
        ),
        (
            Method::POST,
            apply,
            changed("privateKeyPem", serde_json::json!([key])),
        ),
        (Method::POST, apply, key.clone()),
        (
            Method::POST,
            apply,
            good.to_string().replace("privateKeyPem", "private_key_pem"),
        ),
        (
            Method::PUT,
            "/internal/v1/challenges/abc",
            serde_json::json!({ "keyAuthorization": key }).to_string(),
        ),
        (Method::GET, "/internal/v1/certificates", String::new()),
        (
            Method::GET,
            "/internal/v1/certificates?limit=1&cursor=a.example",
            String::new(),
        ),
        (
            Method::GET,
            "/internal/v1/certificates/shop.example.com",
            String::new(),
        ),
        (Method::GET, "/internal/v1/challenges/abc", String::new()),
        (
            Method::GET,
            "/.well-known/acme-challenge/abc",
            String::new(),
        ),
        (Method::GET, "/health", String::new()),
        (Method::GET, "/metrics", String::new()),
        (Method::GET, "/certs/shop.example.com.pem", String::new()),
        (
            Method::GET,
            "/internal/v1/certificates/..%2f..%2fcerts",
            String::new(),
        ),
        (
            Method::DELETE,
            "/internal/v1/certificates/shop.example.com",
            String::new(),
        ),
    ]
}
