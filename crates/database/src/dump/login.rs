//! How PostgreSQL's programs log in as the connection string says.
//!
//! Arguments of a process can be read by every user of the machine, so nothing of it goes there.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dps_host::{MASK, Secret};
use rustix::fs::MemfdFlags;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::DumpError;

/// Where Linux distributions keep the authorities that they trust. The driver has a list of its
/// own, which the programs do not know.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variables of `libpq`, and the password apart from them.
pub(super) struct Login {
    variables: Vec<(&'static str, String)>,
    password: Option<Secret>,
}

impl Login {
    pub(super) fn new(options: &PgConnectOptions) -> Result<Self, DumpError> {
        // The driver shows certificates and password in this URL alone, and panics where host or
        // user make none.
        let url = options
            .clone()
            .host("localhost")
            .username("u")
            .database("d")
            .to_url_lossy();
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => options
                .get_host()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let mut variables = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", options.get_username().to_owned()),
            ("PGDATABASE", database.to_owned()),
            ("PGSSLMODE", ssl_mode(options.get_ssl_mode()).to_owned()),
            (
                "PGAPPNAME",
                options
                    .get_application_name()
                    .unwrap_or("dps backup")
                    .to_owned(),
            ),
        ];
        if let Some(more) = options.get_options() {
            variables.push(("PGOPTIONS", more.to_owned()));
        }
        for (key, name) in [
            ("sslrootcert", "PGSSLROOTCERT"),
            ("sslcert", "PGSSLCERT"),
            ("sslkey", "PGSSLKEY"),
        ] {
            if let Some((_, value)) = url.query_pairs().find(|(found, _)| found == key) {
                variables.push((name, certificate_file(&value)?));
            }
        }
        let verifies = matches!(
            options.get_ssl_mode(),
            PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        if verifies && !variables.iter().any(|(name, _)| *name == "PGSSLROOTCERT") {
            variables.push(("PGSSLROOTCERT", authorities()?.to_owned()));
        }
        let password = url.password().map(password).transpose()?;
        Ok(Self {
            variables,
            password,
        })
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// A password file that is in memory alone, if there is a password. `libpq` takes only a file
    /// that no other user can read.
    pub(super) fn password_file(&self) -> io::Result<Option<File>> {
        let Some(password) = &self.password else {
            return Ok(None);
        };
        let memory = rustix::fs::memfd_create("pgpass", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(memory);
        file.set_permissions(Permissions::from_mode(crate::FILE_MODE))?;
        let escaped = password.expose().replace('\\', "\\\\").replace(':', "\\:");
        file.write_all(format!("*:*:*:*:{escaped}\n").as_bytes())?;
        Ok(Some(file))
    }

    /// The text, with the password masked wherever it stands.
    pub(super) fn without_password(&self, text: &str) -> String {
        match &self.password {
            Some(password) if !password.expose().is_empty() => {
                text.replace(password.expose(), MASK)
            }
            Some(_) | None => text.to_owned(),
        }
    }
}

fn password(encoded: &str) -> Result<Secret, DumpError> {
    let wrong = |remedy| DumpError::Login {
        what: "the password",
        remedy,
    };
    let password =
        decoded(encoded).ok_or_else(|| wrong("give the user one that is text in UTF-8"))?;
    if password.contains(['\n', '\r', '\0']) {
        return Err(wrong("give the user one without line ends"));
    }
    Ok(Secret::from(password.as_str()))
}

/// The text of a percent-encoded part of a URL.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The file of a certificate or key, as the driver shows it.
fn certificate_file(shown: &str) -> Result<String, DumpError> {
    match shown.strip_prefix("file: ") {
        Some(path) => Ok(path.to_owned()),
        None => Err(DumpError::Login {
            what: "a certificate or key",
            remedy: "put it into a file, and name the file",
        }),
    }
}

fn authorities() -> Result<&'static str, DumpError> {
    let found = AUTHORITIES
        .into_iter()
        .find(|path| Path::new(path).is_file());
    found.ok_or(DumpError::Login {
        what: "the list of trusted authorities",
        remedy: "install ca-certificates, or name the server's authority with sslrootcert",
    })
}

fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;
    use crate::Target;

    fn login(text: &str) -> Result<Login, DumpError> {
        match text.parse() {
            Ok(Target::Postgres(server)) => Login::new(&server.options),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn variable(login: &Login, name: &str) -> Option<String> {
        let mut all = login.variables();
        all.find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
    }

    #[test]
    fn every_part_of_the_connection_string_reaches_the_program() {
        for text in [
            "postgres://dps:p%3As%5Cs%25@db.example:6432/store?sslmode=verify-full\
             &sslrootcert=/etc/root.pem&sslcert=/etc/dps.pem&sslkey=/etc/dps.key",
            "Host=db.example;Port=6432;Database=store;Username=dps;Password='p:s\\s%';\
             SSL Mode=VerifyFull;Root Certificate=/etc/root.pem;SSL Certificate=/etc/dps.pem;\
             SSL Key=/etc/dps.key",
        ] {
            let login = login(text).unwrap();
            for (name, value) in [
                ("PGHOST", "db.example"),
                ("PGPORT", "6432"),
                ("PGUSER", "dps"),
                ("PGDATABASE", "store"),
                ("PGSSLMODE", "verify-full"),
                ("PGSSLROOTCERT", "/etc/root.pem"),
                ("PGSSLCERT", "/etc/dps.pem"),
                ("PGSSLKEY", "/etc/dps.key"),
            ] {
                assert_eq!(
                    variable(&login, name).as_deref(),
                    Some(value),
                    "{name} of {text}"
                );
            }
            let mut file = login.password_file().unwrap().unwrap();
            let mut content = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(content, "*:*:*:*:p\\:s\\\\s%\n");
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert!(login.variables().all(|(_, value)| !value.contains("s\\s")));
            assert_eq!(login.without_password("not p:s\\s% but"), "not *** but");
        }
    }

    #[test]
    fn sockets_options_and_addresses_reach_the_program() {
        for (text, name, value) in [
            (
                "postgres://u@%2Fvar%2Frun%2Fpostgresql/dps",
                "PGHOST",
                "/var/run/postgresql",
            ),
            (
                "postgres://u@x/dps?host=/run/pg&sslmode=disable",
                "PGHOST",
                "/run/pg",
            ),
            ("Host=/run/pg;Username=u", "PGHOST", "/run/pg"),
            ("Host=/run/pg;Username=u", "PGDATABASE", "u"),
            ("postgres://u@[::1]:7/dps", "PGHOST", "::1"),
            (
                "postgres://u@localhost/dps?options=-c%20search_path%3Ddps",
                "PGOPTIONS",
                "-c search_path=dps",
            ),
            (
                "postgres://u@localhost/dps?application_name=copy",
                "PGAPPNAME",
                "copy",
            ),
            ("Host=localhost;Username=a b@c/d", "PGUSER", "a b@c/d"),
        ] {
            let login = login(text).unwrap();
            assert_eq!(
                variable(&login, name).as_deref(),
                Some(value),
                "{name} of {text}"
            );
            assert!(login.password_file().unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_handed_on_is_refused_without_its_value() {
        let password = login("postgres://u:hunter2%0Ax@localhost/dps").err();
        let certificate = certificate_file("-----BEGIN hunter2-----").err();
        for error in [password, certificate] {
            let error = error.unwrap().to_string();
            assert!(error.contains("cannot be handed to pg_dump"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
