//! Errors of the Runtime API.

use std::io;
use std::time::Duration;

use dps_domain::text::shown;

/// A Runtime API command failed. Texts from HAProxy are stripped of anything that could be key
/// material.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No process listens on the socket, or the connection broke.
    #[error("HAProxy does not answer on {endpoint}")]
    Unreachable {
        /// The socket.
        endpoint: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// HAProxy closed the connection without a word, as it does with requests beyond its buffer.
    #[error("HAProxy closed the connection without an answer")]
    NoAnswer,
    /// No whole answer in time; whether the command was carried out is not known.
    #[error("HAProxy did not answer within {0:?}")]
    TimedOut(Duration),
    /// Another client works on certificates and does not stop.
    #[error("HAProxy's certificates stay locked by another command")]
    Locked,
    /// The worker that answers is on its way out after a reload: commands to it are lost.
    #[error("HAProxy is in the middle of a reload")]
    Stopping,
    /// The socket belongs to an operator, not an admin.
    #[error("the Runtime API socket lacks 'level admin'")]
    PermissionDenied,
    /// No bind line uses our crt-list.
    #[error("HAProxy's configuration has no bind with crt-list {list}; add it and reload once")]
    ListUnknown {
        /// The list's path.
        list: String,
    },
    /// Another certificate is in the middle of its update, and ours went into its transaction.
    #[error("another tool has a certificate transaction open ({transaction})")]
    ForeignTransaction {
        /// The store it is about.
        transaction: String,
    },
    /// HAProxy said no.
    #[error("HAProxy refused '{command}': {answer}")]
    Refused {
        /// The command's first words.
        command: &'static str,
        /// HAProxy's reason.
        answer: String,
    },
    /// The answer is none that we know.
    #[error("HAProxy answered '{command}' with something unknown: {answer}")]
    Unintelligible {
        /// The command's first words.
        command: &'static str,
        /// The beginning of the answer.
        answer: String,
    },
    /// Longer than we read.
    #[error("HAProxy's answer is longer than {0} bytes")]
    AnswerTooLong(u64),
    /// Chain or key alone exceed what HAProxy's buffer takes.
    #[error(
        "the certificate needs {bytes} bytes in one command and HAProxy takes {limit}; send a shorter chain"
    )]
    PayloadTooLarge {
        /// Size of the command.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl RuntimeError {
    /// Whether no process listens on the socket.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        ))
    }
}

/// The first part of an answer, fit for logs and errors: one line, at most 300 characters, no run
/// of 40 base64 characters.
pub(super) fn redact(answer: &str) -> String {
    let mut text = String::new();
    for line in answer
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if !text.is_empty() {
            text.push_str("; ");
        }
        if line.contains("-----") || has_long_base64(line) {
            text.push_str("(redacted)");
        } else {
            text.push_str(line);
        }
    }
    shown(&text, 300)
}

fn has_long_base64(line: &str) -> bool {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '=' || c == '/'))
        .any(|run| run.len() >= 40 && run.matches('/').count() * 12 < run.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lines_that_haproxy_echoes_are_redacted() {
        let echoed = "Unknown command: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg'\n-----END PRIVATE KEY-----\n";
        assert_eq!(redact(echoed), "(redacted); (redacted)");
        assert_eq!(
            redact("Can't update /a/b.pem!\n\n"),
            "Can't update /a/b.pem!"
        );
        assert_eq!(redact(&"x-".repeat(1000)).len(), 300);
    }
}
