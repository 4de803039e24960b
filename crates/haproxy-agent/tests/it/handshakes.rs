//! The certificate that HAProxy presents, as the service requests it from the agent.

use crate::authority::host;
use crate::world::World;

#[tokio::test]
async fn an_edge_says_which_certificate_it_presents_and_why_it_presents_none() {
    let mut world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    let seen = world.client().presented(&issued.hostname).await.unwrap();
    assert_eq!(seen.fingerprint, world.visit(&issued.hostname).await);
    assert!(seen.fingerprint.is_some() && seen.problem.is_none());

    let other = host("other.example.com");
    let none = world.client().presented(&other).await.unwrap();
    assert_eq!(none.fingerprint, None);
    assert!(none.problem.unwrap().contains("handshake"));

    world.kill_haproxy();
    let none = world.client().presented(&issued.hostname).await.unwrap();
    assert_eq!(none.fingerprint, None, "nobody listens");
}
