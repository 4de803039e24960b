//! The answer to a client that asks for a name without a certificate, or for none. The shipped
//! configuration and the variant of the guide are tested.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use dps_x509::CertificateChain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::{World, eventually};

const GUIDE: &str = include_str!("../../../../deploy/haproxy/README.md");

/// Takes any certificate: to see what is presented, not whom to believe.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The fingerprint that is presented for a name, or for no name at all; the error's text if there
/// is none.
pub(crate) async fn presented(world: &World, name: Option<&str>) -> Result<String, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.enable_sni = name.is_some();
    let name = ServerName::try_from(name.unwrap_or("nobody.example").to_owned()).unwrap();
    let tcp = TcpStream::connect(world.https)
        .await
        .map_err(|error| error.to_string())?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await;
    let tls = tls.map_err(|error| error.to_string())?;
    let leaf = tls
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap();
    Ok(CertificateChain::fingerprint_of(leaf))
}

#[tokio::test]
async fn as_shipped_an_unknown_name_or_none_gets_an_alert_and_haproxy_starts_with_an_empty_list() {
    let world = World::new().await;
    for name in [Some("unknown.example.com"), None] {
        let refused = presented(&world, name).await.unwrap_err();
        assert!(
            refused.contains("UnrecognizedName") || refused.contains("UnrecognisedName"),
            "{refused}"
        );
    }
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    assert_eq!(
        presented(&world, Some("shop.example.com")).await.unwrap(),
        issued.fingerprint()
    );
    assert!(
        presented(&world, Some("unknown.example.com"))
            .await
            .is_err()
    );
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
            presented(&world, name).await.as_deref() == Ok(default.fingerprint())
        })
        .await;
    }
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    world.assert_serves(&issued).await;
    assert_eq!(
        presented(&world, None).await.as_deref(),
        Ok(default.fingerprint())
    );
    world.client().remove(&issued.hostname).await.unwrap();
    assert_eq!(
        presented(&world, Some("shop.example.com")).await.as_deref(),
        Ok(default.fingerprint())
    );
    world.assert_loadable();

    world.stop_agent().await;
    world.start_agent().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "made once");
}
