//! The forms of a connection string: a SQLite path, a PostgreSQL URL or the Npgsql form.
//!
//! No error here repeats a value, since any of them may hold a password by mistake.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::npgsql;

/// The connection string is not one that we understand. Never contains a value of the string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// None of the known forms.
    #[error(
        "the form of the connection string is unknown; write sqlite://dps.db, \
         postgres://user:password@host/database or Host=…;Database=…;Username=…;Password=…"
    )]
    UnknownForm,
    /// A key of the Npgsql form or a parameter of the URL that does not exist here.
    #[error("the connection string has the unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// The part after a password is not a setting; its text may belong to the password.
    #[error(
        "the connection string has an unknown setting right after the password; quote a password that contains a semicolon: Password=\"…\""
    )]
    UnquotedPassword,
    /// A part of the Npgsql form without `=`.
    #[error("setting {position} of the connection string has no `=`")]
    NotASetting {
        /// Counted from one.
        position: usize,
    },
    /// A quoted value does not end.
    #[error("the quoted value of `{key}` in the connection string has no closing quote")]
    UnterminatedQuote {
        /// The key.
        key: String,
    },
    /// A value cannot be used.
    #[error("the value of `{key}` in the connection string is not valid; expected {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The expected value.
        expected: &'static str,
    },
    /// A key that has no default.
    #[error("the connection string has no `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

/// Where the database is.
#[derive(Debug)]
pub enum Target {
    /// A PostgreSQL server.
    Postgres(Box<PostgresTarget>),
    /// A SQLite file.
    File {
        /// The file, as it is written.
        path: PathBuf,
        /// Whether the connection string asks for reading alone.
        read_only: bool,
        /// The driver's options.
        options: Box<SqliteConnectOptions>,
    },
    /// SQLite in memory.
    Memory,
}

/// A server, and what the connection string says about the pool.
pub struct PostgresTarget {
    /// The driver's options, with the password.
    pub options: PgConnectOptions,
    /// Connections at most, if the connection string says so.
    pub max_connections: Option<u32>,
}

/// The driver's options print their password.
impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTarget")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

/// The URL parameters that the PostgreSQL driver understands.
pub(crate) const URL_KEYS: [&str; 8] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "application_name",
    "options",
    "statement-cache-capacity",
];

impl FromStr for Target {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.starts_with("sqlite:") {
            return sqlite(text);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres_url(text);
        }
        let key_comes_first = text
            .find('=')
            .is_some_and(|equals| !text[..equals].contains("://"));
        if key_comes_first {
            let target = npgsql::parse(text)?;
            return Ok(Self::Postgres(Box::new(target)));
        }
        Err(ConnectionStringError::UnknownForm)
    }
}

fn sqlite(text: &str) -> Result<Target, ConnectionStringError> {
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    let path = place
        .strip_prefix("sqlite://")
        .or_else(|| place.strip_prefix("sqlite:"));
    let mut mode = "rwc";
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "mode" => mode = value,
            _ => {
                return Err(ConnectionStringError::UnknownKey {
                    key: key.to_owned(),
                });
            }
        }
    }
    match (path, mode) {
        (Some(":memory:"), _) | (_, "memory") => return Ok(Target::Memory),
        (None | Some(""), _) => return Err(ConnectionStringError::Missing { key: "path" }),
        (Some(_), "ro" | "rw" | "rwc") => {}
        (Some(_), _) => {
            return Err(ConnectionStringError::BadValue {
                key: "mode".to_owned(),
                expected: "ro, rw, rwc or memory",
            });
        }
    }
    let options =
        SqliteConnectOptions::from_str(place).map_err(|_| ConnectionStringError::BadValue {
            key: "path".to_owned(),
            expected: "a path in UTF-8, percent-encoded where needed",
        })?;
    Ok(Target::File {
        path: options.get_filename().to_path_buf(),
        read_only: mode == "ro",
        options: Box::new(options),
    })
}

fn postgres_url(text: &str) -> Result<Target, ConnectionStringError> {
    let bad = || ConnectionStringError::BadValue {
        key: "postgres://".to_owned(),
        expected: "postgres://user:password@host:port/database?sslmode=…, special characters percent-encoded",
    };
    let query = text.split_once('?').map_or("", |(_, query)| query);
    // Then the question mark stands in the password, and the apparent key is a part of it.
    if query.contains('@') {
        return Err(bad());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let key = pair.split('=').next().unwrap_or_default();
        if !URL_KEYS.contains(&key) {
            return Err(ConnectionStringError::UnknownKey {
                key: key.to_owned(),
            });
        }
    }
    let options = PgConnectOptions::from_str(text).map_err(|_| bad())?;
    Ok(Target::Postgres(Box::new(PostgresTarget {
        options,
        max_connections: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ConnectionStringError {
        text.parse::<Target>().expect_err(text)
    }

    #[test]
    fn a_sqlite_path_is_relative_or_absolute() {
        for (text, expected) in [
            ("sqlite://dps.db", "dps.db"),
            ("sqlite:dps.db", "dps.db"),
            ("sqlite:///var/lib/dps/dps.db", "/var/lib/dps/dps.db"),
            ("sqlite://with%20space.db?mode=rwc", "with space.db"),
        ] {
            let Ok(Target::File {
                path,
                read_only: false,
                ..
            }) = text.parse()
            else {
                panic!("{text} is a file")
            };
            assert_eq!(path, PathBuf::from(expected));
        }
        assert!(matches!("sqlite::memory:".parse(), Ok(Target::Memory)));
        assert!(matches!(
            "sqlite://x.db?mode=ro".parse(),
            Ok(Target::File {
                read_only: true,
                ..
            })
        ));
        assert_eq!(
            refused("sqlite://"),
            ConnectionStringError::Missing { key: "path" }
        );
        assert_eq!(
            refused("sqlite://x.db?cache=shared"),
            ConnectionStringError::UnknownKey {
                key: "cache".to_owned()
            }
        );
    }

    #[test]
    fn a_postgres_url_says_where_and_who() {
        for scheme in ["postgres", "postgresql"] {
            let text = format!("{scheme}://dps:p%40ss@db.example:6432/store?sslmode=disable");
            let Ok(Target::Postgres(target)) = text.parse() else {
                panic!("a server")
            };
            assert_eq!(target.options.get_host(), "db.example");
            assert_eq!(target.options.get_port(), 6432);
            assert_eq!(target.options.get_database(), Some("store"));
            assert_eq!(target.options.get_username(), "dps");
            assert!(!format!("{target:?}").contains("p@ss"));
        }
    }

    #[test]
    fn errors_and_debug_output_never_show_a_password() {
        for text in [
            "mysql://dps:hunter2@db/store",
            "postgres://dps:hunter2@db:notaport/store",
            "postgres://dps:hunter2@db/store?sslmode=hunter2",
            "postgres://dps:hunter2@db/store?passphrase=hunter2",
            "postgres://dps:good?hunter2@db/store",
            "postgres://dps:good?hunter2=x@db/store",
            "postgres://dps:good/hunter2@db/store",
            "postgres://dps:good#hunter2@db/store",
            "Host=db;Password=hunter2;hunter2=x",
            "Host=db;Password=a;hunter2",
            "Host=db;Password='hunter2",
            "Host=db;Port=hunter2;Password=hunter2",
            "Host=db;Password=hunter2;SSL Mode=hunter2",
            "hunter2",
        ] {
            let error = refused(text);
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
