//! Unfit certificates are refused with the reason, and nothing changes at the edge.

use std::sync::Arc;

use dps_agent_api::{AgentClient, AgentError, ApplyRequest, ClientOptions, ProblemCode};
use dps_x509::CertificateKey;
use haproxy_domain_agent::{Clock, SystemClock};
use secrecy::{ExposeSecret, SecretString};

use crate::authority::{Authority, DAY, Issued, host};
use crate::world::{TOKEN, World};

async fn refused(client: &AgentClient, request: &ApplyRequest) -> (ProblemCode, String) {
    match client.apply(request).await {
        Err(AgentError::Refused { code, detail, .. }) => (code, detail),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn bad_certificates_are_refused_by_name_and_change_nothing() {
    let world = World::new().await;
    let served = world.authority.issue("shop.example.com");
    world.client().apply(&served.request(1)).await.unwrap();
    let (files, stores) = (world.files(), world.operator().stores().await.unwrap());
    let (good, now) = (world.authority.issue("shop.example.com"), SystemClock.now());
    let request = |issued: &Issued| issued.request(2);
    let with_key = |pem: &str| ApplyRequest {
        private_key_pem: SecretString::from(pem),
        ..good.request(2)
    };
    let with_chain = |pem: String| ApplyRequest {
        chain_pem: pem,
        ..good.request(2)
    };
    let other_key = CertificateKey::generate().unwrap().to_pem();
    let stranger = Authority::new().issue("shop.example.com");
    let other_issuer = [good.chain.der()[0].clone(), stranger.chain.der()[1].clone()].to_vec();
    let disordered = dps_x509::CertificateChain::from_der(other_issuer)
        .unwrap()
        .to_pem();
    let expired = world.authority.issue_for(
        "shop.example.com",
        "shop.example.com",
        now - 90 * DAY,
        now - DAY,
    );
    let early = world.authority.issue_for(
        "shop.example.com",
        "shop.example.com",
        now + DAY,
        now + 90 * DAY,
    );
    let foreign = world.authority.issue_for(
        "shop.example.com",
        "other.example.com",
        now - DAY,
        now + DAY,
    );
    let truncated = good.chain.to_pem()[..500].to_owned();

    for (request, expected) in [
        (
            with_key(other_key.expose_secret()),
            ProblemCode::KeyMismatch,
        ),
        (with_key("no key at all"), ProblemCode::KeyMalformed),
        (
            with_key(
                &good
                    .key
                    .to_pem()
                    .expose_secret()
                    .replace("PRIVATE", "ENCRYPTED PRIVATE"),
            ),
            ProblemCode::KeyMalformed,
        ),
        (with_chain(truncated), ProblemCode::ChainMalformed),
        (
            with_chain("garbage".to_owned()),
            ProblemCode::ChainMalformed,
        ),
        (
            with_chain(good.chain.to_pem().repeat(10)),
            ProblemCode::ChainMalformed,
        ),
        (with_chain(disordered), ProblemCode::ChainOutOfOrder),
        (request(&expired), ProblemCode::Expired),
        (request(&early), ProblemCode::NotYetValid),
        (request(&foreign), ProblemCode::NameNotCovered),
        (
            ApplyRequest {
                fingerprint: "00".repeat(32),
                ..good.request(2)
            },
            ProblemCode::FingerprintMismatch,
        ),
        (good.request(0), ProblemCode::GenerationStale),
        (good.request(1), ProblemCode::GenerationConflict),
    ] {
        let (code, detail) = refused(&world.client(), &request).await;
        assert_eq!(code, expected, "{detail}");
        assert!(!detail.is_empty() && !detail.contains("BEGIN"), "{detail}");
    }
    world.assert_serves(&served).await;
    assert_eq!(world.files(), files);
    assert_eq!(world.operator().stores().await.unwrap(), stores);
}

#[tokio::test]
async fn requests_that_are_none_are_refused_with_a_problem_document() {
    let world = World::new().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}{path}", world.agent_url());
    let apply = url("/internal/v1/certificates/apply");
    let cases = [
        (http.post(&apply).body("{"), 400, "REQUEST_MALFORMED"),
        (
            http.post(&apply).body(r#"{"hostname":"*.example.com"}"#),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.post(&apply).body("x".repeat(300 * 1024)),
            413,
            "REQUEST_TOO_LARGE",
        ),
        (
            http.delete(url("/internal/v1/certificates/not_a_name")),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.delete(url("/internal/v1/certificates/%2e%2e%2fetc")),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.delete(url("/internal/v1/certificates/shop.example?generation=-1")),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.delete(url(
                "/internal/v1/certificates/shop.example?generation=9223372036854775808",
            )),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.get(url("/internal/v1/certificates?limit=many")),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.put(url("/internal/v1/challenges/a.b"))
                .body(r#"{"keyAuthorization":"x"}"#),
            400,
            "REQUEST_MALFORMED",
        ),
        (
            http.put(url("/internal/v1/challenges/ab"))
                .body(r#"{"keyAuthorization":"a b"}"#),
            400,
            "REQUEST_MALFORMED",
        ),
        (http.get(&apply), 405, "METHOD_NOT_ALLOWED"),
        (http.get(url("/internal/v1/nothing")), 404, "NOT_FOUND"),
    ];
    for (call, status, code) in cases {
        let answer = call.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.url());
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(
            (problem["code"].as_str(), problem["status"].as_u64()),
            (Some(code), Some(status.into()))
        );
    }
}

#[tokio::test]
async fn absurd_pages_are_bounded_or_refused_by_name() {
    let world = World::new().await;
    for name in ["a.example.com", "b.example.com"] {
        let issued = world.authority.issue(name);
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let long = "x".repeat(5000);
    for (query, field) in [
        ("limit=99999999999999999999999", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=..%2f..%2fetc%2fpasswd", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=a%0d%0ashow%20info", "cursor"),
        (&format!("cursor={long}"), "cursor"),
    ] {
        let call = http.get(format!(
            "{}/internal/v1/certificates?{query}",
            world.agent_url()
        ));
        let answer = call.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}");
        let problem: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["field"].as_str(), Some(field), "{query} {problem}");
    }
    // A limit that is a number is reduced to the largest page.
    for (limit, expected) in [(0, 1), (u32::MAX, 2)] {
        let page = world.client().inventory(None, limit).await.unwrap();
        assert_eq!(
            (page.items.len(), page.next_cursor.is_some()),
            (expected, limit == 0)
        );
    }
}

#[tokio::test]
async fn wrong_tokens_are_counted_and_do_not_keep_the_right_one_out() {
    let world = World::new().await;
    let url: url::Url = world.agent_url().parse().unwrap();
    let wrong =
        AgentClient::new(url, SecretString::from("guess"), ClientOptions::default()).unwrap();
    for _ in 0..3 {
        let refused = wrong.inventory(None, 1).await;
        assert!(
            matches!(refused, Err(AgentError::Unauthorized { .. })),
            "{refused:?}"
        );
        world.client().inventory(None, 1).await.unwrap();
    }
    let metrics = reqwest::get(format!("{}/metrics", world.agent_url()))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = "haproxy_domain_agent_refused_total{code=\"UNAUTHORIZED\"} 3\n";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn internal_calls_need_the_token() {
    let world = World::new().await;
    let url: url::Url = world.agent_url().parse().unwrap();
    let wrong =
        AgentClient::new(url, SecretString::from("guess"), ClientOptions::default()).unwrap();
    let issued = world.authority.issue("shop.example.com");
    assert!(matches!(
        wrong.apply(&issued.request(1)).await,
        Err(AgentError::Unauthorized { .. })
    ));
    assert!(matches!(
        wrong.inventory(None, 1).await,
        Err(AgentError::Unauthorized { .. })
    ));
    assert!(matches!(
        wrong.remove(&issued.hostname).await,
        Err(AgentError::Unauthorized { .. })
    ));
    let token = "tok".parse().unwrap();
    assert!(matches!(
        wrong.publish_challenge(&token, "x").await,
        Err(AgentError::Unauthorized { .. })
    ));
    assert!(matches!(
        wrong.withdraw_challenge(&token).await,
        Err(AgentError::Unauthorized { .. })
    ));
    assert_eq!(world.visit(&issued.hostname).await, None);
}

/// A TLS server that presents its own certificate for every name.
async fn impostor() -> std::net::SocketAddr {
    let now = SystemClock.now();
    let (chain, key) =
        dps_x509::self_signed(&host("impostor.example"), now - DAY, now + DAY).unwrap();
    let certificate = rustls::pki_types::CertificateDer::from(chain.der()[0].clone());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.pkcs8_der().to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(tcp).await.map(drop) });
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_that_the_edge_does_not_present_is_taken_back() {
    let mut world = World::new().await;
    let old = world.authority.issue("old.example.com");
    world.client().apply(&old.request(1)).await.unwrap();
    let files = world.files();
    world.stop_agent().await;
    world.settings.tls_address = impostor().await;
    world.start_agent().await;

    let new = world.authority.issue("new.example.com");
    let renewed = world.authority.issue("old.example.com");
    for request in [new.request(1), renewed.request(2)] {
        let verdict = world.client().apply(&request).await;
        assert!(
            matches!(verdict, Err(AgentError::Mismatch { .. })),
            "{verdict:?}"
        );
    }
    assert_eq!(world.visit(&new.hostname).await, None);
    world.assert_serves(&old).await;
    assert_eq!(world.files(), files);
    assert_eq!(
        world
            .client()
            .inventory(None, 10)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn what_exceeds_the_limits_is_refused_and_the_rest_goes_on() {
    let mut world = World::with_settings(|settings| {
        settings.max_certificates = 1;
        settings.max_challenges = 1;
        settings.max_runtime_request_bytes = 4096;
    })
    .await;
    world.start_haproxy().await;
    let long = world.authority.issue_padded("long.example.com", 6000);
    assert_eq!(
        refused(&world.client(), &long.request(1)).await.0,
        ProblemCode::PayloadTooLarge
    );
    let one = world.authority.issue("one.example.com");
    world.client().apply(&one.request(1)).await.unwrap();
    let two = world
        .client()
        .apply(&world.authority.issue("two.example.com").request(1))
        .await;
    assert!(
        matches!(&two, Err(AgentError::Unreachable { detail, .. }) if detail.contains("CAPACITY")),
        "{two:?}"
    );
    world
        .client()
        .publish_challenge(&"a".parse().unwrap(), "x")
        .await
        .unwrap();
    let second = world
        .client()
        .publish_challenge(&"b".parse().unwrap(), "x")
        .await;
    assert!(
        matches!(&second, Err(AgentError::Unreachable { detail, .. }) if detail.contains("CAPACITY"))
    );
    world.assert_serves(&one).await;
    world.assert_loadable();
}
