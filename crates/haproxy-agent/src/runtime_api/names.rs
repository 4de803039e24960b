//! Names that may stand in a command.

use std::fmt;
use std::path::Path;

/// The name of a certificate store: the absolute path of the PEM file that a crt-list names.
/// HAProxy opens no file for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(Box<str>);

/// The name of a crt-list: its absolute path as HAProxy's configuration spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName(Box<str>);

/// The text cannot stand in a Runtime API command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A relative name would be subject to HAProxy's `crt-base`.
    #[error("the path must be absolute")]
    Relative,
    /// A character with a meaning on HAProxy's command line, or beyond ASCII.
    #[error("the path may hold only letters, digits and the characters . _ - /")]
    IllegalCharacter,
    /// The ending would address a part of a store, or the path is longer than HAProxy's line
    /// allows.
    #[error("the file name must end in .pem and the path must be shorter than 1024 characters")]
    IllegalForm,
}

const MAX_CHARS: usize = 1024;

fn check(text: &str) -> Result<(), NameError> {
    if !text.starts_with('/') {
        return Err(NameError::Relative);
    }
    if text.len() >= MAX_CHARS {
        return Err(NameError::IllegalForm);
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if text.bytes().all(legal) {
        Ok(())
    } else {
        Err(NameError::IllegalCharacter)
    }
}

impl StoreName {
    /// Checks that the text is an absolute path of harmless characters that ends in `.pem`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text)?;
        let is_pem = Path::new(text)
            .extension()
            .is_some_and(|extension| extension == "pem");
        if is_pem {
            Ok(Self(text.into()))
        } else {
            Err(NameError::IllegalForm)
        }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ListName {
    /// Checks that the text is an absolute path of harmless characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_break_out_of_a_command_is_a_name() {
        assert!(StoreName::parse("/var/lib/agent/certs/0a/shop.example.com.pem").is_ok());
        for (text, expected) in [
            ("certs/a.pem", NameError::Relative),
            ("", NameError::Relative),
            ("/a;show info.pem", NameError::IllegalCharacter),
            ("/a b.pem", NameError::IllegalCharacter),
            ("/a\nquit.pem", NameError::IllegalCharacter),
            ("/a<<.pem", NameError::IllegalCharacter),
            ("/*a.pem", NameError::IllegalCharacter),
            ("/ä.pem", NameError::IllegalCharacter),
            ("/a\\.pem", NameError::IllegalCharacter),
            ("/a.key", NameError::IllegalForm),
            ("/a.pem.ocsp", NameError::IllegalForm),
        ] {
            assert_eq!(StoreName::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(
            ListName::parse("/list.txt :1"),
            Err(NameError::IllegalCharacter)
        );
    }
}
