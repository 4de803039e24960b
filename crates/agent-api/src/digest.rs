//! One number for a whole inventory, which can be kept up to date change by change.

use aws_lc_rs::digest::{SHA256, digest};
use dps_domain::Hostname;

/// The exclusive or of SHA-256 over the line `hostname fingerprint generation` LF of every certificate. Adding and taking away are
/// the same operation and cost the same however many certificates there are; the order does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InventoryDigest([u8; 32]);

impl InventoryDigest {
    /// Adds a certificate that is not in, or takes one away that is.
    pub fn toggle(&mut self, hostname: &Hostname, fingerprint: &str, generation: u64) {
        let line = format!("{hostname} {fingerprint} {generation}\n");
        for (byte, other) in self.0.iter_mut().zip(digest(&SHA256, line.as_bytes()).as_ref()) {
            *byte ^= other;
        }
    }

    /// In lower-case hex, as on the wire.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_sets_apart_whatever_the_order_they_grew_in() {
        let host = |name: &str| Hostname::parse(name).unwrap();
        let (mut one, mut other) = (InventoryDigest::default(), InventoryDigest::default());
        one.toggle(&host("a.example"), "aa", 1);
        one.toggle(&host("b.example"), "bb", 2);
        other.toggle(&host("b.example"), "bb", 2);
        assert_ne!(one, other);
        other.toggle(&host("a.example"), "aa", 9);
        assert_ne!(one, other);
        other.toggle(&host("a.example"), "aa", 9);
        other.toggle(&host("a.example"), "aa", 1);
        assert_eq!(one.to_hex(), other.to_hex());
        assert_eq!(InventoryDigest::default().to_hex(), "0".repeat(64));
    }
}
