//! Standard output of the commands.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

/// A failed write to standard output.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader has closed the pipe, as in `dps domains list | head`.
    #[error("the reader of standard output has closed it")]
    ReaderGone,
    /// Any other error.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Failed(error),
        }
    }
}

/// Takes a reader that is gone for one that has read all, where the exit code says more.
pub(crate) fn unless_reader_gone<E: Into<OutputError>>(
    written: Result<(), E>,
) -> Result<(), OutputError> {
    match written.map_err(Into::into) {
        Ok(()) | Err(OutputError::ReaderGone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes text to standard output.
pub(crate) fn write(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_fmt(text)?;
    Ok(out.flush()?)
}

/// Writes a line to standard output. Unlike `println!`, it returns an [`OutputError`].
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::output::write(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use outln;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_distinguished_from_a_full_disk() {
        let of = |kind: ErrorKind| OutputError::from(io::Error::from(kind));
        assert!(matches!(of(ErrorKind::BrokenPipe), OutputError::ReaderGone));
        assert!(matches!(of(ErrorKind::StorageFull), OutputError::Failed(_)));
    }
}
