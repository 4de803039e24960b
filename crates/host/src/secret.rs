//! Secrets in settings: by value or by file, never shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dps_x509::{ExposedFile, check_private_file};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The text shown instead of a secret.
pub const MASK: &str = "***";

/// Longer secret files are refused.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Shortest bearer token, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// The rule of [`Secret::is_usable_token`], to follow a setting's name.
pub const TOKEN_RULE: &str = "must be at least 16 printable ASCII characters without spaces, since it travels in an HTTP header \
                              and must not be guessed";

/// A secret of the settings. `Debug` and `Serialize` show [`MASK`]; only [`Secret::expose`] gives
/// the text.
#[derive(Clone)]
pub struct Secret(SecretString);

/// A secret cannot be had. The text never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Given twice.
    #[error("both the value and the file are set; set only one of them")]
    Both,
    /// The file cannot be read.
    #[error("cannot read the secret file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read or change the file.
    #[error("the secret file {0}")]
    Exposed(ExposedFile),
    /// Nothing but line ends in it.
    #[error("the secret file {} is empty", .0.display())]
    Empty(PathBuf),
    /// Too long or not text.
    #[error("the secret file {} must hold one line of UTF-8 text of at most 64 KiB", .0.display())]
    NotText(PathBuf),
}

impl Secret {
    /// The text itself: hand it on, never print it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it can be a bearer token (RFC 6750 §2.1) that cannot be guessed, as [`TOKEN_RULE`]
    /// says.
    pub fn is_usable_token(&self) -> bool {
        let text = self.expose();
        text.len() >= MIN_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The text in the type of the `secrecy` crate.
    pub fn into_inner(self) -> SecretString {
        self.0
    }

    /// Resolves a pair of settings `X` and `XFile`. Returns the value, or the content of the file
    /// without its final line ends; `None` if neither is set. A file that others can read or change
    /// is refused.
    pub fn resolve(value: Option<&Self>, file: Option<&Path>) -> Result<Option<Self>, SecretError> {
        match (value, file) {
            (Some(_), Some(_)) => Err(SecretError::Both),
            (Some(value), None) => Ok(Some(value.clone())),
            (None, Some(path)) => read(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    check_private_file(path, mode).map_err(SecretError::Exposed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(SecretError::NotText(path.to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    Ok(Secret::from(text))
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

/// Takes numbers and truth values as text, so that no error message ever quotes what may be a
/// secret.
struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        if text == MASK {
            return Err(E::custom(
                "the mask of a secret instead of the secret; set the real one",
            ));
        }
        Ok(Secret::from(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secret, E> {
        Ok(Secret::from(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secret, E> {
        Ok(Secret::from(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Secret, E> {
        Ok(Secret::from(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Secret, E> {
        Ok(Secret::from(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: &Path, content: impl AsRef<[u8]>) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_secret_shows_itself_only_when_asked_by_name() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(secret.into_inner().expose_secret(), "hunter2");
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_be_shown_is_not_usable() {
        for (text, is_usable) in [
            ("0123456789abcdef", true),
            ("0123456789abcde", false),
            ("0123456789 abcdef", false),
            ("0123456789abcdef\u{e9}", false),
            ("0123456789abcdef\n", false),
        ] {
            assert_eq!(Secret::from(text).is_usable_token(), is_usable, "{text}");
        }
        assert!(TOKEN_RULE.contains(&format!("at least {MIN_TOKEN_BYTES} printable")));
    }

    #[test]
    fn an_error_about_a_secret_does_not_quote_it() {
        assert_eq!(
            serde_json::from_str::<Secret>("123456").unwrap().expose(),
            "123456"
        );
        assert_eq!(serde_json::from_str::<Secret>("-1").unwrap().expose(), "-1");
        assert_eq!(
            serde_json::from_str::<Secret>("true").unwrap().expose(),
            "true"
        );
        let error = serde_json::from_str::<Secret>("[\"hunter2\"]")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_mask_is_not_taken_for_a_secret() {
        let error = serde_json::from_str::<Secret>("\"***\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("set the real one"), "{error}");
    }

    #[test]
    fn a_secret_comes_from_the_value_or_from_the_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let resolve = |value: Option<&Secret>, file| Secret::resolve(value, file);
        for content in ["from file", "from file\n", "from file\r\n", "from file\n\n"] {
            write(&path, content);
            assert_eq!(
                resolve(None, Some(&path)).unwrap().unwrap().expose(),
                "from file"
            );
        }
        let value = Secret::from("value");
        assert_eq!(
            resolve(Some(&value), None).unwrap().unwrap().expose(),
            "value"
        );
        assert!(resolve(None, None).unwrap().is_none());
        assert!(matches!(
            resolve(Some(&value), Some(&path)),
            Err(SecretError::Both)
        ));
    }

    #[test]
    fn a_missing_empty_huge_or_binary_secret_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let error = Secret::resolve(None, Some(&path)).unwrap_err();
        assert!(matches!(&error, SecretError::Unreadable { .. }));
        assert!(error.to_string().contains("token"), "{error}");
        write(&path, "\n");
        assert!(matches!(
            Secret::resolve(None, Some(&path)),
            Err(SecretError::Empty(_))
        ));
        write(&path, [0xff, 0xfe]);
        assert!(matches!(
            Secret::resolve(None, Some(&path)),
            Err(SecretError::NotText(_))
        ));
        write(&path, vec![b'x'; 64 * 1024 + 1]);
        assert!(matches!(
            Secret::resolve(None, Some(&path)),
            Err(SecretError::NotText(_))
        ));
    }

    #[test]
    fn a_file_that_others_may_read_or_change_is_refused_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, "hunter2");
        for (mode, is_private) in [(0o400, true), (0o440, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = Secret::resolve(None, Some(&path));
            assert_eq!(read.is_ok(), is_private, "{mode:o}");
            if let Err(error) = read {
                let text = error.to_string();
                assert!(
                    text.contains("chmod 600") && !text.contains("hunter2"),
                    "{text}"
                );
            }
        }
    }
}
