use dps_lab::LabError;
use dps_lab::tls::{LocalAuthority, client_config, install_crypto_provider};

#[test]
fn the_crypto_provider_may_be_installed_any_number_of_times() {
    install_crypto_provider();
    install_crypto_provider();
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}

#[test]
fn a_client_that_would_trust_nobody_is_refused() {
    assert!(client_config(&LocalAuthority::new().unwrap().root_pem()).is_ok());
    assert!(matches!(client_config(""), Err(LabError::Invalid { .. })));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        client_config(broken),
        Err(LabError::Invalid { .. })
    ));
}
