//! A customer's hostname, parsed once at the edge of the system.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DomainId;

/// A DNS name that a public CA can certify. It is in lower case and A-labels (RFC 5890), without a
/// final dot, with at least two labels and at most 253 octets. It is not a public suffix, an IP
/// address or a wildcard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

/// The reason why a text is not a [`Hostname`], with what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// An empty text.
    #[error("the hostname is empty; enter a name such as www.example.com")]
    Empty,
    /// A URL, a path, a port or white space was given along with the name.
    #[error(
        "enter a bare hostname such as www.example.com, without a scheme, port, path or spaces"
    )]
    NotBare,
    /// An IPv4 or IPv6 address.
    #[error("this is an IP address; enter a hostname such as www.example.com")]
    IpAddress,
    /// A `*` label.
    #[error("wildcard names cannot be validated over HTTP; enter each hostname separately")]
    Wildcard,
    /// Longer than 253 octets in A-label form, or a label over 63.
    #[error("the name is longer than DNS allows (253 octets in total, 63 in each label)")]
    TooLong,
    /// A character that host names do not have, or a hyphen at a label's edge.
    #[error(
        "a label may contain only letters, digits and hyphens; it may not be empty, begin or end with a \
         hyphen, or have hyphens as its third and fourth characters"
    )]
    IllegalLabel,
    /// IDNA2008/UTS 46 refuses the name.
    #[error("the name is not a valid internationalised domain name")]
    IllegalInternationalName,
    /// One label only, such as `localhost`.
    #[error("the name has only one label; enter a full name such as www.example.com")]
    SingleLabel,
    /// More labels than a CA certifies.
    #[error("the name has more than 10 labels, which certificate authorities do not accept")]
    TooManyLabels,
    /// A public suffix such as `co.uk`.
    #[error(
        "this is a public suffix, under which anyone can register names; enter a name below it"
    )]
    PublicSuffix,
}

/// The labels of a name in reverse, each with a dot after it.
pub fn reversed(name: &str) -> String {
    let mut reversed = String::with_capacity(name.len() + 1);
    for label in name.rsplit('.') {
        reversed.extend([label, "."]);
    }
    reversed
}

const MAX_LABELS: usize = 10;
/// The dot and what IDNA takes for one (RFC 3490 §3.1).
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'];

impl Hostname {
    /// Parses a customer's input in any case, in Unicode or A-labels, with or without a final dot.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        let text = text.trim();
        // UTS 46 maps these to a dot wherever they stand, the end included.
        let text = text.strip_suffix(DOTS).unwrap_or(text);
        if text.is_empty() {
            return Err(HostnameError::Empty);
        }
        if text.len() > 1024 {
            return Err(HostnameError::TooLong);
        }
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(HostnameError::IpAddress);
        }
        if text.contains(|c: char| c.is_whitespace() || "/:@?#\\".contains(c)) {
            return Err(HostnameError::NotBare);
        }
        if text.contains('*') {
            return Err(HostnameError::Wildcard);
        }
        let ascii = if text.is_ascii() && !text.to_ascii_lowercase().contains("xn--") {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii_strict(text)
                .map_err(|_| HostnameError::IllegalInternationalName)?
        };
        check_labels(&ascii)?;
        if ends_in_number(&ascii) {
            return Err(HostnameError::IpAddress);
        }
        if is_icann_suffix(&ascii) {
            return Err(HostnameError::PublicSuffix);
        }
        Ok(Self(ascii.into()))
    }

    /// A reserved name (RFC 6761 §6.4), for the record of a domain whose own name cannot be parsed.
    pub fn stand_in(id: DomainId) -> Self {
        Self(format!("name-{}.invalid", id.as_uuid().simple()).into())
    }

    /// The name in A-label form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people read it, with U-labels where it has them.
    pub fn to_unicode(&self) -> String {
        let (text, result) = idna::domain_to_unicode(&self.0);
        if result.is_ok() {
            text
        } else {
            self.0.to_string()
        }
    }

    /// The labels in reverse, each with a dot after it: `com.example.www.`. The reversed names of
    /// a domain and of all names below it begin with the same text.
    pub fn reversed(&self) -> String {
        reversed(&self.0)
    }

    /// The registered domain: public suffix (private section included) plus one label. A name that
    /// is itself a private suffix is its own registered domain, as certificate authorities count
    /// it.
    pub fn registered_domain(&self) -> &str {
        psl::domain_str(&self.0).unwrap_or(&self.0)
    }

    /// Whether the name is its own registered domain, where DNS allows no CNAME beside SOA and NS
    /// (RFC 1034 §3.6.2).
    pub fn is_apex(&self) -> bool {
        self.registered_domain() == self.as_str()
    }

    /// The labels before the registered domain, as a customer enters them in a DNS provider's
    /// "name" field. `@` for the apex.
    pub fn record_name(&self) -> &str {
        match self.0.strip_suffix(self.registered_domain()) {
            Some(prefix) if !prefix.is_empty() => prefix.trim_end_matches('.'),
            _ => "@",
        }
    }
}

/// Whether the whole name is a suffix of the list's ICANN section. An unlisted single label such as
/// `test` is not.
pub(crate) fn is_icann_suffix(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| {
        let is_icann = suffix.is_known() && suffix.typ() == Some(psl::Type::Icann);
        is_icann && suffix.as_bytes() == name.as_bytes()
    })
}

/// Whether other programs may read the name as an IPv4 address, such as `0x7f.1`. No top-level
/// domain is a number (RFC 3696 §2).
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex)
}

fn check_labels(name: &str) -> Result<(), HostnameError> {
    if name.len() > 253 {
        return Err(HostnameError::TooLong);
    }
    let mut count = 0;
    for label in name.split('.') {
        count += 1;
        if label.len() > 63 {
            return Err(HostnameError::TooLong);
        }
        let legal = label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let reserved = label.as_bytes().get(2..4) == Some(b"--") && !label.starts_with("xn--");
        if label.is_empty() || !legal || reserved || label.starts_with('-') || label.ends_with('-')
        {
            return Err(HostnameError::IllegalLabel);
        }
    }
    match count {
        1 => Err(HostnameError::SingleLabel),
        2..=MAX_LABELS => Ok(()),
        _ => Err(HostnameError::TooManyLabels),
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Hostname {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_stand_in_for_a_name_is_a_hostname() {
        let name = Hostname::stand_in(DomainId::new(Timestamp::EPOCH, [7; 10]));
        assert_eq!(Hostname::parse(name.as_str()), Ok(name));
    }
    use proptest::prelude::*;

    fn name(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn what_customers_type_becomes_one_canonical_form() {
        assert_eq!(name("  WWW.Example.COM. ").as_str(), "www.example.com");
        assert_eq!(name("bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(
            name("XN--BCHER-KVA.example").as_str(),
            "xn--bcher-kva.example"
        );
        assert_eq!(name("bücher.example").to_unicode(), "bücher.example");
    }

    #[test]
    fn every_dot_of_idna_is_a_dot_wherever_it_stands() {
        for dot in DOTS {
            for host in [
                "shop.example.com",
                "xn--bcher-kva.example",
                "bücher.example",
            ] {
                let canonical = name(host);
                let text = host.replace('.', &dot.to_string());
                assert_eq!(name(&text), canonical, "{text}");
                assert_eq!(name(&format!("{text}{dot}")), canonical, "{text}{dot}");
                assert_eq!(name(&format!("{host}{dot}")), canonical, "{host}{dot}");
            }
            assert_eq!(Hostname::parse(&dot.to_string()), Err(HostnameError::Empty));
            let doubled = Hostname::parse(&format!("shop.example.com{dot}{dot}"));
            assert!(doubled.is_err(), "{doubled:?}");
            let address = format!("192{dot}0{dot}2{dot}1{dot}");
            assert_eq!(Hostname::parse(&address), Err(HostnameError::IpAddress));
        }
    }

    #[test]
    fn bad_inputs_are_distinguished() {
        for (text, expected) in [
            ("", HostnameError::Empty),
            (".", HostnameError::Empty),
            ("https://example.com/", HostnameError::NotBare),
            ("example.com:443", HostnameError::NotBare),
            ("192.0.2.1", HostnameError::IpAddress),
            ("[2001:db8::1]", HostnameError::IpAddress),
            ("１９２.0.2.1", HostnameError::IpAddress),
            ("0x7f.1", HostnameError::IpAddress),
            ("www.example.0x1f", HostnameError::IpAddress),
            ("*.example.com", HostnameError::Wildcard),
            ("localhost", HostnameError::SingleLabel),
            ("a_b.example.com", HostnameError::IllegalLabel),
            ("-a.example.com", HostnameError::IllegalLabel),
            ("a..example.com", HostnameError::IllegalLabel),
            ("ab--cd.example.com", HostnameError::IllegalLabel),
            ("co.uk", HostnameError::PublicSuffix),
            ("a.b.c.d.e.f.g.h.i.j.example", HostnameError::TooManyLabels),
            (
                "xn--zzzzzzz999.example",
                HostnameError::IllegalInternationalName,
            ),
        ] {
            assert_eq!(Hostname::parse(text), Err(expected), "{text}");
        }
        assert_eq!(
            Hostname::parse(&format!("{}.com", "a".repeat(64))),
            Err(HostnameError::TooLong)
        );
        assert_eq!(
            Hostname::parse(&"a.".repeat(2000)),
            Err(HostnameError::TooLong)
        );
    }

    #[test]
    fn the_registered_domain_counts_private_suffixes() {
        assert_eq!(
            name("a.b.example.co.uk").registered_domain(),
            "example.co.uk"
        );
        assert_eq!(name("me.github.io").registered_domain(), "me.github.io");
        assert_eq!(name("github.io").registered_domain(), "github.io");
        assert!(name("example.co.uk").is_apex());
        assert!(!name("www.example.co.uk").is_apex());
        assert_eq!(name("a.b.example.com").record_name(), "a.b");
        assert_eq!(name("example.com").record_name(), "@");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in ".{0,300}") {
            if let Ok(host) = Hostname::parse(&text) {
                prop_assert_eq!(Hostname::parse(host.as_str()), Ok(host.clone()));
                prop_assert!(host.as_str().len() <= 253);
            }
        }
    }
}
