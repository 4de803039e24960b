//! PostgreSQL's programs as child processes: found, checked for their version, run within bounds.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::DumpError;
use super::login::Login;

/// Bytes kept of what a program says about its failure.
const MAX_SAID_BYTES: u64 = 4 * 1024;
/// Bytes kept of what a program prints: the contents of a dump have a line for each object.
const MAX_PRINTED_BYTES: u64 = 16 * 1024 * 1024;

/// All that a program gets of our environment. All else may hold secrets of the service.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];

/// Where `pg_dump` and its siblings are.
#[derive(Debug, Clone, Default)]
pub struct PostgresPrograms {
    /// The program `pg_dump`; the others are beside it. Without it, those of `PATH` are used.
    pub pg_dump: Option<PathBuf>,
}

/// One of the programs.
pub(super) struct Program(PathBuf);

impl PostgresPrograms {
    pub(super) fn pg_dump(&self, major: u32) -> Result<Program, DumpError> {
        match &self.pg_dump {
            Some(path) => usable(path.clone(), major),
            None => in_path("pg_dump", major),
        }
    }

    pub(super) fn pg_restore(&self, major: u32) -> Result<Program, DumpError> {
        match &self.pg_dump {
            Some(path) => usable(path.with_file_name("pg_restore"), major),
            None => in_path("pg_restore", major),
        }
    }
}

fn usable(path: PathBuf, major: u32) -> Result<Program, DumpError> {
    if is_executable(&path) {
        return Ok(Program(path));
    }
    Err(DumpError::Missing {
        program: path.display().to_string(),
        major,
    })
}

fn in_path(name: &str, major: u32) -> Result<Program, DumpError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&path).map(|folder| folder.join(name));
    let found = candidates.find(|candidate| is_executable(candidate));
    found.map(Program).ok_or_else(|| DumpError::Missing {
        program: format!("{name} (looked for in PATH)"),
        major,
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

impl Program {
    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    /// Refuses a program that is older than the server: it would refuse the server.
    pub(super) async fn require_version(&self, major: u32) -> Result<(), DumpError> {
        let said = self.run(&["--version"], None).await?;
        let Some(found) = major_version(&said) else {
            return Err(DumpError::NoVersion {
                program: self.shown(),
                said: said.chars().take(100).collect(),
            });
        };
        if found < major {
            return Err(DumpError::Older {
                program: self.shown(),
                found,
                major,
            });
        }
        Ok(())
    }

    /// Runs the program to its end; returns what it printed. It ends when this future is dropped.
    pub(super) async fn run(
        &self,
        arguments: &[&str],
        login: Option<&Login>,
    ) -> Result<String, DumpError> {
        let failed = |source| DumpError::File {
            path: self.0.clone(),
            source,
        };
        let mut command = Command::new(&self.0);
        command
            .args(arguments)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((*name, env::var_os(name)?))),
            )
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(login) = login {
            command.envs(login.variables());
            // A file of another process's memory cannot be opened by name, one's own input can.
            if let Some(file) = login.password_file().map_err(failed)? {
                command
                    .stdin(file)
                    .env("PGPASSFILE", OsStr::new("/dev/stdin"));
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (printed, said, status) = tokio::join!(
            head(stdout, MAX_PRINTED_BYTES),
            head(stderr, MAX_SAID_BYTES),
            child.wait()
        );
        let status = status.map_err(failed)?;
        if status.success() {
            return Ok(printed);
        }
        let said = login.map_or_else(|| said.clone(), |login| login.without_password(&said));
        Err(DumpError::Failed {
            program: self.shown(),
            status: status.to_string(),
            said: one_line(&said),
        })
    }
}

/// Reads to the end, and returns the beginning.
async fn head<R: AsyncRead + Unpin>(stream: Option<R>, most: u64) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut kept = Vec::new();
    // A stream that breaks off ends the program, whose status has the reason.
    let _ = (&mut stream).take(most).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// The lines of a text in one, without control characters.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("; ");
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The major version in an answer such as `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_version(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_form_of_answer() {
        for (said, major) in [
            (
                "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("pg_dump (PostgreSQL) 17\n", Some(17)),
            ("pg_dump (PostgreSQL) 18beta1\n", Some(18)),
            ("pg_dump (PostgreSQL) \n", None),
            ("something else", None),
        ] {
            assert_eq!(major_version(said), major, "{said}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_one_short_line() {
        let shell = Program(PathBuf::from("/bin/sh"));
        let script = "for i in $(seq 2000); do echo \"a\tlong line\" >&2; done; exit 3";
        let error = shell
            .run(&["-c", script], None)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/bin/sh failed (exit status: 3): along line; along line"),
            "{error}"
        );
        assert!(
            error.len() < 8_000 && !error.contains('\n'),
            "{}",
            error.len()
        );
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let programs = PostgresPrograms {
            pg_dump: Some(PathBuf::from("/nowhere/pg_dump")),
        };
        for missing in [programs.pg_dump(17), programs.pg_restore(17)] {
            let error = missing.err().unwrap().to_string();
            assert!(error.starts_with("/nowhere/pg_"), "{error}");
            assert!(error.contains("postgresql-client-17"), "{error}");
        }
    }
}
