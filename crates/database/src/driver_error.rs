//! The database driver's errors, each in one sentence.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

/// The driver's error without its own preamble, its repetitions and lines of the server's source.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct DriverError {
    text: String,
    /// The server's SQLSTATE, if the server said anything.
    code: Option<String>,
    is_unreachable: bool,
    is_transient: bool,
}

/// SQLSTATEs and SQLite codes after which the same call may succeed in a moment. The SQLSTATEs are
/// deadlock, serialisation failure, shutdown, start-up and too many connections. The codes of
/// SQLite are `SQLITE_BUSY` and `SQLITE_BUSY_SNAPSHOT`.
const TRANSIENT_CODES: [&str; 7] = ["40P01", "40001", "57P01", "57P03", "53300", "5", "517"];

impl DriverError {
    /// The error of an exchange that did not end in time.
    pub(crate) fn timed_out(bound: Duration) -> Self {
        Self {
            text: format!("no answer within {} s", bound.as_secs()),
            code: None,
            is_unreachable: true,
            is_transient: true,
        }
    }

    /// Whether the same call may succeed in a moment.
    pub const fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// Whether the server did not answer at all.
    pub(crate) const fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// Returns what an operator can do about a server that refuses a connection.
    pub(crate) fn remedy(&self) -> &'static str {
        match self.code.as_deref() {
            // invalid_catalog_name
            Some("3D000") => "create it, or correct the database in the connection string",
            // invalid_password
            Some("28P01") => "correct the user and the password in the connection string",
            // invalid_authorization_specification
            Some("28000") => {
                "create the role, allow it in pg_hba.conf, or correct the user in the connection string"
            }
            // insufficient_privilege
            Some("42501") => "grant the role the right to connect, or use another one",
            // too_many_connections
            Some("53300") => "raise max_connections there, or lower Maximum Pool Size here",
            Some(_) => "see the server's log",
            None => "check that it is a database of this service and that it is not damaged",
        }
    }
}

impl From<sqlx::Error> for DriverError {
    fn from(error: sqlx::Error) -> Self {
        let said = |text: String| Self {
            text,
            code: None,
            is_unreachable: false,
            is_transient: false,
        };
        match error {
            sqlx::Error::Database(error) => Self {
                is_transient: error
                    .code()
                    .is_some_and(|code| TRANSIENT_CODES.contains(&code.as_ref())),
                code: error.code().map(Cow::into_owned),
                ..said(error.message().to_owned())
            },
            sqlx::Error::Io(error) => Self {
                is_unreachable: true,
                is_transient: true,
                ..said(in_words(&error))
            },
            sqlx::Error::PoolTimedOut => Self {
                is_unreachable: true,
                is_transient: true,
                ..said("no connection became free in time".to_owned())
            },
            closed @ sqlx::Error::PoolClosed => Self {
                is_transient: true,
                ..said(closed.to_string())
            },
            other => said(other.to_string()),
        }
    }
}

/// The kind of the error, which people know, before the system's own text.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            "it closed the connection".to_owned()
        }
        _ => error.to_string(),
    }
}
