//! Errors while a world is built.

use std::path::PathBuf;
use std::time::Duration;

/// A part of the lab could not be built, or was not ready in time.
///
/// The text is made for the reader of a failed test: it names the program, what was expected and
/// the end of the log.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program the lab needs is not installed.
    #[error(
        "program `{program}` was not found in PATH or {searched:?}; on Debian: apt-get install {package}"
    )]
    MissingProgram {
        /// The executable's name.
        program: String,
        /// Directories searched besides `PATH`.
        searched: Vec<PathBuf>,
        /// The Debian package that holds it.
        package: String,
    },
    /// A program could not be started or controlled.
    #[error("cannot {action} `{program}`")]
    Process {
        /// The attempted action.
        action: &'static str,
        /// The executable.
        program: String,
        /// Why the operating system refused.
        #[source]
        source: std::io::Error,
    },
    /// A program ended although it was needed.
    #[error("`{program}` ended ({status}) while waiting for {what}; end of its log:\n{log_tail}")]
    Exited {
        /// The executable.
        program: String,
        /// How it ended.
        status: String,
        /// The expected condition.
        what: String,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// A program runs but did not reach the wanted state.
    #[error("`{program}` did not reach {what} within {bound:?}; end of its log:\n{log_tail}")]
    NotReady {
        /// The executable.
        program: String,
        /// The expected condition.
        what: String,
        /// How long.
        bound: Duration,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// A condition did not come true in time.
    #[error("{what}: not within {bound:?}")]
    TimedOut {
        /// The expected condition.
        what: String,
        /// How long.
        bound: Duration,
    },
    /// A helper program reported failure.
    #[error("`{program}` failed ({status}):\n{output}")]
    Failed {
        /// The executable.
        program: String,
        /// How it ended.
        status: String,
        /// Its output on both streams.
        output: String,
    },
    /// A file or socket operation of the lab itself failed.
    #[error("cannot {action}")]
    Io {
        /// The attempted action.
        action: String,
        /// Why the operating system refused.
        #[source]
        source: std::io::Error,
    },
    /// A value given to the lab, or received from a part of it, cannot be used.
    #[error("{what} is not usable: {reason}")]
    Invalid {
        /// The value.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl LabError {
    /// Wraps an I/O error with the operation that met it; made for `map_err`.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// A value that cannot be used, with the reason in the words of whatever refused it.
    pub fn invalid(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Invalid {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}
