//! One connection: a request and its answer, or many commands in one go.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::endpoint::Stream;
use super::{Endpoint, RuntimeError, answers};

/// The list of 100,000 certificates has under 10 MB.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The longest answer to one of many commands.
const MAX_PIPED_ANSWER_BYTES: usize = 256 * 1024;
/// Read at once where there is as much: the answers to some ten certificates.
const READ_BYTES: usize = 16 * 1024;

/// Sends one request and reads to the end of the answer.
pub(super) async fn query(
    endpoint: &Endpoint,
    deadline: Duration,
    request: &str,
) -> Result<String, RuntimeError> {
    let exchange = async {
        let mut stream = endpoint.connect().await.map_err(broken(endpoint))?;
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(broken(endpoint))?;
        // The master's socket ends its answer only when we end our request.
        stream.shutdown().await.map_err(broken(endpoint))?;
        let mut answer = Vec::new();
        stream
            .take(MAX_ANSWER_BYTES as u64 + 1)
            .read_to_end(&mut answer)
            .await
            .map_err(broken(endpoint))?;
        match answer.len() {
            0 => Err(RuntimeError::NoAnswer),
            length if length > MAX_ANSWER_BYTES => {
                Err(RuntimeError::AnswerTooLong(MAX_ANSWER_BYTES as u64))
            }
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    };
    timeout(deadline, exchange)
        .await
        .unwrap_or(Err(RuntimeError::TimedOut(deadline)))
}

/// A connection in HAProxy's prompt mode, the only one that takes many lines in all versions. The
/// answers come in the order of the commands.
pub(super) struct Prompt {
    pub(super) commands: CommandWriter,
    pub(super) answers: AnswerReader,
}

/// The way to HAProxy.
pub(super) struct CommandWriter {
    stream: WriteHalf<Box<dyn Stream>>,
    endpoint: Endpoint,
    deadline: Duration,
}

/// The way back.
pub(super) struct AnswerReader {
    stream: ReadHalf<Box<dyn Stream>>,
    endpoint: Endpoint,
    deadline: Duration,
    received: Vec<u8>,
}

impl Prompt {
    pub(super) async fn open(
        endpoint: &Endpoint,
        deadline: Duration,
    ) -> Result<Self, RuntimeError> {
        let stream = timeout(deadline, endpoint.connect())
            .await
            .map_err(|_| RuntimeError::TimedOut(deadline))?
            .map_err(broken(endpoint))?;
        let (reading, writing) = tokio::io::split(stream);
        let mut prompt = Self {
            commands: CommandWriter {
                stream: writing,
                endpoint: endpoint.clone(),
                deadline,
            },
            answers: AnswerReader {
                stream: reading,
                endpoint: endpoint.clone(),
                deadline,
                received: Vec::with_capacity(READ_BYTES),
            },
        };
        prompt
            .commands
            .send(&Zeroizing::new("prompt\n".to_owned()))
            .await?;
        prompt.answers.next().await?;
        Ok(prompt)
    }
}

impl CommandWriter {
    /// Waits for room only, not for the answer.
    pub(super) async fn send(&mut self, text: &Zeroizing<String>) -> Result<(), RuntimeError> {
        let deadline = self.deadline;
        timeout(deadline, self.stream.write_all(text.as_bytes()))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(broken(&self.endpoint))
    }
}

impl AnswerReader {
    /// The next answer; each one has the whole deadline.
    pub(super) async fn next(&mut self) -> Result<String, RuntimeError> {
        let deadline = self.deadline;
        timeout(deadline, self.read_on())
            .await
            .unwrap_or(Err(RuntimeError::TimedOut(deadline)))
    }

    async fn read_on(&mut self) -> Result<String, RuntimeError> {
        loop {
            if let Some((answer, length)) = answers::prompted(&self.received) {
                self.received.drain(..length);
                return Ok(answer);
            }
            if self.received.len() > MAX_PIPED_ANSWER_BYTES {
                return Err(RuntimeError::AnswerTooLong(MAX_PIPED_ANSWER_BYTES as u64));
            }
            let count = self
                .stream
                .read_buf(&mut self.received)
                .await
                .map_err(broken(&self.endpoint))?;
            if count == 0 {
                return Err(RuntimeError::NoAnswer);
            }
        }
    }
}

fn broken(endpoint: &Endpoint) -> impl Fn(io::Error) -> RuntimeError {
    let endpoint = endpoint.to_string();
    move |source| RuntimeError::Unreachable {
        endpoint: endpoint.clone(),
        source,
    }
}
