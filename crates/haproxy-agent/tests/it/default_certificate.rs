//! The answer to a client that asks for a name without a certificate, or for none. The shipped
//! configuration and the variant of the guide are tested.

use std::os::unix::fs::PermissionsExt as _;

use dps_x509::CertificateChain;

use crate::world::{World, eventually};

const GUIDE: &str = include_str!("../../../../deploy/haproxy/README.md");

/// The fingerprint that is presented for a name, or for no name at all; `None` if the handshake is
/// refused with the alert `unrecognized_name`.
pub(crate) async fn presented(world: &World, name: Option<&str>) -> Option<String> {
    let leaf = dps_lab::tls::presented_leaf(world.https, name)
        .await
        .unwrap();
    leaf.map(|leaf| leaf.fingerprint)
}

#[tokio::test]
async fn as_shipped_an_unknown_name_or_none_gets_an_alert_and_haproxy_starts_with_an_empty_list() {
    let world = World::new().await;
    for name in [Some("unknown.example.com"), None] {
        assert_eq!(presented(&world, name).await, None);
    }
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    assert_eq!(
        presented(&world, Some("shop.example.com")).await.as_deref(),
        Some(issued.fingerprint())
    );
    assert_eq!(presented(&world, Some("unknown.example.com")).await, None);
}

#[tokio::test]
async fn with_the_guides_variant_unknown_names_get_the_default_certificate_from_the_first_start_on()
{
    let mut world = World::without_haproxy().await;
    let path = world.state("default.pem");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let certificate = text
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap();
    let default = CertificateChain::from_pem(certificate).unwrap();

    let shipped = include_str!("../../../../deploy/haproxy/haproxy.cfg");
    let usual = shipped
        .lines()
        .find(|line| line.trim_start().starts_with("bind :443"))
        .unwrap();
    let block = GUIDE
        .split("```haproxy default-certificate\n")
        .nth(1)
        .unwrap();
    let variant = block.lines().next().unwrap();
    world.replace_in_configuration(usual, variant);
    world.start_haproxy().await;
    for name in [Some("unknown.example.com"), None] {
        eventually("HAProxy presents its default", async || {
            presented(&world, name).await.as_deref() == Some(default.fingerprint())
        })
        .await;
    }
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    world.assert_serves(&issued).await;
    assert_eq!(
        presented(&world, None).await.as_deref(),
        Some(default.fingerprint())
    );
    world.client().remove(&issued.hostname).await.unwrap();
    assert_eq!(
        presented(&world, Some("shop.example.com")).await.as_deref(),
        Some(default.fingerprint())
    );
    world.assert_loadable();

    world.stop_agent().await;
    world.start_agent().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "made once");
}
