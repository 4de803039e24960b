//! Apply requests that a broken or hostile service could send, made by code. Each has its expected
//! result.

use dps_agent_api::ProblemCode::{
    self, ChainMalformed, ChainOutOfOrder, Expired, FingerprintMismatch, KeyMalformed, KeyMismatch,
    NameNotCovered, NotAnAuthority, PayloadTooLarge, RequestMalformed, RequestTooLarge, WrongUsage,
};
use dps_x509::{CertificateChain, CertificateKey};
use haproxy_domain_agent::{Clock, SystemClock};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::authority::{Authority, DAY, Issued};

/// The expected result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is served, for this hostname.
    Served(&'static str),
    /// Refused with this code, and the field that is to blame where a single one is.
    Refused(ProblemCode, Option<&'static str>),
}

pub(crate) struct Specimen {
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) verdict: Verdict,
}

pub(crate) const HOST: &str = "shop.example.com";
/// 253 characters, the longest that a name can be.
pub(crate) const LONGEST: &str = concat!(
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.",
    "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.",
    "ddddddddddddddddddddddddddddddddddddddddddddddddd.example.com"
);

fn rsa(size: RsaKeySize) -> CertificateKey {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
    CertificateKey::from_pkcs8(pair.serialized_der()).unwrap()
}

/// All specimens. `generation` is higher than any that the agent holds.
#[expect(clippy::too_many_lines, reason = "a list with one entry per specimen")]
pub(crate) fn specimens(authority: &Authority, generation: u64) -> Vec<Specimen> {
    let (good, now) = (authority.issue(HOST), SystemClock.now());
    let (chain, key) = (
        good.chain.to_pem(),
        good.key.to_pem().expose_secret().to_owned(),
    );
    let request = |issued: &Issued| serde_json::to_value(issued.request(generation)).unwrap();
    let with = |field: &str, value: Value| {
        let mut request = request(&good);
        request[field] = value;
        request
    };
    let with_chain = |text: String| with("chainPem", text.into());
    let with_key = |text: String| with("privateKeyPem", text.into());
    let der = |count: usize| {
        let intermediate = good.chain.der()[1].clone();
        let mut der = vec![good.chain.der()[0].clone()];
        der.extend(std::iter::repeat_n(intermediate, count));
        der
    };
    let stranger = Authority::new().issue(HOST);
    let disordered = CertificateChain::from_der(vec![
        good.chain.der()[0].clone(),
        stranger.chain.der()[1].clone(),
    ]);
    let expired = authority.issue_for(HOST, HOST, now - 90 * DAY, now - DAY);
    let other = authority.issue_for(HOST, "other.example.com", now - DAY, now + DAY);
    let wildcard = authority.issue_for("wild.example.com", "*.example.com", now - DAY, now + DAY);
    let deeper = authority.issue_for("a.b.example.com", "*.example.com", now - DAY, now + DAY);
    let doubled = authority.issue_for(
        "twice.example.com",
        "twice.example.com twice.example.com x.example.com twice.example.com",
        now - DAY,
        now + DAY,
    );
    let longest = authority.issue(LONGEST);
    let rsa_4096 =
        authority.issue_with_key(rsa(RsaKeySize::_4096), "rsa.example.com", "rsa.example.com");
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512)
        .unwrap()
        .serialize_pem();
    let twenty = der(20)
        .iter()
        .map(|der| {
            CertificateChain::from_der(vec![der.clone()])
                .unwrap()
                .to_pem()
        })
        .collect::<String>();
    let mut blank_lines = request(&authority.issue("blank.example.com"));
    for field in ["chainPem", "privateKeyPem"] {
        blank_lines[field] = blank_lines[field]
            .as_str()
            .unwrap()
            .replace('\n', "\n\n")
            .into();
    }
    let mut crlf = request(&authority.issue("crlf.example.com"));
    for field in ["chainPem", "privateKeyPem"] {
        crlf[field] = crlf[field].as_str().unwrap().replace('\n', "\r\n").into();
    }
    let mut chatty = request(&authority.issue("chatty.example.com"));
    let text = format!(
        "<<\ncommit ssl cert x\n\n{}\ndel ssl cert y;\n<<\n",
        chatty["chainPem"].as_str().unwrap()
    );
    chatty["chainPem"] = text.into();
    let truncated = |text: &str| text[..text.len() / 2].to_owned();
    let nul = |text: &str| text.replacen('\n', "\n\0", 3);
    let malformed = |field| Verdict::Refused(RequestMalformed, Some(field));
    let chain_fault = Verdict::Refused(ChainMalformed, Some("chainPem"));
    let key_fault = Verdict::Refused(KeyMalformed, Some("privateKeyPem"));
    let nothing = Verdict::Refused(RequestMalformed, None);
    let listed = [
        (
            "a hostname with a wildcard",
            with("hostname", "*.example.com".into()),
            malformed("hostname"),
        ),
        (
            "a hostname with NUL",
            with("hostname", "shop\0.example.com".into()),
            malformed("hostname"),
        ),
        (
            "a hostname with CRLF",
            with("hostname", "shop.example.com\r\nshow info".into()),
            malformed("hostname"),
        ),
        (
            "a hostname with a semicolon",
            with("hostname", "shop.example.com;quit".into()),
            malformed("hostname"),
        ),
        (
            "a hostname with a payload mark",
            with("hostname", "shop.example.com <<".into()),
            malformed("hostname"),
        ),
        (
            "a hostname that climbs",
            with("hostname", "../../etc/passwd".into()),
            malformed("hostname"),
        ),
        (
            "a hostname of 254 characters",
            with("hostname", format!("a{LONGEST}").into()),
            malformed("hostname"),
        ),
        (
            "a hostname that is a number",
            with("hostname", 7.into()),
            malformed("hostname"),
        ),
        (
            "a generation below zero",
            with("generation", (-1).into()),
            malformed("generation"),
        ),
        (
            "a generation beyond all",
            with("generation", json!(1e30)),
            malformed("generation"),
        ),
        (
            "an older generation",
            with("generation", 0.into()),
            Verdict::Refused(ProblemCode::GenerationStale, Some("generation")),
        ),
        ("no key at all", with_key(String::new()), key_fault),
        (
            "a key of words",
            with_key("no key at all".to_owned()),
            key_fault,
        ),
        ("half a key", with_key(truncated(&key)), key_fault),
        ("two keys", with_key(format!("{key}{key}")), key_fault),
        (
            "an encrypted key",
            with_key(key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            key_fault,
        ),
        ("a key with NULs", with_key(nul(&key)), key_fault),
        ("a key on P-521", with_key(p521), key_fault),
        (
            "a key that is a certificate",
            with_key(chain.clone()),
            key_fault,
        ),
        (
            "a key of 20 KiB",
            with_key("x".repeat(20 * 1024)),
            key_fault,
        ),
        (
            "another certificate's key",
            with_key(
                CertificateKey::generate()
                    .unwrap()
                    .to_pem()
                    .expose_secret()
                    .to_owned(),
            ),
            Verdict::Refused(KeyMismatch, Some("privateKeyPem")),
        ),
        ("an empty chain", with_chain(String::new()), chain_fault),
        (
            "half a chain",
            with_chain(chain[..500].to_owned()),
            chain_fault,
        ),
        ("a chain with NULs", with_chain(nul(&chain)), chain_fault),
        (
            "a chain with the key in it",
            with_chain(format!("{chain}{key}")),
            chain_fault,
        ),
        (
            "a chain of 70 KiB",
            with_chain("x".repeat(70 * 1024)),
            chain_fault,
        ),
        (
            "a chain of damaged DER",
            with_chain(chain.replacen("MII", "MIX", 1)),
            chain_fault,
        ),
        (
            "a leaf for clients",
            request(&authority.issue_for_clients(HOST)),
            Verdict::Refused(WrongUsage, Some("chainPem")),
        ),
        (
            "an intermediate that may not sign",
            request(&Authority::that_may_not_sign().issue(HOST)),
            Verdict::Refused(NotAnAuthority, Some("chainPem")),
        ),
        ("twenty intermediates", with_chain(twenty), chain_fault),
        (
            "the intermediate twice",
            with_chain(CertificateChain::from_der(der(2)).unwrap().to_pem()),
            Verdict::Refused(ChainOutOfOrder, Some("chainPem")),
        ),
        (
            "another authority's intermediate",
            with_chain(disordered.unwrap().to_pem()),
            Verdict::Refused(ChainOutOfOrder, Some("chainPem")),
        ),
        (
            "an expired certificate",
            request(&expired),
            Verdict::Refused(Expired, Some("chainPem")),
        ),
        (
            "a certificate for another name",
            request(&other),
            Verdict::Refused(NameNotCovered, Some("chainPem")),
        ),
        (
            "a wildcard one label too high",
            request(&deeper),
            Verdict::Refused(NameNotCovered, Some("chainPem")),
        ),
        (
            "a chain beyond HAProxy's buffer",
            request(&authority.issue_padded("long.example.com", 30_000)),
            Verdict::Refused(PayloadTooLarge, Some("chainPem")),
        ),
        (
            "a fingerprint of zeros",
            with("fingerprint", "00".repeat(32).into()),
            Verdict::Refused(FingerprintMismatch, Some("fingerprint")),
        ),
        (
            "a fingerprint in upper case",
            with("fingerprint", good.fingerprint().to_uppercase().into()),
            Verdict::Refused(FingerprintMismatch, Some("fingerprint")),
        ),
        (
            "a field that is missing",
            json!({ "hostname": HOST, "chainPem": chain }),
            malformed("privateKeyPem"),
        ),
        ("a list", json!([1, 2, 3]), malformed("[0]")),
        (
            "a wildcard that covers the name",
            request(&wildcard),
            Verdict::Served("wild.example.com"),
        ),
        (
            "a name four times in the certificate",
            request(&doubled),
            Verdict::Served("twice.example.com"),
        ),
        (
            "a name of 253 characters",
            request(&longest),
            Verdict::Served(LONGEST),
        ),
        (
            "an RSA key of 4096 bits",
            request(&rsa_4096),
            Verdict::Served("rsa.example.com"),
        ),
        (
            "PEM with blank lines",
            blank_lines,
            Verdict::Served("blank.example.com"),
        ),
        ("PEM with CRLF", crlf, Verdict::Served("crlf.example.com")),
        (
            "PEM between commands and payload marks",
            chatty,
            Verdict::Served("chatty.example.com"),
        ),
    ];
    let mut specimens: Vec<_> = listed
        .into_iter()
        .map(|(name, body, verdict)| Specimen {
            name,
            body: body.to_string().into_bytes(),
            verdict,
        })
        .collect();
    let whole = request(&good).to_string();
    for (name, body, verdict) in [
        ("nothing", Vec::new(), nothing),
        ("half a request", truncated(&whole).into_bytes(), nothing),
        (
            "a request and more",
            format!("{whole}{whole}").into_bytes(),
            nothing,
        ),
        ("octets that are no text", vec![0xff; 512], nothing),
        (
            "half a mebibyte",
            vec![b' '; 512 * 1024],
            Verdict::Refused(RequestTooLarge, None),
        ),
        (
            "brackets without end",
            vec![b'['; 100_000],
            malformed("[0]"),
        ),
    ] {
        specimens.push(Specimen {
            name,
            body,
            verdict,
        });
    }
    specimens
}
