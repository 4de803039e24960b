//! A consistent copy of a PostgreSQL database that others are writing to, made by `pg_dump`.
//!
//! The server's own tool knows every object of a database; we run it and check what it wrote.

mod login;
mod program;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use self::login::Login;
pub use self::program::PostgresPrograms;
use crate::file::make_file;
use crate::target::PostgresTarget;

/// The time in which the server must answer before the dump begins.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `pg_dump` notices a server that is gone after about a minute. Everything else about the
/// connection comes by environment.
const DEAD_SERVER: &str = "--dbname=connect_timeout=10 keepalives_idle=30 keepalives_interval=10 \
                           keepalives_count=3 tcp_user_timeout=60000";

/// Tables of the schema that the service works in, without those of extensions.
const TABLES: &str = "SELECT c.relname::text FROM pg_class c \
    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
    AND NOT EXISTS (SELECT 1 FROM pg_depend d \
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY 1";

/// The dump was not made. Never contains the password.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A file cannot be written or a program cannot be started.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The server refuses the query.
    #[error("cannot read the version of the server at {place}: {reason}")]
    Server {
        /// The server's host and port.
        place: String,
        /// The server's reason.
        reason: String,
    },
    /// There is no such program.
    #[error(
        "{program} is not there; install PostgreSQL's client programs of version {major} or later \
         (Debian and Ubuntu: postgresql-client-{major}), or name the program with --pg-dump"
    )]
    Missing {
        /// The program, as it was searched for.
        program: String,
        /// The server's major version.
        major: u32,
    },
    /// The program is too old for the server.
    #[error(
        "{program} has version {found}, the server {major}, and it dumps no newer server; install \
         PostgreSQL's client programs of version {major} or later (Debian and Ubuntu: \
         postgresql-client-{major}), or name the program with --pg-dump"
    )]
    Older {
        /// The program.
        program: String,
        /// Its major version.
        found: u32,
        /// The server's major version.
        major: u32,
    },
    /// The program does not print a version of PostgreSQL.
    #[error("{program} does not print its version, but: {said}")]
    NoVersion {
        /// The program.
        program: String,
        /// The beginning of its answer.
        said: String,
    },
    /// The program failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The beginning of what it said.
        said: String,
    },
    /// The dump lacks a table of the database.
    #[error("the dump lacks the table {table}")]
    Incomplete {
        /// The table.
        table: String,
    },
    /// A part of the connection string cannot be handed to `pg_dump`.
    #[error("{what} of the connection string cannot be handed to pg_dump: {remedy}")]
    Login {
        /// The part.
        what: &'static str,
        /// The remedy.
        remedy: &'static str,
    },
}

/// The contents of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump {
    /// Tables of the service's schema.
    pub tables: usize,
}

/// Dumps the database of `server`, as it is at one moment, to the new file `to`, and reads the dump
/// to its end. Others may read and write the database meanwhile.
pub async fn dump_postgres(
    server: &PostgresTarget,
    programs: &PostgresPrograms,
    to: &Path,
) -> Result<Dump, DumpError> {
    let login = Login::new(&server.options)?;
    let (major, tables) = inspect(&server.options, &login).await?;
    let pg_dump = programs.pg_dump(major)?;
    pg_dump.require_version(major).await?;
    let pg_restore = programs.pg_restore(major)?;
    // The program keeps the mode of a file that is there.
    make_file(to).map_err(|source| DumpError::File {
        path: to.to_path_buf(),
        source,
    })?;
    let file = format!("--file={}", to.display());
    let arguments = [
        "--format=custom",
        "--no-password",
        "--lock-wait-timeout=30s",
        DEAD_SERVER,
        &file,
    ];
    pg_dump.run(&arguments, Some(&login)).await?;
    let dump = to.display().to_string();
    let list = pg_restore.run(&["--list", &dump], None).await?;
    if let Some(table) = tables.iter().find(|table| !lists_rows_of(&list, table)) {
        return Err(DumpError::Incomplete {
            table: table.clone(),
        });
    }
    // Reads and unpacks every row, as a restore does.
    pg_restore.run(&["--file=/dev/null", &dump], None).await?;
    Ok(Dump {
        tables: tables.len(),
    })
}

/// The server's major version, and the names of the tables.
async fn inspect(
    options: &PgConnectOptions,
    login: &Login,
) -> Result<(u32, Vec<String>), DumpError> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let failed = |reason: String| DumpError::Server {
        place: place.clone(),
        reason: login.without_password(&reason),
    };
    let queries = async {
        let mut connection = options.connect().await?;
        let version: String = sqlx::query_scalar("SHOW server_version_num")
            .fetch_one(&mut connection)
            .await?;
        let tables: Vec<String> = sqlx::query_scalar(TABLES)
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>((version, tables))
    };
    let (version, tables) = tokio::time::timeout(CONNECT_TIMEOUT, queries)
        .await
        .map_err(|_| failed("no answer in time".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let number: u32 = version.parse().map_err(|_| failed(version.clone()))?;
    Ok((number / 10_000, tables))
}

/// Whether a table of contents lists the rows of a table:
/// `4012; 0 16390 TABLE DATA public custom_domains postgres`.
fn lists_rows_of(list: &str, table: &str) -> bool {
    list.lines().any(|line| {
        let entry = line.split_once(" TABLE DATA ").map(|(_, entry)| entry);
        let name = entry.and_then(|entry| entry.split_whitespace().nth(1));
        name == Some(table)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_table_are_found_by_its_whole_name() {
        let list = "; Archive created\n\
                    215; 1259 16390 TABLE public custom_domains postgres\n\
                    4012; 0 16390 TABLE DATA public custom_domains_old postgres\n\
                    4013; 0 16391 TABLE DATA public orders postgres\n";
        assert!(lists_rows_of(list, "orders"));
        assert!(!lists_rows_of(list, "custom_domains"));
        assert!(!lists_rows_of(list, "public"));
    }
}
