//! Verdicts on good and bad chains, signed by a temporary authority.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use dps_domain::{Hostname, Timestamp};
use dps_x509::{
    CertificateChain, CertificateKey, ChainError, ChainFault, KeyAlgorithm, KeyFault, check,
    csr_der, self_signed,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use secrecy::ExposeSecret;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn name(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

fn at(moment: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(moment.unix_seconds()).unwrap()
}

/// A leaf for `san` valid from a day ago to 89 days ahead, signed by an intermediate that follows
/// it.
fn issued(san: &str) -> (CertificateChain, CertificateKey) {
    let authority_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Intermediate");
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);

    let key = CertificateKey::generate().unwrap();
    let mut leaf = CertificateParams::new(vec![san.to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "leaf");
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = at(now() - DAY);
    leaf.not_after = at(now() + 89 * DAY);
    let leaf_key = KeyPair::from_pem(key.to_pem().expose_secret()).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let chain = CertificateChain::from_der(vec![
        leaf.der().to_vec(),
        authority_certificate.der().to_vec(),
    ])
    .unwrap();
    (chain, key)
}

#[test]
fn a_good_chain_passes_and_knows_itself() {
    let (chain, key) = issued("shop.example.com");
    check(&chain, &key, &name("shop.example.com"), now()).unwrap();
    assert_eq!(chain.intermediates(), 1);
    assert_eq!(chain.leaf().dns_names, ["shop.example.com"]);
    assert_eq!(chain.not_after(), now() + 89 * DAY);
    assert_eq!(chain.fingerprint().len(), 64);
    assert_eq!(
        chain.fingerprint(),
        CertificateChain::fingerprint_of(&chain.der()[0])
    );
    assert_eq!(chain.leaf().fingerprint_sha1.len(), 40);
    assert!(
        !chain
            .leaf()
            .fingerprint_sha1
            .contains(|c: char| c.is_ascii_lowercase())
    );
    assert!(
        chain
            .leaf()
            .authority_key_identifier
            .as_ref()
            .is_some_and(|id| id.len() == 20)
    );
    assert!(!chain.leaf().serial.is_empty());
}

#[test]
fn each_fault_is_distinguished() {
    let (chain, key) = issued("shop.example.com");
    let host = name("shop.example.com");
    let other = CertificateKey::generate().unwrap();
    assert_eq!(
        check(&chain, &other, &host, now()),
        Err(ChainFault::KeyMismatch)
    );

    let elsewhere = check(&chain, &key, &name("other.example.com"), now());
    assert!(matches!(elsewhere, Err(ChainFault::NameNotCovered { .. })));

    let late = check(&chain, &key, &host, now() + 90 * DAY);
    assert_eq!(
        late,
        Err(ChainFault::Expired {
            position: 1,
            not_after: chain.not_after()
        })
    );

    let early = check(&chain, &key, &host, now() - 2 * DAY);
    assert!(matches!(
        early,
        Err(ChainFault::NotYetValid { position: 1, .. })
    ));

    let (stranger, _) = issued("stranger.example.com");
    let mixed = CertificateChain::from_der(vec![chain.der()[0].clone(), stranger.der()[1].clone()])
        .unwrap();
    assert_eq!(
        check(&mixed, &key, &host, now()),
        Err(ChainFault::OutOfOrder { position: 1 })
    );

    let reversed = CertificateChain::from_der(chain.der().iter().rev().cloned().collect()).unwrap();
    assert_eq!(
        check(&reversed, &key, &host, now()),
        Err(ChainFault::KeyMismatch)
    );
}

#[test]
fn a_wildcard_covers_one_label_only() {
    let (chain, key) = issued("*.example.com");
    check(&chain, &key, &name("shop.example.com"), now()).unwrap();
    for uncovered in ["example.com", "a.shop.example.com", "shop.example.net"] {
        let verdict = check(&chain, &key, &name(uncovered), now());
        assert!(
            matches!(verdict, Err(ChainFault::NameNotCovered { .. })),
            "{uncovered}"
        );
    }
}

#[test]
fn untidy_pem_is_read_and_tidy_pem_is_written() {
    let (chain, _) = issued("shop.example.com");
    let tidy = chain.to_pem();
    let untidy = format!(
        "subject=leaf\r\n\r\n{}\r\nthe end\r\n",
        tidy.replace("-----\n-----BEGIN", "-----\n\n# next\n-----BEGIN")
            .replace('\n', "\r\n")
    );
    let read = CertificateChain::from_pem(&untidy).unwrap();
    assert_eq!(read, chain);
    assert_eq!(read.to_pem(), tidy);
    assert!(!tidy.contains("\n\n") && !tidy.contains('\r'));
    assert!(tidy.lines().all(|line| line.len() <= 64));
}

#[test]
fn texts_that_are_no_chain_are_refused_with_the_reason() {
    let (chain, key) = issued("shop.example.com");
    let pem = chain.to_pem();
    let with_key = format!("{pem}{}", key.to_pem().expose_secret());
    for (text, expected) in [
        ("", ChainError::Missing),
        ("hello", ChainError::Missing),
        (with_key.as_str(), ChainError::ForeignBlock),
        (&pem[..pem.len() - 40], ChainError::NotPem),
        (&pem.repeat(3), ChainError::TooMany),
        (&" ".repeat(70_000), ChainError::TooLarge),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ChainError::Malformed { position: 1 },
        ),
    ] {
        assert_eq!(CertificateChain::from_pem(text), Err(expected));
    }
}

#[test]
fn a_key_survives_its_pem_form_and_never_shows_itself() {
    let key = CertificateKey::generate().unwrap();
    let pem = key.to_pem();
    let read = CertificateKey::from_pem(pem.expose_secret()).unwrap();
    assert_eq!(read.public_key(), key.public_key());
    assert_eq!(read.algorithm(), KeyAlgorithm::EcP256);
    assert_eq!(
        format!("{key:?}"),
        "CertificateKey { algorithm: EcP256, .. }"
    );
    assert!(format!("{pem:?}").contains("REDACTED"));
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_the_reason() {
    let pem = CertificateKey::generate()
        .unwrap()
        .to_pem()
        .expose_secret()
        .to_owned();
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519)
        .unwrap()
        .serialize_pem();
    for (text, expected) in [
        ("", KeyFault::Missing),
        (encrypted.as_str(), KeyFault::Encrypted),
        (&pem.repeat(2), KeyFault::Several),
        (&pem.replace("-----END", "----"), KeyFault::NotPem),
        (&ed25519, KeyFault::Unsupported),
        (&"x".repeat(20_000), KeyFault::TooLarge),
    ] {
        assert_eq!(CertificateKey::from_pem(text).unwrap_err(), expected);
    }
}

#[test]
fn a_request_carries_the_name_as_alternative_name_and_no_subject() {
    let key = CertificateKey::generate().unwrap();
    let der = csr_der(&key, &name("xn--bcher-kva.example")).unwrap();
    let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
    assert!(rest.is_empty());
    request.verify_signature().unwrap();
    let info = &request.certification_request_info;
    assert_eq!(info.subject.iter().count(), 0);
    assert_eq!(*info.subject_pki.subject_public_key.data, *key.public_key());
    let wire = der
        .windows(21)
        .any(|window| window == b"xn--bcher-kva.example");
    assert!(wire);
}

#[test]
fn a_self_signed_certificate_passes_for_its_own_name_and_dates() {
    let host = name("bootstrap.example");
    let (chain, key) = self_signed(&host, now() - DAY, now() + DAY).unwrap();
    check(&chain, &key, &host, now()).unwrap();
    let late = check(&chain, &key, &host, now() + 2 * DAY);
    assert!(matches!(late, Err(ChainFault::Expired { position: 1, .. })));
}

mod openssl {
    //! Keys and certificates as other people's tools write them.

    use std::process::Command;

    use super::*;

    fn openssl(args: &[&str]) -> String {
        let output = Command::new("openssl")
            .args(args)
            .output()
            .expect("openssl is needed by this test");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn sec1_and_pkcs1_keys_are_understood() {
        let ec = openssl(&["ecparam", "-name", "secp384r1", "-genkey"]);
        assert!(ec.contains("BEGIN EC PRIVATE KEY"));
        assert_eq!(
            CertificateKey::from_pem(&ec).unwrap().algorithm(),
            KeyAlgorithm::EcP384
        );
        let rsa = openssl(&["genrsa", "-traditional", "2048"]);
        assert!(rsa.contains("BEGIN RSA PRIVATE KEY"));
        let rsa = CertificateKey::from_pem(&rsa).unwrap();
        assert_eq!(rsa.algorithm(), KeyAlgorithm::Rsa { bits: 2048 });
        let again = CertificateKey::from_pem(rsa.to_pem().expose_secret()).unwrap();
        assert_eq!(again.public_key(), rsa.public_key());
    }

    #[test]
    fn a_weak_rsa_key_is_refused() {
        let rsa = openssl(&["genrsa", "1024"]);
        assert_eq!(
            CertificateKey::from_pem(&rsa).unwrap_err(),
            KeyFault::Unsupported
        );
    }

    #[test]
    fn a_sha1_signature_is_refused() {
        let folder = std::env::temp_dir().join(format!("dps-x509-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key_file = folder.join("key.pem");
        let key_path = key_file.to_str().unwrap();
        let pem = openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-sha1",
            "-days",
            "30",
            "-keyout",
            key_path,
            "-subj",
            "/CN=old",
            "-addext",
            "subjectAltName=DNS:old.example.com",
        ]);
        let chain = CertificateChain::from_pem(&pem).unwrap();
        let key = CertificateKey::from_pem(&std::fs::read_to_string(&key_file).unwrap()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let verdict = check(
            &chain,
            &key,
            &name("old.example.com"),
            chain.leaf().not_before,
        );
        assert_eq!(verdict, Err(ChainFault::WeakSignature { position: 1 }));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,400}") {
        let _ = CertificateChain::from_pem(&text);
        let _ = CertificateKey::from_pem(&text);
    }

    #[test]
    fn a_damaged_certificate_never_panics_and_has_another_fingerprint(position in 0_usize..400, bit in 0_u8..8) {
        let (chain, key) = self_signed(&name("a.example"), now() - DAY, now() + DAY).unwrap();
        let mut der = chain.der()[0].clone();
        let position = position % der.len();
        der[position] ^= 1 << bit;
        if let Ok(damaged) = CertificateChain::from_der(vec![der]) {
            let _ = check(&damaged, &key, &name("a.example"), now());
            proptest::prop_assert_ne!(damaged.fingerprint(), chain.fingerprint());
        }
    }
}
