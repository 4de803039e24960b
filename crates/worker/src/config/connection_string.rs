//! How a database is named.

use std::fmt;
use std::path::PathBuf;

use dps_host::MASK;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `sqlite://file`, `postgres://user:password@host/database`, or the Npgsql form `Host=…;Database=…`. Its password is never shown.
#[derive(Clone)]
pub struct ConnectionString(SecretString);

/// Which database a connection string names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite in this file; `None` in memory.
    Sqlite(Option<PathBuf>),
    /// PostgreSQL.
    Postgres,
}

impl ConnectionString {
    /// The text with its password: hand it on, never print it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Which database it names, or `None` if the form is unknown.
    pub fn database(&self) -> Option<Database> {
        let text = self.expose();
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest
                .trim_start_matches("//")
                .split('?')
                .next()
                .unwrap_or_default();
            let in_memory = path.is_empty() || path == ":memory:" || rest.contains("mode=memory");
            return Some(Database::Sqlite((!in_memory).then(|| path.into())));
        }
        let url = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        (url || npgsql(text).any(|(key, _)| is_host(key))).then_some(Database::Postgres)
    }

    /// The text with [`MASK`] in the place of the password.
    pub fn masked(&self) -> String {
        let text = self.expose();
        match text.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{}", masked_url(rest)),
            // Inside quotes a password may hold what looks like the next key: then nothing is shown.
            None if text.contains(['"', '\'']) => MASK.to_owned(),
            None => npgsql(text)
                .map(|(key, value)| {
                    if is_password(key) {
                        format!("{key}={MASK}")
                    } else {
                        format!("{key}={value}")
                    }
                })
                .collect::<Vec<_>>()
                .join(";"),
        }
    }
}

/// What follows `scheme://`. A password may hold any character, so the last `@` before the query ends it.
fn masked_url(rest: &str) -> String {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => place.to_owned(),
        },
        None => place.to_owned(),
    };
    if query.is_empty() {
        return place;
    }
    let masked = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if is_password(key) => format!("{key}={MASK}"),
        _ => pair.to_owned(),
    };
    format!(
        "{place}?{}",
        query.split('&').map(masked).collect::<Vec<_>>().join("&")
    )
}

/// The pairs of `Key=Value;Key=Value`.
fn npgsql(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn is_host(key: &str) -> bool {
    ["host", "server"].contains(&key.trim().to_ascii_lowercase().as_str())
}

fn is_password(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    key.contains("password") || key.contains("pwd") || key.contains("passphrase")
}

impl From<&str> for ConnectionString {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
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
                "this holds the mask of a password, not the password: give the real one",
            ));
        }
        Ok(Self(SecretString::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_told_from_the_form() {
        let sqlite = |path: &str| Some(Database::Sqlite(Some(path.into())));
        for (text, database) in [
            ("sqlite://dps.db", sqlite("dps.db")),
            (
                "sqlite:///var/lib/dps/dps.db?mode=rwc",
                sqlite("/var/lib/dps/dps.db"),
            ),
            ("sqlite:dps.db", sqlite("dps.db")),
            ("sqlite::memory:", Some(Database::Sqlite(None))),
            ("sqlite://x?mode=memory", Some(Database::Sqlite(None))),
            ("postgres://db/dps", Some(Database::Postgres)),
            ("postgresql://u:p@db/dps", Some(Database::Postgres)),
            ("Host=db;Database=dps", Some(Database::Postgres)),
            (" server = db ; Database=dps", Some(Database::Postgres)),
            ("mysql://db/dps", None),
            ("dps.db", None),
            ("", None),
        ] {
            assert_eq!(ConnectionString::from(text).database(), database, "{text}");
        }
    }

    #[test]
    fn no_password_is_ever_shown() {
        for (text, masked) in [
            ("sqlite://dps.db", "sqlite://dps.db"),
            ("postgres://u:hunter2@db:5432/dps", "postgres://u:***@db:5432/dps"),
            ("postgres://u:hun@ter2/hunter2@db/dps", "postgres://u:***@db/dps"),
            (
                "postgres://u@db/dps?password=hunter2&sslmode=require",
                "postgres://u@db/dps?password=***&sslmode=require",
            ),
            ("Host=db;Password=\"hun;ter2\"", MASK),
            ("Host=db;Password='a;hunter2'", MASK),
            (
                "Host=db;Username=u;Password=hunter2",
                "Host=db;Username=u;Password=***",
            ),
            ("Host=db; PWD =hunter2;", "Host=db; PWD =***"),
        ] {
            let connection = ConnectionString::from(text);
            assert_eq!(connection.masked(), masked);
            let shown = format!("{connection:?} {}", serde_json::to_string(&connection).unwrap());
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(connection.expose(), text);
        }
        assert!(serde_json::from_str::<ConnectionString>("\"postgres://u:***@db/dps\"").is_err());
    }
}
