//! An ephemeral PostgreSQL cluster, alone or shared by a whole test process.
//!
//! Tests take a fresh database each:
//!
//! ```no_run
//! # async fn test() -> Result<(), dps_lab::LabError> {
//! let url = dps_lab::postgres::fresh_database().await?;
//! # Ok(()) }
//! ```
//!
//! The shared cluster lives in a directory named with our process id. Statics are not dropped, so
//! the server stops when the kernel signals the death of its parent. The next process that starts a
//! cluster deletes the directory.

mod directory;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use self::directory::ClusterDirectory;
use crate::process::{Process, ProcessSpec, find_program, run};
use crate::{LabError, free_port, wait};

/// The superuser of every cluster and the system user it runs as when we are root.
const USER: &str = "postgres";
/// How long a start may take on a loaded machine.
const START_BOUND: Duration = Duration::from_secs(60);
/// How often another port is tried when another process took ours.
const PORT_TRIES: usize = 5;
/// The Debian package, for messages.
const PACKAGE: &str = "postgresql";

/// The programs in PostgreSQL's directory.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pg_isready", "psql"];

/// Nothing here needs to survive a power cut, everything should be quick and small.
const SETTINGS: [&str; 10] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=32MB",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
    "dynamic_shared_memory_type=mmap",
    "autovacuum=off",
    "log_min_messages=warning",
];

/// Laid over them for a server that is stopped at once in the middle of its work.
const DURABLE: [&str; 3] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

/// A running PostgreSQL server with its own data directory. Dropping it stops the server and
/// removes the directory.
#[derive(Debug)]
pub struct Postgres {
    // Field order is drop order: the server stops before its directory goes.
    server: Process,
    port: u16,
    binaries: PathBuf,
    databases: AtomicU32,
    directory: ClusterDirectory,
}

/// The cluster of this process, started on first use.
///
/// # Errors
/// As [`Postgres::start`]; the next call tries again.
pub async fn shared() -> Result<&'static Postgres, LabError> {
    SHARED.get_or_try_init(Postgres::start).await
}

/// The URL of a new, empty database in the [`shared`] cluster.
///
/// # Errors
/// As [`shared`] and [`Postgres::create_database`].
pub async fn fresh_database() -> Result<String, LabError> {
    shared().await?.create_database().await
}

impl Postgres {
    /// Creates a cluster in a temporary directory and starts a server on a free port of 127.0.0.1.
    ///
    /// As root it runs as the system user `postgres`, because the server refuses to be root.
    ///
    /// # Errors
    /// [`LabError::MissingProgram`] without PostgreSQL's server package, else whatever `initdb` or
    /// the server said.
    pub async fn start() -> Result<Self, LabError> {
        Self::start_with(&[]).await
    }

    /// As [`Self::start`], with a server that keeps what it has committed, however it ends.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_durable() -> Result<Self, LabError> {
        Self::start_with(&DURABLE).await
    }

    /// As [`Self::start`], with a server that also listens on a Unix-domain socket. Clients in
    /// other network namespaces reach it there.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with_socket() -> Result<Self, LabError> {
        let directory = ClusterDirectory::create(USER)?;
        let setting = format!("unix_socket_directories={}", directory.path().display());
        Self::start_in(directory, &[&setting]).await
    }

    async fn start_with(settings: &[&str]) -> Result<Self, LabError> {
        Self::start_in(ClusterDirectory::create(USER)?, settings).await
    }

    async fn start_in(directory: ClusterDirectory, settings: &[&str]) -> Result<Self, LabError> {
        let binaries = find_binaries()?;
        init_cluster(&binaries, &directory).await?;
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            let port = free_port()?;
            match start_server(&binaries, &directory, port, settings).await {
                Ok(server) => {
                    let databases = AtomicU32::new(0);
                    return Ok(Self {
                        server,
                        port,
                        binaries,
                        databases,
                        directory,
                    });
                }
                Err(LabError::Exited { log_tail, .. })
                    if tries > 0 && log_tail.contains("could not bind") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Creates an empty database with a name of its own and returns its `postgres://` URL.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the server's words.
    pub async fn create_database(&self) -> Result<String, LabError> {
        let name = format!("lab_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&self.url("postgres"), &format!("CREATE DATABASE {name}"))
            .await?;
        Ok(self.url(&name))
    }

    /// Creates a user who must show this password, with a database of the same name, and returns
    /// its URL without the password.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the server's words.
    pub async fn create_guarded_database(
        &self,
        user: &str,
        password: &str,
    ) -> Result<String, LabError> {
        let admin = self.url("postgres");
        let rules = self.query(&admin, "SHOW hba_file").await?;
        let rules = Path::new(rules.trim());
        let others = std::fs::read_to_string(rules)
            .map_err(LabError::io("read the server's pg_hba.conf"))?;
        std::fs::write(
            rules,
            format!("host all {user} 127.0.0.1/32 scram-sha-256\n{others}"),
        )
        .map_err(LabError::io("write the server's pg_hba.conf"))?;
        let create = format!(
            "CREATE ROLE {user} LOGIN PASSWORD '{}'",
            password.replace('\'', "''")
        );
        self.execute(&admin, &create).await?;
        self.execute(&admin, &format!("CREATE DATABASE {user} OWNER {user}"))
            .await?;
        self.execute(&admin, "SELECT pg_reload_conf()").await?;
        let url = format!("postgres://{user}@127.0.0.1:{}/{user}", self.port);
        wait::until("the server asks for the password", START_BOUND, || async {
            self.execute(&url, "SELECT 1").await.err()
        })
        .await?;
        Ok(url)
    }

    /// The URL of a database in this cluster. Any password is accepted.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// A database of a server with a socket, as a connection string in the `Npgsql` form.
    pub fn npgsql_by_socket(&self, database: &str) -> String {
        let directory = self.directory.path().display();
        let port = self.port;
        format!("Host={directory};Port={port};Database={database};Username={USER}")
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The server, for drills: kill it, restart it, read its log.
    pub fn server(&mut self) -> &mut Process {
        &mut self.server
    }

    /// Kills the server if it runs, starts it again on the same port and data, and waits until it
    /// answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> Result<(), LabError> {
        self.server.kill()?;
        // A killed server leaves processes, which hold its memory until they notice. A new server
        // refuses to start beside them.
        let left = "the last process of the killed server ends";
        wait::until(left, START_BOUND, || async {
            (!self.directory.is_in_use()).then_some(())
        })
        .await?;
        self.server.restart()?;
        wait_until_answering(&mut self.server, &self.binaries, self.port).await
    }

    /// Stops the server at once, as a power cut does to its clients, and starts it on what it had
    /// committed.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn crash(&mut self) -> Result<(), LabError> {
        // Immediate shutdown: no client is waited for, nothing is written, and the shared memory is
        // given back.
        self.server.signal("QUIT")?;
        self.server.wait_for_exit(START_BOUND).await?;
        self.restart().await
    }

    /// The full path of one of PostgreSQL's programs of the same version, for example `pg_dump`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Has new transactions in a database only read, or write again; connections of before are
    /// ended.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the server's words.
    pub async fn set_read_only(&self, url: &str, read_only: bool) -> Result<(), LabError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let sql = format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {read_only}; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        self.execute(&self.url("postgres"), &sql).await
    }

    /// Runs SQL in the database at a URL of this cluster, as an operator does by hand.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the server's words.
    pub async fn execute(&self, url: &str, sql: &str) -> Result<(), LabError> {
        self.query(url, sql).await.map(drop)
    }

    /// As [`Self::execute`]; answers the rows as lines of columns separated by `|`.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn query(&self, url: &str, sql: &str) -> Result<String, LabError> {
        let mut psql = tokio::process::Command::new(self.program("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            "-d",
            url,
        ]);
        run("psql", psql).await
    }
}

/// The directory of the newest installed PostgreSQL that has all the programs needed: Debian's,
/// else that of `initdb` in `PATH`.
fn find_binaries() -> Result<PathBuf, LabError> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    let in_path = || {
        // A link in PATH points to where its sisters are.
        let initdb = find_program("initdb", PACKAGE, &[])
            .ok()?
            .canonicalize()
            .ok()?;
        initdb.parent().map(Path::to_path_buf)
    };
    let is_complete = |directory: &PathBuf| {
        PROGRAMS
            .iter()
            .all(|program| directory.join(program).is_file())
    };
    let installed: Vec<PathBuf> = versions
        .into_iter()
        .rev()
        .map(|(_, directory)| directory)
        .collect();
    let complete = installed
        .iter()
        .find(|directory| is_complete(directory))
        .cloned();
    complete
        .or_else(|| in_path().filter(is_complete))
        .ok_or_else(|| LabError::MissingProgram {
            program: PROGRAMS.join("`, `"),
            searched: installed,
            package: PACKAGE.to_owned(),
        })
}

async fn init_cluster(binaries: &Path, directory: &ClusterDirectory) -> Result<(), LabError> {
    let initdb = ProcessSpec::new("initdb", binaries.join("initdb"), directory.log())
        .args([
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--username",
            USER,
            "-D",
        ])
        .arg(directory.data())
        .directory(directory.path())
        .user_if_root(USER);
    let mut process = initdb.start()?;
    let status = process.wait_for_exit(START_BOUND).await?;
    if status.success() {
        return Ok(());
    }
    Err(LabError::Failed {
        program: "initdb".to_owned(),
        status: status.to_string(),
        output: process.log_tail(),
    })
}

async fn start_server(
    binaries: &Path,
    directory: &ClusterDirectory,
    port: u16,
    more: &[&str],
) -> Result<Process, LabError> {
    let settings = SETTINGS
        .iter()
        .chain(more)
        .flat_map(|setting| ["-c", setting]);
    let mut server = ProcessSpec::new("postgres", binaries.join("postgres"), directory.log())
        .arg("-D")
        .arg(directory.data())
        .args(["-p", &port.to_string()])
        .args(settings)
        .directory(directory.path())
        .user_if_root(USER)
        // Immediate shutdown: as quick as SIGKILL, but the shared memory is given back.
        .death_signal("QUIT")
        .start()?;
    wait_until_answering(&mut server, binaries, port).await?;
    Ok(server)
}

async fn wait_until_answering(
    server: &mut Process,
    binaries: &Path,
    port: u16,
) -> Result<(), LabError> {
    let pg_isready = binaries.join("pg_isready");
    let port = port.to_string();
    server
        .wait_until("accepting connections", START_BOUND, || {
            let mut probe = tokio::process::Command::new(&pg_isready);
            probe.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            async move { probe.status().await.is_ok_and(|status| status.success()) }
        })
        .await
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGKILL would leave shared memory; an immediate shutdown does not. The process
        // itself is killed and reaped by its own drop, so only the server's own chance to clean up
        // is given here.
        if self.server.signal("QUIT").is_ok() {
            self.server.reap(Duration::from_secs(5));
        }
    }
}
