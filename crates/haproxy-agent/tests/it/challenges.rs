//! HTTP-01 through HAProxy, as a certificate authority asks.

use reqwest::redirect::Policy;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::World;

#[tokio::test]
async fn a_published_challenge_is_answered_behind_haproxy_until_it_is_withdrawn() {
    let world = World::new().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let url = |path: &str| format!("http://{}/{path}", world.http);
    let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        .parse()
        .unwrap();
    let path = format!(".well-known/acme-challenge/{token}");
    world
        .client()
        .publish_challenge(&token, "LoqX.thumbprint")
        .await
        .unwrap();

    let answer = http
        .get(url(&path))
        .header("host", "shop.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(answer.text().await.unwrap(), "LoqX.thumbprint");
    let head = http.head(url(&path)).send().await.unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-length"].to_str().unwrap()
        ),
        (200, "15")
    );
    assert_eq!(
        world
            .client()
            .read_challenge(&token)
            .await
            .unwrap()
            .as_deref(),
        Some("LoqX.thumbprint")
    );

    for unknown in ["abc", "a.b", "..%2f..%2fhealth", &"x".repeat(200)] {
        let answer = http
            .get(url(&format!(".well-known/acme-challenge/{unknown}")))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{unknown}");
        assert!(answer.text().await.unwrap().len() < 100);
    }
    let elsewhere = http
        .get(url("shop?x=1"))
        .header("host", "shop.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), 308);
    assert_eq!(
        elsewhere.headers()["location"],
        "https://shop.example.com/shop?x=1"
    );

    world.client().withdraw_challenge(&token).await.unwrap();
    assert_eq!(http.get(url(&path)).send().await.unwrap().status(), 404);
    assert_eq!(world.client().read_challenge(&token).await.unwrap(), None);
}

#[tokio::test]
async fn the_internal_calls_are_not_reachable_through_haproxys_challenge_path() {
    let world = World::new().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let url = format!("http://{}/.well-known/acme-challenge/", world.http);
    for sneaky in ["%2e%2e/%2e%2e/metrics", "../../metrics", ""] {
        let answer = http.get(format!("{url}{sneaky}")).send().await.unwrap();
        assert_ne!(answer.status(), 200, "{sneaky}");
    }
}

#[tokio::test]
async fn health_and_metrics_show_how_the_edge_is() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    let health = world.client().health().await.unwrap();
    assert_eq!(
        (health.certificates, health.haproxy.pid),
        (1, Some(world.pid()))
    );
    assert!(health.haproxy.version.is_some());

    let answer = reqwest::get(format!("{}/metrics", world.agent_url()))
        .await
        .unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    for line in [
        "haproxy_domain_agent_applied_total{outcome=\"created\"} 1",
        "haproxy_domain_agent_certificates{state=\"served\"} 1",
        "haproxy_domain_agent_certificates{state=\"not_served\"} 0",
        "haproxy_domain_agent_burst_certificates_count 1",
        "haproxy_domain_agent_apply_seconds_count 1",
        "haproxy_domain_agent_haproxy_up 1",
        "haproxy_domain_agent_in_sync 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let disk_bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("haproxy_domain_agent_disk_bytes "));
    let file = world.store(&issued.hostname);
    let size = std::fs::metadata(file.as_str()).unwrap().len();
    assert_eq!(disk_bytes, Some(size.to_string().as_str()));
    assert!(!text.contains("shop.example.com"));
}

#[tokio::test]
async fn a_flood_of_unknown_tokens_costs_nothing_and_publications_without_end_are_bounded() {
    let mut world = World::with_settings(|settings| settings.max_challenges = 50).await;
    world.start_haproxy().await;
    let client = world.client();
    let known = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        .parse()
        .unwrap();
    client
        .publish_challenge(&known, "LoqX.thumbprint")
        .await
        .unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    for round in 0..500 {
        let url = format!(
            "http://{}/.well-known/acme-challenge/{round}{}",
            world.http,
            "x".repeat(100)
        );
        let method = if round % 2 == 0 {
            reqwest::Method::GET
        } else {
            reqwest::Method::HEAD
        };
        let answer = http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "text/plain");
        assert!(answer.content_length().unwrap_or(0) < 100);
    }
    assert_eq!(client.health().await.unwrap().challenges, 1);

    let mut refused = 0;
    for round in 0..200 {
        let token = format!("{round}-token").parse().unwrap();
        match client.publish_challenge(&token, &"x".repeat(512)).await {
            Ok(()) => {}
            Err(error) => {
                assert!(error.to_string().contains("CAPACITY_EXHAUSTED"), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(
        (refused, client.health().await.unwrap().challenges),
        (151, 50)
    );
    // A published challenge is still answered, may be published again, and makes room when it is
    // withdrawn.
    client
        .publish_challenge(&known, "LoqX.thumbprint")
        .await
        .unwrap();
    assert_eq!(
        client.read_challenge(&known).await.unwrap().as_deref(),
        Some("LoqX.thumbprint")
    );
    client.withdraw_challenge(&known).await.unwrap();
    client
        .publish_challenge(&"one-more".parse().unwrap(), "x")
        .await
        .unwrap();
}

#[tokio::test]
async fn clients_that_send_slowly_or_without_end_keep_no_authority_from_its_answer() {
    let world = World::new().await;
    let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        .parse()
        .unwrap();
    world
        .client()
        .publish_challenge(&token, "LoqX.thumbprint")
        .await
        .unwrap();
    let path = format!("/.well-known/acme-challenge/{token}");
    let mut slow = Vec::new();
    // Half a head, a body that never ends, and the same straight at the agent, beside HAProxy.
    for (address, count) in [(world.http, 150), (world.settings.listen, 150)] {
        for round in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let text = if round % 2 == 0 {
                format!("GET {path} HTTP/1.1\r\nhost: shop.exam")
            } else {
                format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\nx")
            };
            stream.write_all(text.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..20 {
        let request = http.get(format!("http://{}{path}", world.http)).send();
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3), request).await;
        assert_eq!(
            answer.unwrap().unwrap().text().await.unwrap(),
            "LoqX.thumbprint"
        );
    }
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    drop(slow);
}

#[tokio::test]
async fn a_challenge_is_answered_after_a_restart_until_it_is_withdrawn() {
    let mut world = World::without_haproxy().await;
    let (kept, withdrawn) = ("kept".parse().unwrap(), "withdrawn".parse().unwrap());
    for token in [&kept, &withdrawn] {
        let client = world.client();
        client
            .publish_challenge(token, &format!("{token}.thumbprint"))
            .await
            .unwrap();
    }
    world.client().withdraw_challenge(&withdrawn).await.unwrap();
    world.stop_agent().await;
    world.start_agent().await;
    let client = world.client();
    let answer = client.read_challenge(&kept).await.unwrap();
    assert_eq!(answer.as_deref(), Some("kept.thumbprint"));
    assert_eq!(client.read_challenge(&withdrawn).await.unwrap(), None);
    client.withdraw_challenge(&kept).await.unwrap();
    world.stop_agent().await;
    world.start_agent().await;
    assert_eq!(world.client().read_challenge(&kept).await.unwrap(), None);
}
