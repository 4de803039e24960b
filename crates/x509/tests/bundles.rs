//! Paths in what authorities send: shuffled, repeated, with roots, strangers and cross-signed
//! certificates among them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use dps_domain::{Hostname, Timestamp};
use dps_x509::{
    CertificateBundle, CertificateChain, CertificateKey, ChainError, ChainFault, Roots, RootsError,
};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use secrecy::ExposeSecret;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn at(moment: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(moment.unix_seconds()).unwrap()
}

fn host() -> Hostname {
    Hostname::parse("shop.example.com").unwrap()
}

/// An authority's name and key; certificates for it are made by others or by itself.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = at(now() - 400 * DAY);
        params.not_after = at(now() + 400 * DAY);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self { params, key }
    }

    fn root(&self) -> Vec<u8> {
        self.params.self_signed(&self.key).unwrap().der().to_vec()
    }

    /// This authority's certificate, made by another.
    fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        self.signed_until(issuer, now() + 300 * DAY)
    }

    fn signed_until(&self, issuer: &Self, not_after: Timestamp) -> Vec<u8> {
        let mut params = self.params.clone();
        params.not_after = at(not_after);
        params
            .signed_by(&self.key, &issuer.issuer())
            .unwrap()
            .der()
            .to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn leaf(&self, key: &CertificateKey) -> Vec<u8> {
        self.leaf_with(key, |_| {})
    }

    fn leaf_with(
        &self,
        key: &CertificateKey,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![host().as_str().to_owned()]).unwrap();
        params.not_before = at(now() - DAY);
        params.not_after = at(now() + 89 * DAY);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::from_pem(key.to_pem().expose_secret()).unwrap();
        params
            .signed_by(&key, &self.issuer())
            .unwrap()
            .der()
            .to_vec()
    }
}

/// leaf < intermediate < young < old: `young` is a root of its own that `old` cross-signed.
struct World {
    key: CertificateKey,
    leaf: Vec<u8>,
    intermediate: Vec<u8>,
    young: Vec<u8>,
    crossed: Vec<u8>,
    crossed_expired: Vec<u8>,
    old: Vec<u8>,
    stranger: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let (old, young) = (Authority::new("Old Root"), Authority::new("Young Root"));
        let (intermediate, stranger) = (Authority::new("Intermediate"), Authority::new("Stranger"));
        let key = CertificateKey::generate().unwrap();
        Self {
            leaf: intermediate.leaf(&key),
            key,
            intermediate: intermediate.signed_by(&young),
            young: young.root(),
            crossed: young.signed_by(&old),
            crossed_expired: young.signed_until(&old, now() - DAY),
            old: old.root(),
            stranger: stranger.signed_by(&old),
        }
    }

    fn path(&self, sent: &[&Vec<u8>], roots: &Roots) -> Result<Vec<Vec<u8>>, ChainFault> {
        path(sent, &self.key, roots)
    }
}

fn pem(sent: &[&Vec<u8>]) -> String {
    let one = |der: &&Vec<u8>| {
        CertificateChain::from_der(vec![(*der).clone()])
            .unwrap()
            .to_pem()
    };
    sent.iter().map(one).collect()
}

fn path(
    sent: &[&Vec<u8>],
    key: &CertificateKey,
    roots: &Roots,
) -> Result<Vec<Vec<u8>>, ChainFault> {
    let bundle = CertificateBundle::from_pem(&pem(sent)).unwrap();
    bundle
        .path(key, &host(), now(), roots)
        .map(|chain| chain.der().to_vec())
}

fn roots(of: &[&Vec<u8>]) -> Roots {
    Roots::from_der(of.iter().map(|der| (*der).clone()))
}

#[test]
fn the_path_is_kept_and_the_rest_is_dropped() {
    let w = World::new();
    let (young, old) = (roots(&[&w.young]), roots(&[&w.old]));
    let short = vec![w.leaf.clone(), w.intermediate.clone()];
    let long = vec![w.leaf.clone(), w.intermediate.clone(), w.crossed.clone()];
    for (name, sent, roots, expected) in [
        (
            "as it should be",
            vec![&w.leaf, &w.intermediate],
            &young,
            &short,
        ),
        (
            "root at the end",
            vec![&w.leaf, &w.intermediate, &w.young],
            &young,
            &short,
        ),
        (
            "root in the middle",
            vec![&w.leaf, &w.young, &w.intermediate],
            &young,
            &short,
        ),
        (
            "leaf last",
            vec![&w.intermediate, &w.young, &w.leaf],
            &young,
            &short,
        ),
        (
            "everything twice",
            vec![&w.leaf, &w.leaf, &w.intermediate, &w.intermediate],
            &young,
            &short,
        ),
        (
            "a stranger",
            vec![&w.leaf, &w.stranger, &w.intermediate],
            &young,
            &short,
        ),
        (
            "cross-signed, for the old root",
            vec![&w.leaf, &w.intermediate, &w.crossed],
            &old,
            &long,
        ),
        // Visitors that know only the old root need it, whatever our own store knows.
        (
            "cross-signed, young root known",
            vec![&w.leaf, &w.intermediate, &w.crossed],
            &young,
            &long,
        ),
        (
            "cross-signed and expired",
            vec![&w.leaf, &w.intermediate, &w.crossed_expired],
            &young,
            &short,
        ),
        (
            "expired before valid",
            vec![&w.crossed_expired, &w.crossed, &w.intermediate, &w.leaf],
            &old,
            &long,
        ),
        (
            "nobody's root",
            vec![&w.leaf, &w.intermediate, &w.old],
            &Roots::unknown(),
            &short,
        ),
    ] {
        assert_eq!(w.path(&sent, roots).as_ref(), Ok(expected), "{name}");
    }
}

#[test]
fn what_leads_nowhere_is_refused_with_the_reason() {
    let w = World::new();
    let (young, other) = (
        roots(&[&w.young]),
        roots(&[&Authority::new("Other").root()]),
    );
    let untrusted = |fault: &ChainFault| fault.code() == "CHAIN_UNTRUSTED";
    assert!(
        w.path(&[&w.leaf, &w.intermediate], &other)
            .is_err_and(|fault| untrusted(&fault))
    );
    assert!(
        w.path(&[&w.leaf, &w.intermediate], &roots(&[]))
            .is_err_and(|fault| untrusted(&fault))
    );
    let expired = w.path(
        &[&w.leaf, &w.intermediate, &w.crossed_expired],
        &roots(&[&w.old]),
    );
    assert!(expired.is_err_and(|fault| untrusted(&fault)));
    for roots in [&young, &Roots::unknown()] {
        assert_eq!(w.path(&[&w.leaf], roots), Err(ChainFault::Incomplete));
        assert_eq!(
            w.path(&[&w.leaf, &w.stranger], roots),
            Err(ChainFault::Incomplete)
        );
        assert_eq!(
            w.path(&[&w.intermediate, &w.young], roots),
            Err(ChainFault::KeyMismatch)
        );
    }
}

#[test]
fn a_lone_leaf_is_complete_when_a_root_issued_it() {
    let (root, key) = (
        Authority::new("Private Root"),
        CertificateKey::generate().unwrap(),
    );
    let leaf = root.leaf(&key);
    assert_eq!(
        path(&[&leaf], &key, &roots(&[&root.root()])),
        Ok(vec![leaf.clone()])
    );
    assert_eq!(
        path(&[&leaf, &root.root()], &key, &Roots::unknown()),
        Ok(vec![leaf])
    );
}

#[test]
fn usage_constraints_and_names_are_those_of_a_server_under_an_authority() {
    let (root, key) = (Authority::new("Root"), CertificateKey::generate().unwrap());
    let trusted = roots(&[&root.root()]);
    let codes = |intermediate: &Authority, leaf: &Vec<u8>| {
        let sent = intermediate.signed_by(&root);
        [&trusted, &Roots::unknown()]
            .map(|roots| path(&[leaf, &sent], &key, roots).map_err(|fault| fault.code()))
    };
    let good = Authority::new("Intermediate");
    let client = good.leaf_with(&key, |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(
        codes(&good, &client),
        [Err("WRONG_USAGE"), Err("WRONG_USAGE")]
    );
    let agreement = good.leaf_with(&key, |leaf| {
        leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    });
    assert_eq!(
        codes(&good, &agreement),
        [Err("WRONG_USAGE"), Err("WRONG_USAGE")]
    );
    let elsewhere = good.leaf_with(&key, |leaf| {
        leaf.subject_alt_names = vec![rcgen::SanType::DnsName(
            "other.example.com".try_into().unwrap(),
        )];
    });
    assert_eq!(
        codes(&good, &elsewhere),
        [Err("NAME_NOT_COVERED"), Err("NAME_NOT_COVERED")]
    );

    // An intermediate that may not sign leaves the leaf alone.
    let no_authority = Authority::with("Intermediate", |params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = no_authority.leaf(&key);
    assert_eq!(
        codes(&no_authority, &leaf),
        [Err("CHAIN_INCOMPLETE"), Err("CHAIN_INCOMPLETE")]
    );
    let cannot_sign = Authority::with("Intermediate", |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let leaf = cannot_sign.leaf(&key);
    assert_eq!(
        codes(&cannot_sign, &leaf),
        [Err("CHAIN_INCOMPLETE"), Err("CHAIN_INCOMPLETE")]
    );

    let narrow = Authority::with("Intermediate", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.net".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let leaf = narrow.leaf(&key);
    assert_eq!(codes(&narrow, &leaf)[0], Err("CHAIN_UNTRUSTED"));
}

#[test]
fn a_path_length_is_kept_to() {
    let (root, key) = (Authority::new("Root"), CertificateKey::generate().unwrap());
    let upper = Authority::with("Upper", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let lower = Authority::new("Lower");
    let (leaf, sent) = (
        lower.leaf(&key),
        [lower.signed_by(&upper), upper.signed_by(&root)],
    );
    let found = path(&[&leaf, &sent[0], &sent[1]], &key, &roots(&[&root.root()]));
    assert!(found.is_err_and(|fault| fault.code() == "CHAIN_UNTRUSTED"));
    let strict = CertificateChain::from_der(vec![leaf, sent[0].clone(), sent[1].clone()]).unwrap();
    let fault = dps_x509::check(&strict, &key, &host(), now()).unwrap_err();
    assert!(
        matches!(fault, ChainFault::NotAnAuthority { position: 3, .. }),
        "{fault}"
    );
}

#[test]
fn a_certificate_that_cannot_be_read_is_on_no_path() {
    let w = World::new();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let sent = format!("{garbage}{}", pem(&[&w.leaf, &w.intermediate]));
    let bundle = CertificateBundle::from_pem(&sent).unwrap();
    let chain = bundle
        .path(&w.key, &host(), now(), &roots(&[&w.young]))
        .unwrap();
    assert_eq!(chain.der(), [w.leaf, w.intermediate]);
}

#[test]
fn a_file_of_roots_is_read_whole_or_not_at_all() {
    let w = World::new();
    assert!(
        !Roots::from_pem(&pem(&[&w.old, &w.young]))
            .unwrap()
            .is_empty()
    );
    assert_eq!(Roots::from_pem("").unwrap_err(), RootsError::Missing);
    let key = w.key.to_pem();
    let fault = Roots::from_pem(key.expose_secret()).unwrap_err();
    assert_eq!(fault, RootsError::Text(ChainError::ForeignBlock));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn neither_order_nor_company_changes_the_path(
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        kept in prop::collection::vec(any::<bool>(), 10),
    ) {
        let w = World::new();
        let all = [
            &w.leaf, &w.intermediate, &w.crossed, &w.crossed_expired, &w.young,
            &w.old, &w.stranger, &w.leaf, &w.intermediate, &w.crossed,
        ];
        let sent: Vec<_> = order.iter().filter(|at| **at < 3 || kept[**at]).map(|at| all[*at]).collect();
        let expected = vec![w.leaf.clone(), w.intermediate.clone(), w.crossed.clone()];
        for roots in [roots(&[&w.old]), roots(&[&w.young, &w.old]), Roots::unknown()] {
            prop_assert_eq!(w.path(&sent, &roots), Ok(expected.clone()));
        }
    }
}
