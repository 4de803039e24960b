//! One CAA record, and the value of its `issue` property.

use std::fmt;

use super::{CaaIssuer, CaaReason};
use crate::text::shown;

/// Characters shown of a tag and of a value.
const SHOWN_CHARS: usize = 128;

/// A CAA record (RFC 8659 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaRecord {
    /// The flags; 128 means critical.
    pub flags: u8,
    tag: String,
    value: String,
}

impl CaaRecord {
    /// A record as DNS has it. Bytes that are not UTF-8 are replaced.
    pub fn new(flags: u8, tag: &str, value: &[u8]) -> Self {
        Self {
            flags,
            tag: tag.to_ascii_lowercase(),
            value: String::from_utf8_lossy(value).into_owned(),
        }
    }

    /// Whether a CA that does not know the tag must not issue. Let's Encrypt takes the mistaken
    /// flag 1 for it as well.
    pub(super) const fn is_critical(&self) -> bool {
        self.flags & 0b1000_0001 != 0
    }

    pub(super) fn has_tag(&self, tags: &[&str]) -> bool {
        tags.contains(&self.tag.as_str())
    }

    /// Whether an `issue` record allows the CA. A value that cannot be read allows nobody (RFC 8659
    /// §4.2).
    pub(super) fn allows(&self, issuer: &CaaIssuer<'_>) -> Result<(), CaaReason> {
        let Some((name, parameters)) = parse_issue(&self.value) else {
            return Err(CaaReason::OtherAuthority);
        };
        let is_named = |identity: &String| name.eq_ignore_ascii_case(identity);
        if !issuer.identities.iter().any(is_named) {
            return Err(CaaReason::OtherAuthority);
        }
        let values = |tag: &'static str| {
            let of_tag = move |(found, _): &&(&str, &str)| found.eq_ignore_ascii_case(tag);
            parameters.iter().filter(of_tag).map(|(_, value)| *value)
        };
        // A parameter that stands there twice allows nobody, as with Let's Encrypt.
        let is_single = |tag| values(tag).count() <= 1;
        let account = values("accounturi").all(|url| issuer.account_url == url);
        if !account || !is_single("accounturi") {
            return Err(CaaReason::OtherAccount);
        }
        let method = issuer.validation_method;
        let lists_it = |list: &str| list.split(',').any(|listed| listed.trim() == method);
        if !values("validationmethods").all(lists_it) || !is_single("validationmethods") {
            return Err(CaaReason::OtherMethod);
        }
        Ok(())
    }
}

/// Shown with at most 128 characters of tag and value, and without control characters.
impl fmt::Display for CaaRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tag, value] = [&self.tag, &self.value].map(|text| shown(text, SHOWN_CHARS));
        write!(f, "{} {tag} \"{value}\"", self.flags)
    }
}

/// The issuer's name, which may be empty, and the parameters of an `issue` value (RFC 8659 §4.2);
/// `None` if it does not fit the grammar.
fn parse_issue(value: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let mut parts = value.split(';').map(trimmed);
    let name = parts.next()?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !name.bytes().all(is_name) {
        return None;
    }
    let mut parameters = vec![];
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_none() {
            break;
        }
        let (tag, value) = part.split_once('=')?;
        let (tag, value) = (trimmed(tag), trimmed(value));
        let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_value = value.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !is_tag || !is_value {
            return None;
        }
        parameters.push((tag, value));
    }
    Some((name, parameters))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
