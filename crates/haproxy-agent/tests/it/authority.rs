//! A throw-away certificate authority with a root and an intermediate.

use std::time::Duration;

use dps_agent_api::ApplyRequest;
use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateChain, CertificateKey};
use haproxy_domain_agent::{Clock, SystemClock};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use secrecy::{ExposeSecret, SecretString};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct Authority {
    pub(crate) root: Certificate,
    intermediate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate as the service would send it.
pub(crate) struct Issued {
    pub(crate) hostname: Hostname,
    pub(crate) chain: CertificateChain,
    pub(crate) key: CertificateKey,
}

pub(crate) fn host(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.unix_seconds()).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with_intermediate(authority("Test Intermediate"))
    }

    /// Its intermediate may not sign certificates, and does.
    pub(crate) fn that_may_not_sign() -> Self {
        let mut params = authority("Test Intermediate");
        params.is_ca = IsCa::ExplicitNoCa;
        Self::with_intermediate(params)
    }

    fn with_intermediate(params: CertificateParams) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = authority("Test Root").self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(authority("Test Root"), root_key);
        let key = KeyPair::generate().unwrap();
        let intermediate = params.signed_by(&key, &root_issuer).unwrap();
        Self {
            root,
            intermediate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Valid from yesterday for 90 days.
    pub(crate) fn issue(&self, hostname: &str) -> Issued {
        let now = SystemClock.now();
        self.issue_for(hostname, hostname, now - DAY, now + 89 * DAY)
    }

    /// Like `issue`, with a leaf that is about so many PEM bytes longer.
    pub(crate) fn issue_padded(&self, hostname: &str, bytes: usize) -> Issued {
        let now = SystemClock.now();
        let padding = rcgen::CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 99_999, 1],
            vec![4; bytes * 48 / 65],
        );
        self.make(
            hostname,
            hostname,
            (now - DAY, now + 89 * DAY),
            vec![padding],
        )
    }

    /// Like `issue`, with a leaf for clients (extended key usage `clientAuth` alone).
    pub(crate) fn issue_for_clients(&self, hostname: &str) -> Issued {
        let now = SystemClock.now();
        let client_auth = vec![0x30, 0x0A, 0x06, 0x08, 0x2B, 6, 1, 5, 5, 7, 3, 2];
        let usage = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 37], client_auth);
        self.make(hostname, hostname, (now - DAY, now + 89 * DAY), vec![usage])
    }

    /// `san` holds one name or several, with a space between.
    pub(crate) fn issue_for(
        &self,
        hostname: &str,
        san: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Issued {
        self.make(hostname, san, (from, to), Vec::new())
    }

    fn make(
        &self,
        hostname: &str,
        san: &str,
        (from, to): (Timestamp, Timestamp),
        extensions: Vec<rcgen::CustomExtension>,
    ) -> Issued {
        self.make_with_key(
            CertificateKey::generate().unwrap(),
            hostname,
            san,
            (from, to),
            extensions,
        )
    }

    /// Like `issue_for`, for a key of another kind.
    pub(crate) fn issue_with_key(&self, key: CertificateKey, hostname: &str, san: &str) -> Issued {
        let now = SystemClock.now();
        self.make_with_key(key, hostname, san, (now - DAY, now + 89 * DAY), Vec::new())
    }

    fn make_with_key(
        &self,
        key: CertificateKey,
        hostname: &str,
        san: &str,
        (from, to): (Timestamp, Timestamp),
        extensions: Vec<rcgen::CustomExtension>,
    ) -> Issued {
        let mut params =
            CertificateParams::new(san.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.use_authority_key_identifier_extension = true;
        params.custom_extensions = extensions;
        params.not_before = date(from);
        params.not_after = date(to);
        let signer = KeyPair::from_pem(key.to_pem().expose_secret()).unwrap();
        let leaf = params.signed_by(&signer, &self.issuer).unwrap();
        let der = vec![leaf.der().to_vec(), self.intermediate.der().to_vec()];
        Issued {
            hostname: host(hostname),
            chain: CertificateChain::from_der(der).unwrap(),
            key,
        }
    }
}

impl Issued {
    pub(crate) fn fingerprint(&self) -> &str {
        self.chain.fingerprint()
    }

    pub(crate) fn request(&self, generation: u64) -> ApplyRequest {
        ApplyRequest {
            hostname: self.hostname.clone(),
            chain_pem: self.chain.to_pem(),
            private_key_pem: SecretString::from(self.key.to_pem().expose_secret()),
            fingerprint: self.fingerprint().to_owned(),
            generation,
        }
    }
}
