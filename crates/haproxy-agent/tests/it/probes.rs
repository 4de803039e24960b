//! The HTTP probe from an edge, within the rules of the service's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dps_agent_api::{AgentError, ProbeRequest, ProbeResult, ProblemCode};
use dps_lab::web::{Answer, WebServer};

use crate::world::World;

const EXPECTED: &str = "dps-probe.expected";

/// A server that answers every request with this text.
async fn server(body: &str) -> WebServer {
    let answer = Answer::Content {
        status: 200,
        body: body.to_owned(),
    };
    WebServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), answer)
        .await
        .unwrap()
}

fn request(address: IpAddr) -> ProbeRequest {
    ProbeRequest {
        hostname: "shop.example.com".parse().unwrap(),
        address,
        token: "probe-0123".to_owned(),
        expected: EXPECTED.to_owned(),
    }
}

async fn probed(world: &World) -> ProbeResult {
    let request = request(Ipv4Addr::LOCALHOST.into());
    world.client().probe(&request).await.unwrap()
}

#[tokio::test]
async fn an_edge_fetches_the_token_from_the_address_and_says_what_it_got() {
    let ours = server(EXPECTED).await;
    let world = World::with_settings(|settings| {
        settings.probe_port = ours.address().port();
        settings.allow_private_probes = true;
    })
    .await;
    assert_eq!(probed(&world).await, ProbeResult::Ours);
    let received = ours.received();
    assert!(received[0].path.ends_with("/probe-0123"), "{received:?}");
    assert!(received[0].host.starts_with("shop.example.com"));

    let strangers = server("Somebody else.").await;
    let world = World::with_settings(|settings| {
        settings.probe_port = strangers.address().port();
        settings.allow_private_probes = true;
    })
    .await;
    assert_eq!(
        probed(&world).await,
        ProbeResult::WrongBody { server: None }
    );
}

#[tokio::test]
async fn an_edge_connects_to_no_address_inside_and_sends_no_other_token() {
    let inside = server(EXPECTED).await;
    let port = inside.address().port();
    let world = World::with_settings(|settings| settings.probe_port = port).await;
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"] {
        let request = request(address.parse().unwrap());
        let result = world.client().probe(&request).await.unwrap();
        assert!(
            matches!(result, ProbeResult::Forbidden { .. }),
            "{address}: {result:?}"
        );
    }
    assert!(inside.received().is_empty(), "no connection was made");
    for token in ["", "../../health", "a b", &"x".repeat(129)] {
        let request = ProbeRequest {
            token: token.to_owned(),
            ..request(Ipv4Addr::LOCALHOST.into())
        };
        let refused = world.client().probe(&request).await.unwrap_err();
        let AgentError::Refused { code, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(code, ProblemCode::RequestMalformed, "{token:?}");
    }
}
