//! The comparison of the certificates that an edge should hold with its inventory.

use std::cmp::Ordering;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{Hostname, Timestamp};

/// One certificate that an edge should hold, or holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name it is served for.
    pub hostname: Hostname,
    /// SHA-256 of the leaf's DER, lower-case hex.
    pub fingerprint: String,
    /// Orders the certificates of one hostname.
    pub generation: u64,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// A difference between the desired and the actual certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference<'a> {
    /// The edge lacks this certificate, or holds an older one.
    Lacks(&'a Entry),
    /// The edge holds a certificate of a name that it should not serve, as far as the list says.
    Extra(&'a Entry),
}

/// Compares two lists in the order of their hostnames. A newer certificate than the desired one is
/// no difference: it is being deployed just now.
pub fn differences<'a>(desired: &'a [Entry], actual: &'a [Entry]) -> Vec<Difference<'a>> {
    let (mut desired, mut actual) = (desired.iter().peekable(), actual.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (desired.peek(), actual.peek()) {
            (Some(wanted), Some(held)) => wanted.hostname.cmp(&held.hostname),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return found,
        };
        let wanted = desired.next_if(|_| order.is_le());
        let held = actual.next_if(|_| order.is_ge());
        match (wanted, held) {
            (Some(wanted), Some(held)) if is_as_good(held, wanted) => {}
            (Some(wanted), _) => found.push(Difference::Lacks(wanted)),
            (None, Some(held)) => found.push(Difference::Extra(held)),
            (None, None) => {}
        }
    }
}

fn is_as_good(held: &Entry, wanted: &Entry) -> bool {
    held.generation > wanted.generation
        || (held.generation == wanted.generation && held.fingerprint == wanted.fingerprint)
}

/// A hash of a whole inventory that can be updated with each change. It is the exclusive or of the
/// SHA-256 hashes of the lines `hostname fingerprint generation` LF, one for each certificate.
/// Adding and removing are the same operation, at a cost that does not depend on the number of
/// certificates. Their order does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InventoryDigest([u8; 32]);

impl InventoryDigest {
    /// Adds a certificate that is not in, or takes one away that is.
    pub fn toggle(&mut self, hostname: &Hostname, fingerprint: &str, generation: u64) {
        let line = format!("{hostname} {fingerprint} {generation}\n");
        for (byte, other) in self.0.iter_mut().zip(Sha256::digest(line)) {
            *byte ^= other;
        }
    }

    /// In lower-case hex, as on the wire.
    pub fn to_hex(self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Collects from `(hostname, fingerprint, generation)`, each hostname once.
impl<'a> FromIterator<(&'a Hostname, &'a str, u64)> for InventoryDigest {
    fn from_iter<I: IntoIterator<Item = (&'a Hostname, &'a str, u64)>>(certificates: I) -> Self {
        let mut all = Self::default();
        for (hostname, fingerprint, generation) in certificates {
            all.toggle(hostname, fingerprint, generation);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hostname: &str, fingerprint: &str, generation: u64) -> Entry {
        Entry {
            hostname: Hostname::parse(hostname).unwrap(),
            fingerprint: fingerprint.to_owned(),
            generation,
            not_after: Timestamp::NEVER,
        }
    }

    #[test]
    fn what_an_edge_lacks_and_has_beyond_is_found_in_one_walk() {
        let desired = [
            entry("a.example", "aa", 1),
            entry("b.example", "bb", 2),
            entry("d.example", "dd", 2),
            entry("e.example", "ee", 2),
            entry("g.example", "gg", 1),
        ];
        let actual = [
            entry("a.example", "aa", 1),
            entry("c.example", "cc", 1),
            entry("d.example", "d0", 1),
            entry("e.example", "e3", 3),
            entry("f.example", "ff", 1),
        ];
        let lacks = |index: usize| Difference::Lacks(&desired[index]);
        let extra = |index: usize| Difference::Extra(&actual[index]);
        assert_eq!(
            differences(&desired, &actual),
            [lacks(1), extra(1), lacks(2), extra(4), lacks(4)]
        );
        assert_eq!(differences(&desired, &desired), []);
        assert_eq!(differences(&desired, &[]).len(), desired.len());
        assert_eq!(differences(&[], &actual).len(), actual.len());
    }

    #[test]
    fn the_same_generation_of_another_certificate_is_a_difference() {
        let (desired, actual) = ([entry("a.example", "aa", 1)], [entry("a.example", "xx", 1)]);
        assert_eq!(
            differences(&desired, &actual),
            [Difference::Lacks(&desired[0])]
        );
    }

    #[test]
    fn the_digest_distinguishes_sets_whatever_their_order() {
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
        let (a, b) = (host("a.example"), host("b.example"));
        assert_eq!(one, [(&b, "bb", 2), (&a, "aa", 1)].into_iter().collect());
        assert_eq!(InventoryDigest::default().to_hex(), "0".repeat(64));
    }
}
