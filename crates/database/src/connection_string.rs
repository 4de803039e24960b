//! The connection string as a setting: it is read, shown with its password masked, and handed on.

use std::fmt;
use std::path::Path;

use dps_host::{MASK, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::npgsql;
use crate::target::{ConnectionStringError, Target, URL_KEYS};

/// `sqlite://file`, `postgres://user:password@host/database`, or the Npgsql form
/// `Host=…;Database=…`. `Debug` and `Serialize` mask the password.
#[derive(Clone)]
pub struct ConnectionString(Secret);

impl ConnectionString {
    /// The text with its password: hand it on, never print it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The database that it names.
    pub fn target(&self) -> Result<Target, ConnectionStringError> {
        self.expose().parse()
    }

    /// The text with [`MASK`] in the place of whatever may be a password. A text that cannot be
    /// parsed is not shown.
    pub fn masked(&self) -> String {
        let text = self.expose().trim();
        match text.split_once(':') {
            Some(("sqlite", _)) => masked_query(text),
            Some((scheme @ ("postgres" | "postgresql"), rest)) => {
                masked_url(scheme, rest.strip_prefix("//").unwrap_or(rest))
            }
            _ => npgsql::masked(text, MASK).unwrap_or_else(|| MASK.to_owned()),
        }
    }

    /// The same database, where a relative path of a SQLite file begins in `folder`.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> Self {
        let Ok(Target::File { path, .. }) = self.target() else {
            return self.clone();
        };
        if path.is_absolute() || folder.as_os_str().is_empty() {
            return self.clone();
        }
        let query = self.expose().trim().split_once('?');
        let query = query
            .map(|(_, query)| format!("?{query}"))
            .unwrap_or_default();
        let path = folder.join(path).display().to_string();
        let path = path.replace('%', "%25").replace('?', "%3F");
        Self::from(format!("sqlite://{path}{query}").as_str())
    }
}

/// A PostgreSQL URL after `scheme://`. A password may hold any character, so the last `@` before
/// the query ends it.
fn masked_url(scheme: &str, rest: &str) -> String {
    let place = rest.split('?').next().unwrap_or_default();
    let is_sound = format!("{scheme}://{place}").parse::<Target>().is_ok();
    // With an `@` in the query, the question mark may belong to the password.
    if !is_sound || rest[place.len()..].contains('@') {
        return format!("{scheme}://{MASK}");
    }
    let query = masked_query(&rest[place.len()..]);
    match place.rsplit_once('@') {
        Some((login, server)) => match login.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:{MASK}@{server}{query}"),
            None => format!("{scheme}://{login}@{server}{query}"),
        },
        None => format!("{scheme}://{place}{query}"),
    }
}

/// The text, with the value of each parameter masked that is not known to be harmless.
fn masked_query(text: &str) -> String {
    let Some((place, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if key == "mode" || URL_KEYS.contains(&key) => pair.to_owned(),
        Some((key, _)) => format!("{key}={MASK}"),
        None if pair.is_empty() => String::new(),
        None => MASK.to_owned(),
    });
    format!("{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

impl From<&str> for ConnectionString {
    fn from(text: &str) -> Self {
        Self(Secret::from(text))
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for ConnectionString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl<'de> Deserialize<'de> for ConnectionString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains(MASK) {
            return Err(de::Error::custom(
                "it contains the mask of a password instead of the password; set the real one",
            ));
        }
        Ok(Self(Secret::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use sqlx::ConnectOptions as _;

    use super::*;

    fn file(text: &str) -> Option<PathBuf> {
        match ConnectionString::from(text).target() {
            Ok(Target::File { path, .. }) => Some(path),
            _ => None,
        }
    }

    #[test]
    fn no_password_is_ever_shown() {
        for (text, masked) in [
            ("sqlite://dps.db", "sqlite://dps.db"),
            ("sqlite://dps.db?key=hunter2", "sqlite://dps.db?key=***"),
            (
                "postgres://u:hunter2@db:5432/dps",
                "postgres://u:***@db:5432/dps",
            ),
            (
                "postgres://u:hun@ter2/hunter2@db/dps",
                "postgres://u:***@db/dps",
            ),
            (
                "postgres://u@db/dps?password=hunter2&sslmode=require",
                "postgres://u@db/dps?password=***&sslmode=require",
            ),
            (
                "postgres://u@db/dps?p%61ssword=hunter2",
                "postgres://u@db/dps?p%61ssword=***",
            ),
            ("postgres://u@db/dps?hunter2", "postgres://u@db/dps?***"),
            ("postgres://u:a?hunter2@db/dps", "postgres://***"),
            ("postgres://u:hunter2", "postgres://***"),
            ("mysql://u:hunter2@db/dps", MASK),
            ("Host=db;Password=\"hun;hunter2\"", "Host=db;Password=***"),
            ("Host=db;Password='a;hunter2'", "Host=db;Password=***"),
            ("Host=db;Password=a;hunter2", MASK),
            ("Host=db;Passphrase=hunter2", MASK),
            ("Database=dps;Password=hunter2", MASK),
            ("hunter2", MASK),
            (
                "Host=db;Username=u;Password=hunter2",
                "Host=db;Username=u;Password=***",
            ),
            ("Host=db;Psw=hunter2", "Host=db;Psw=***"),
            ("Host=db;Pass Word=hunter2", "Host=db;Pass Word=***"),
            ("Host=db; P W D =hunter2;", "Host=db;P W D=***"),
        ] {
            let connection = ConnectionString::from(text);
            assert_eq!(connection.masked(), masked);
            let json = serde_json::to_string(&connection).unwrap();
            let shown = format!("{connection:?} {json}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(connection.expose(), text);
        }
        let masked = "\"postgres://u:***@db/dps\"";
        assert!(serde_json::from_str::<ConnectionString>(masked).is_err());
    }

    #[test]
    fn a_relative_file_begins_in_the_given_folder_and_nothing_else_changes() {
        let in_folder = |text: &str| {
            let folder = Path::new("/var/lib/100% dps?");
            ConnectionString::from(text).in_folder(folder)
        };
        for text in ["sqlite://dps.db", "sqlite:dps.db?mode=rw"] {
            let moved = in_folder(text);
            let expected = PathBuf::from("/var/lib/100% dps?/dps.db");
            assert_eq!(file(moved.expose()), Some(expected), "{moved:?}");
            assert_eq!(
                moved.expose().contains("?mode=rw"),
                text.contains("?mode=rw")
            );
        }
        for text in [
            "sqlite:///srv/dps.db",
            "sqlite::memory:",
            "postgres://db/dps",
            "Host=db",
            "of no form",
        ] {
            assert_eq!(in_folder(text).expose(), text);
        }
        let here = ConnectionString::from("sqlite://dps.db").in_folder(Path::new(""));
        assert_eq!(here.expose(), "sqlite://dps.db");
    }

    /// A key in some case, with spaces anywhere.
    fn spelled(key: &'static str) -> impl Strategy<Value = String> {
        let letters = key.len();
        let how = proptest::collection::vec((any::<bool>(), 0..3_usize), letters);
        how.prop_map(move |how| {
            let letter = |(letter, (upper, spaces)): (char, (bool, usize))| {
                let letter = if upper {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                };
                format!("{}{letter}", " ".repeat(spaces))
            };
            key.chars().zip(how).map(letter).collect()
        })
    }

    /// The words that keys are made of, those of other programs too.
    fn any_key() -> impl Strategy<Value = String> {
        prop_oneof![
            spelled("password"),
            spelled("pwd"),
            spelled("psw"),
            spelled("passphrase"),
            spelled("pass"),
            spelled("sslpassword"),
            spelled("username"),
            spelled("host"),
            spelled("database"),
            spelled("applicationname"),
            "[a-zA-Z ]{1,12}",
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_driver_takes_for_the_password_is_masked(
            key in any_key(),
            value in "[a-zA-Z0-9;=@/?#'\" ]{0,12}",
            quote in prop_oneof![Just(""), Just("'"), Just("\"")],
        ) {
            let value = format!("x7{value}7x");
            let text = format!("Host=db.example;{key}={quote}{value}{quote};Username=dps");
            let masked = ConnectionString::from(text.as_str()).masked();
            let known = match text.parse::<Target>() {
                Ok(Target::Postgres(target)) => {
                    // The driver panics when these make no URL.
                    let options = target.options.host("db").username("u");
                    let url = options.to_url_lossy();
                    url.password().is_some_and(|password| password.contains("x7"))
                }
                // A text that cannot be parsed may hold a password anywhere.
                _ => true,
            };
            prop_assert!(!known || !masked.contains("x7"), "{} is shown as {}", text, masked);
        }

        #[test]
        fn the_password_of_a_url_is_masked(
            value in "[a-zA-Z0-9;=@/?#:&% ]{0,12}",
            key in prop_oneof![Just("password"), Just("Password"), Just("pwd"), Just("pass%77ord")],
        ) {
            for text in [
                format!("postgres://dps:x7{value}7x@db.example:5432/dps?sslmode=require"),
                format!("postgresql://dps@db.example/dps?sslmode=require&{key}=x7{value}7x"),
            ] {
                let masked = ConnectionString::from(text.as_str()).masked();
                prop_assert!(!masked.contains("x7"), "{} is shown as {}", text, masked);
                prop_assert!(!masked.contains("7x"), "{} is shown as {}", text, masked);
            }
        }
    }
}
