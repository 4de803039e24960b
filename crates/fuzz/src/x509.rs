//! Certificate chains and keys in PEM.

use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateChain, CertificateKey, check};

/// A chain and a key in one text, in any order, checked for a name that the corpus uses.
pub(crate) fn certificate_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let key = CertificateKey::from_pem(&text);
    let Ok(chain) = CertificateChain::from_pem(&text) else {
        return;
    };
    let written = CertificateChain::from_pem(&chain.to_pem()).expect("what is written can be read");
    assert_eq!(written.der(), chain.der(), "a chain survives writing");
    if let Ok(key) = key {
        let hostname = Hostname::parse("live.upgrade.test").expect("a hostname");
        let _ = check(&chain, &key, &hostname, Timestamp::EPOCH);
    }
}
