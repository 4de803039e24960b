//! Signatures of links: who has one may see the page of one domain until it expires.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dps_domain::{DomainId, Timestamp};

/// Says what is signed, so that no signature of another kind passes for this one.
const PURPOSE: &[u8] = b"dps setup page, version 1\0";
/// Links that are made within this time expire together, so that they are equal.
const ROUNDING_SECONDS: i64 = 3600;
/// Bytes of the expiry in a signature, before the HMAC.
const EXPIRY_BYTES: usize = 8;

/// The key that signs links with HMAC-SHA-256.
pub(crate) struct LinkKey(hmac::Key);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey")
    }
}

/// The time rounded up, at which a link expires.
pub(super) fn expiry(at: Timestamp) -> Timestamp {
    let periods = at.unix_seconds().div_euclid(ROUNDING_SECONDS) + 1;
    Timestamp::from_unix_seconds(periods.saturating_mul(ROUNDING_SECONDS))
}

impl LinkKey {
    /// A key of the text in its file.
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The signature of a link to a domain's page that expires then.
    pub(super) fn sign(&self, id: DomainId, expires: Timestamp) -> String {
        let expiry = expires.unix_seconds().to_be_bytes();
        let tag = hmac::sign(&self.0, &signed(id, expiry));
        BASE64_URL_SAFE_NO_PAD.encode([expiry.as_slice(), tag.as_ref()].concat())
    }

    /// Whether a signature is ours, for this domain, and not expired. The time that this takes says
    /// nothing about the right one.
    pub(super) fn admits(&self, id: DomainId, signature: &str, now: Timestamp) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let Some((expiry, tag)) = bytes.split_first_chunk::<EXPIRY_BYTES>() else {
            return false;
        };
        let expires = Timestamp::from_unix_seconds(i64::from_be_bytes(*expiry));
        hmac::verify(&self.0, &signed(id, *expiry), tag).is_ok() && now < expires
    }
}

fn signed(id: DomainId, expiry: [u8; EXPIRY_BYTES]) -> Vec<u8> {
    [PURPOSE, id.as_uuid().as_bytes(), &expiry].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn id(number: u128) -> DomainId {
        DomainId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_signature_admits_to_one_domain_until_it_expires() {
        let key = LinkKey::new("0123456789abcdef0123456789abcdef");
        let expires = NOW + Duration::from_secs(10);
        let signature = key.sign(id(1), expires);
        assert!(key.admits(id(1), &signature, NOW));
        assert!(!key.admits(id(2), &signature, NOW));
        assert!(!key.admits(id(1), &signature, expires));
        let other = LinkKey::new("fedcba9876543210fedcba9876543210");
        assert!(!other.admits(id(1), &signature, NOW));
    }

    #[test]
    fn no_changed_signature_admits() {
        let key = LinkKey::new("0123456789abcdef0123456789abcdef");
        let signature = key.sign(id(1), NOW + Duration::from_secs(10));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&signature).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert!(!key.admits(id(1), &changed, NOW), "{place}");
        }
        for length in 0..signature.len() {
            assert!(!key.admits(id(1), &signature[..length], NOW), "{length}");
        }
        for wrong in [
            "",
            "=",
            "ä",
            "%00",
            &format!("{signature}A"),
            &"A".repeat(9_000),
        ] {
            assert!(!key.admits(id(1), wrong, NOW), "{wrong}");
        }
    }

    #[test]
    fn links_of_an_hour_are_equal_and_live_at_least_as_long_as_they_should() {
        let (first, last) = (expiry(NOW), expiry(NOW + Duration::from_secs(3599)));
        assert_eq!(first, last);
        assert!(first > NOW && first.since(NOW) <= Duration::from_secs(3600));
    }
}
