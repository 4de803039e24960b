//! A real HAProxy with a configuration of the test's choosing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::LabError;
use crate::process::{Process, ProcessSpec, find_program};

/// How long a start may take on a loaded machine.
const START_BOUND: Duration = Duration::from_secs(30);
/// The name of the configuration file in the home directory.
const CONFIG: &str = "haproxy.cfg";

/// A running HAProxy, one process in the foreground. Dropping it stops it; the owner of its home
/// directory keeps it.
#[derive(Debug)]
pub struct HaProxy {
    process: Process,
    home: PathBuf,
    ready_at: Vec<SocketAddr>,
}

impl HaProxy {
    /// Writes `config` to `home`, starts HAProxy there, and waits until it listens at every address
    /// in `ready_at`.
    ///
    /// `home` is the working directory, so the configuration may name files relative to it.
    ///
    /// # Errors
    /// [`LabError::MissingProgram`] without HAProxy, [`LabError::Exited`] with HAProxy's words when
    /// it refuses the configuration.
    pub async fn start(
        home: &Path,
        config: &str,
        ready_at: &[SocketAddr],
    ) -> Result<Self, LabError> {
        write_config(home, config)?;
        let spec = ProcessSpec::new("haproxy", haproxy()?, home.join("haproxy.log"));
        let process = spec.args(["-db", "-f", CONFIG]).directory(home).start()?;
        let mut haproxy = Self {
            process,
            home: home.to_owned(),
            ready_at: ready_at.to_vec(),
        };
        haproxy.wait_until_ready().await?;
        Ok(haproxy)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The directory it runs in.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The process: to read its log, signal it, or wait for its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it with SIGKILL, as a crash would end it: what it only had in memory is gone.
    ///
    /// # Errors
    /// [`LabError::Process`] when the system refuses.
    pub fn kill(&mut self) -> Result<(), LabError> {
        self.process.kill()
    }

    /// Kills it if it runs, starts it from its files, and waits until it listens again.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> Result<(), LabError> {
        self.process.restart()?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<(), LabError> {
        for address in &self.ready_at {
            self.process.wait_for_port(*address, START_BOUND).await?;
        }
        Ok(())
    }
}

/// Lets HAProxy judge a configuration as if it lay in `home`, without starting it.
///
/// # Errors
/// [`LabError::Failed`] with HAProxy's words when it would not start.
pub async fn check_config(home: &Path, config: &str) -> Result<(), LabError> {
    let name = "check.cfg";
    std::fs::write(home.join(name), config)
        .map_err(LabError::io("write the configuration to check"))?;
    let mut command = tokio::process::Command::new(haproxy()?);
    command.args(["-c", "-f", name]).current_dir(home);
    crate::process::run("haproxy -c", command).await.map(drop)
}

/// A directory for one HAProxy, removed on drop.
///
/// # Errors
/// [`LabError::Io`] when it cannot be made.
pub fn home() -> Result<TempDir, LabError> {
    tempfile::Builder::new()
        .prefix("dps-lab-haproxy-")
        .tempdir()
        .map_err(LabError::io("make a directory for HAProxy"))
}

/// The program.
///
/// # Errors
/// [`LabError::MissingProgram`] without HAProxy.
pub fn haproxy() -> Result<PathBuf, LabError> {
    find_program("haproxy", "haproxy", &[])
}

fn write_config(home: &Path, config: &str) -> Result<(), LabError> {
    std::fs::write(home.join(CONFIG), config).map_err(LabError::io("write haproxy.cfg"))
}
