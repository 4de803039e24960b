//! Programs under supervision: started with their output in a file, waited for by condition, never
//! left running.

mod program;
mod spawner;
mod spec;

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

pub use program::{find_program, running_as_root};
pub use spec::ProcessSpec;

use crate::{LabError, wait};

/// Lines of the log that go into an error.
const TAIL_LINES: usize = 25;

/// A started program. Dropping it kills it.
///
/// Where `setpriv` (util-linux) exists the program also dies when this process does, however that
/// happens.
#[derive(Debug)]
pub struct Process {
    child: Child,
    spec: ProcessSpec,
    /// Bytes of the log that earlier starts wrote.
    earlier_log: usize,
}

impl Process {
    /// The process id. Meaningful while [`Self::is_running`].
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The specification from which it was started.
    pub fn spec(&self) -> &ProcessSpec {
        &self.spec
    }

    /// Everything it has written so far, from all its starts. Bytes that are not UTF-8 are
    /// replaced.
    pub fn log_text(&self) -> String {
        std::fs::read(self.spec.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of [`Self::log_text`].
    pub fn log_tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none()
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// [`LabError::Exited`] as soon as the program ends, [`LabError::NotReady`] when `bound`
    /// passed; both with the end of its log.
    pub async fn wait_until<F>(
        &mut self,
        what: &str,
        bound: Duration,
        mut condition: impl FnMut() -> F,
    ) -> Result<(), LabError>
    where
        F: Future<Output = bool>,
    {
        let deadline = Instant::now() + bound;
        loop {
            // Checked before the condition: another program's listener must not pass for a program
            // that is gone.
            if let Some(status) = self.exit_status() {
                return Err(LabError::Exited {
                    program: self.spec.name().to_owned(),
                    status: status.to_string(),
                    what: what.to_owned(),
                    log_tail: self.log_tail(),
                });
            }
            if condition().await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.not_ready(what, bound));
            }
            tokio::time::sleep(wait::PAUSE).await;
        }
    }

    /// Waits until it accepts TCP connections at `address`.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn wait_for_port(
        &mut self,
        address: SocketAddr,
        bound: Duration,
    ) -> Result<(), LabError> {
        self.wait_until(&format!("a listener at {address}"), bound, || async move {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await
    }

    /// Waits until it has written `text` since its last start.
    ///
    /// # Errors
    /// As [`Self::wait_until`]; a program that wrote the text and ended counts as ended.
    pub async fn wait_for_log(&mut self, text: &str, bound: Duration) -> Result<(), LabError> {
        let (log, earlier) = (self.spec.log_path().to_owned(), self.earlier_log);
        self.wait_until(&format!("a log line with `{text}`"), bound, || {
            let written = std::fs::read(&log).unwrap_or_default();
            let since_start = written.get(earlier..).unwrap_or_default();
            std::future::ready(String::from_utf8_lossy(since_start).contains(text))
        })
        .await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// [`LabError::NotReady`] when it still runs after `bound`.
    pub async fn wait_for_exit(&mut self, bound: Duration) -> Result<ExitStatus, LabError> {
        let ended = wait::until("the end", bound, || std::future::ready(self.exit_status())).await;
        ended.map_err(|_| self.not_ready("its end", bound))
    }

    fn not_ready(&self, what: &str, bound: Duration) -> LabError {
        LabError::NotReady {
            program: self.spec.name().to_owned(),
            what: what.to_owned(),
            bound,
            log_tail: self.log_tail(),
        }
    }

    /// Sends a signal by name, for example `HUP`. A program that has ended is left alone.
    ///
    /// # Errors
    /// [`LabError::Process`] when the `kill` command is missing or refuses.
    pub fn signal(&mut self, signal: &str) -> Result<(), LabError> {
        if !self.is_running() {
            return Ok(());
        }
        // Not reaped yet, so the id cannot belong to another process.
        let sent = Command::new("kill")
            .arg("-s")
            .arg(signal)
            .arg(self.pid().to_string())
            .status();
        let source = match sent {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => std::io::Error::other(format!("kill: {status}")),
            Err(error) => error,
        };
        Err(LabError::Process {
            action: "signal",
            program: self.spec.name().to_owned(),
            source,
        })
    }

    /// Kills it with SIGKILL and waits until it is gone. Does nothing when it has ended.
    ///
    /// # Errors
    /// [`LabError::Process`] when the system refuses.
    pub fn kill(&mut self) -> Result<(), LabError> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(drop)
            .map_err(|source| LabError::Process {
                action: "kill",
                program: self.spec.name().to_owned(),
                source,
            })
    }

    /// Asks it to end with SIGTERM and waits.
    ///
    /// # Errors
    /// [`LabError::NotReady`] when it still runs after `bound`; it is left running then.
    pub async fn terminate(&mut self, bound: Duration) -> Result<ExitStatus, LabError> {
        self.signal("TERM")?;
        self.wait_for_exit(bound).await
    }

    /// Blocks until it has ended, at most for `bound`; for `Drop` implementations, which cannot
    /// wait otherwise.
    pub(crate) fn reap(&mut self, bound: Duration) {
        let deadline = Instant::now() + bound;
        while self.is_running() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Starts the same program anew, killing it first if it still runs. The log continues in the
    /// same file.
    ///
    /// # Errors
    /// As [`Self::kill`] and [`ProcessSpec::start`].
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.kill()?;
        self.earlier_log = self.spec.log_length();
        self.child = self.spec.launch()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A failure has no reader any more; a program that has ended already is the usual reason to
        // fail.
        let _ = self.kill();
    }
}

/// Runs a helper program to its end; answers what it printed, which becomes the error when it
/// fails.
pub(crate) async fn run(
    program: &str,
    mut command: tokio::process::Command,
) -> Result<String, LabError> {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| LabError::Process {
            action: "run",
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(LabError::Failed {
        program: program.to_owned(),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
