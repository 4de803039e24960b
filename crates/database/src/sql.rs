//! Statements and their arguments, for both databases at once.

use dps_domain::{CertificateId, DomainId, Hostname, LeaseToken, OrderId, Timestamp};

/// One statement in the dialects of both databases, with `$1`-style parameters.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

impl Sql {
    /// The same text for both.
    pub const fn both(text: &'static str) -> Self {
        Self {
            postgres: text,
            sqlite: text,
        }
    }

    /// One text for each, where the dialects differ.
    pub const fn each(postgres: &'static str, sqlite: &'static str) -> Self {
        Self { postgres, sqlite }
    }
}

/// Names the statements of a module and lists them in `ALL`, so that a test can prepare each on
/// both databases.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $vis:vis $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* $vis const $name: $crate::Sql = $sql;)+

        /// Every statement of this module.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, $crate::Sql)] = &[$((stringify!($name), $name)),+];
    };
}

/// A value bound to a statement; `None` is NULL of that type.
#[derive(Debug, Clone)]
pub enum Arg {
    /// An integer of 64 bits.
    Int(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Blob(Option<Vec<u8>>),
    /// A truth value.
    Flag(bool),
}

/// Arguments in the order of their `$n`.
#[macro_export]
macro_rules! args {
    ($($value:expr),+ $(,)?) => { vec![$($crate::Arg::from($value)),+] };
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

/// Counts beyond `i64` do not occur; the largest stands for them.
fn signed(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Int(Some(signed(value)))
    }
}

impl From<Option<u64>> for Arg {
    fn from(value: Option<u64>) -> Self {
        Self::Int(value.map(signed))
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Self::Int(Some(signed(value)))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}

impl From<Option<&[u8]>> for Arg {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Blob(value.map(<[u8]>::to_vec))
    }
}

impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.unix_micros()))
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::unix_micros))
    }
}

impl From<&Hostname> for Arg {
    fn from(value: &Hostname) -> Self {
        Self::from(value.as_str())
    }
}

macro_rules! ids_are_text {
    ($($id:ident),+) => {$(
        impl From<$id> for Arg {
            fn from(value: $id) -> Self {
                Self::Text(Some(value.to_string()))
            }
        }
    )+};
}
ids_are_text!(CertificateId, DomainId, LeaseToken, OrderId);
