//! The specification of a process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::{find_program, running_as_root};
use super::{Process, spawner};
use crate::LabError;

/// A program with its arguments, ready to be started, also several times.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    name: String,
    program: PathBuf,
    log: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    user: Option<String>,
    death_signal: &'static str,
}

impl ProcessSpec {
    /// `name` is for messages; `program` the executable; `log` receives both outputs, appended.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            log: log.into(),
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            user: None,
            death_signal: "KILL",
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable on top of the inherited ones.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts in this directory instead of the current one.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs as another user, which needs root; an ordinary user keeps running as himself.
    #[must_use]
    pub fn user_if_root(mut self, user: &str) -> Self {
        self.user = running_as_root().then(|| user.to_owned());
        self
    }

    /// The signal the program receives when this process dies without stopping it: `KILL` unless
    /// said otherwise.
    #[must_use]
    pub fn death_signal(mut self, signal: &'static str) -> Self {
        self.death_signal = signal;
        self
    }

    /// Where both outputs go.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The name used in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts the program.
    ///
    /// # Errors
    /// [`LabError::Process`] when it cannot be started, [`LabError::Io`] when the log cannot be
    /// opened. A program that starts and fails at once is found by the first wait.
    pub fn start(self) -> Result<Process, LabError> {
        let earlier_log = self.log_length();
        let child = self.launch()?;
        Ok(Process {
            child,
            spec: self,
            earlier_log,
        })
    }

    /// Bytes of the log so far: other starts may have written to the same file.
    pub(super) fn log_length(&self) -> usize {
        let length = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    pub(super) fn launch(&self) -> Result<std::process::Child, LabError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(LabError::io(format!("open the log {}", self.log.display())))?;
        let log_too = log
            .try_clone()
            .map_err(LabError::io("share the log between both outputs"))?;
        let mut command = self.command()?;
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log).stderr(log_too);
        // Its own process group: Ctrl-C at the terminal reaches us, and we decide in which order
        // things stop.
        command.process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        spawner::spawn(command).map_err(|source| LabError::Process {
            action: "start",
            program: self.name.clone(),
            source,
        })
    }

    /// The program itself, through `setpriv` where it exists: that ties its life to ours and
    /// changes the user.
    fn command(&self) -> Result<Command, LabError> {
        let setpriv = match find_program("setpriv", "util-linux", &[]) {
            Ok(setpriv) => setpriv,
            Err(_) if self.user.is_none() => return Ok(Command::new(&self.program)),
            Err(missing) => return Err(missing),
        };
        let mut command = Command::new(setpriv);
        command.arg(format!("--pdeathsig={}", self.death_signal));
        if let Some(user) = &self.user {
            command
                .arg(format!("--reuid={user}"))
                .arg(format!("--regid={user}"))
                .arg("--init-groups");
        }
        command.arg("--").arg(&self.program);
        Ok(command)
    }
}
