//! Whether a connection to a server is safe from those who sit between.

use std::net::IpAddr;

use sqlx::postgres::PgSslMode;

use crate::target::Target;

/// The connection leaves this machine, without a proof that the right server answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "connects to {host} with sslmode={mode}, which does not verify the server: an attacker in between \
     could read the password and all data. Set sslmode=verify-full (Npgsql: SSL Mode=VerifyFull), and \
     for a private authority sslrootcert=<file> (Root Certificate=<file>). If the network itself \
     encrypts, set {setting} to true"
)]
pub struct UnverifiedTls {
    host: String,
    mode: &'static str,
    setting: &'static str,
}

impl Target {
    /// Refuses a server on another machine unless its certificate and name are verified. `setting`
    /// names the setting that allows it all the same, for the error.
    pub fn require_verified_tls(&self, setting: &'static str) -> Result<(), UnverifiedTls> {
        let Self::Postgres(server) = self else {
            return Ok(());
        };
        let options = &server.options;
        let host = options.get_host();
        let by_socket = options.get_socket().is_some() || host.starts_with('/');
        if by_socket || is_loopback(host) {
            return Ok(());
        }
        let mode = match options.get_ssl_mode() {
            PgSslMode::VerifyFull => return Ok(()),
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::Require => "require",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Allow => "allow",
            PgSslMode::Disable => "disable",
        };
        Err(UnverifiedTls {
            host: host.to_owned(),
            mode,
            setting,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = address.parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), UnverifiedTls> {
        let target: Target = text.parse().unwrap();
        target.require_verified_tls("Store:AllowUnverifiedTls")
    }

    #[test]
    fn a_server_on_another_machine_must_be_verified() {
        for text in [
            "sqlite://dps.db",
            "sqlite::memory:",
            "postgres://dps@127.0.0.1/dps",
            "postgres://dps@[::1]:5432/dps",
            "postgres://dps@LOCALHOST/dps?sslmode=disable",
            "postgres://dps@%2Fvar%2Frun%2Fpostgresql/dps",
            "postgres://dps@x/dps?host=/var/run/postgresql",
            "Host=/var/run/postgresql;Database=dps",
            "postgres://dps@db.example/dps?sslmode=verify-full",
            "Host=db.example;SSL Mode=VerifyFull",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, mode) in [
            ("postgres://dps:hunter2@db.example/dps", "prefer"),
            ("postgres://dps@192.0.2.7/dps?sslmode=require", "require"),
            ("postgres://dps@db/dps?sslmode=verify-ca", "verify-ca"),
            ("postgres://localhost/dps?host=db.example", "prefer"),
            ("Host=127.0.0.1.example;SSL Mode=Disable", "disable"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(
                error.contains(&format!("sslmode={mode}")),
                "{text}: {error}"
            );
            assert!(error.contains("Store:AllowUnverifiedTls"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
