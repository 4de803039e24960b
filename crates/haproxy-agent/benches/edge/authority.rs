//! Certificates like those of a public authority: a P-256 leaf with some 240 bytes of further
//! extensions. A P-384 intermediate signs it and is sent along.

use dps_agent_api::ApplyRequest;
use dps_domain::Hostname;
use dps_x509::{CertificateChain, CertificateKey};
use haproxy_domain_agent::{Clock, SystemClock};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use secrecy::{ExposeSecret, SecretString};

const DAY: i64 = 86_400;

pub(crate) struct Authority {
    root_pem: String,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn date(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(SystemClock.now().unix_seconds() + days * DAY)
        .unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let root = params("Load Root").self_signed(&root_key).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let intermediate = params("Load Intermediate")
            .signed_by(&key, &Issuer::new(params("Load Root"), root_key))
            .unwrap();
        Self {
            root_pem: root.pem(),
            intermediate: intermediate.der().to_vec(),
            issuer: Issuer::new(params("Load Intermediate"), key),
        }
    }

    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    pub(crate) fn issue(&self, hostname: &str, generation: u64) -> ApplyRequest {
        let key = CertificateKey::generate().unwrap();
        let mut leaf = CertificateParams::new(vec![hostname.to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        leaf.not_before = date(-1);
        leaf.not_after = date(89);
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 99_999, 1],
            vec![4; 240],
        )];
        let signer = KeyPair::from_pem(key.to_pem().expose_secret()).unwrap();
        let leaf = leaf.signed_by(&signer, &self.issuer).unwrap();
        let chain =
            CertificateChain::from_der(vec![leaf.der().to_vec(), self.intermediate.clone()])
                .unwrap();
        ApplyRequest {
            hostname: Hostname::parse(hostname).unwrap(),
            chain_pem: chain.to_pem(),
            private_key_pem: SecretString::from(key.to_pem().expose_secret()),
            fingerprint: chain.fingerprint().to_owned(),
            generation,
        }
    }

    /// One certificate per number, made on all cores.
    pub(crate) fn issue_all(&self, count: usize, generation: u64) -> Vec<ApplyRequest> {
        let half = count / 2;
        let issue = |range: std::ops::Range<usize>| -> Vec<_> {
            range
                .map(|number| self.issue(&format!("shop{number}.load.example"), generation))
                .collect()
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| issue(0..half));
            let second = issue(half..count);
            let mut all = first.join().unwrap();
            all.extend(second);
            all
        })
    }
}
