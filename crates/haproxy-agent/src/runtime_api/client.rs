//! One method per command.

use std::io;
use std::time::Duration;

use dps_domain::Hostname;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::answers::{self, ListEntry, Process, Staged, StoreListing, StoreState};
use super::error::redact;
use super::{Endpoint, ListName, Payload, RuntimeError, StoreName};
use crate::random;

/// The list of 100,000 certificates has under 10 MB.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// Stores asked for in one line; their names stay below HAProxy's 16 kB line.
const INSPECT_BATCH: usize = 50;
const INSPECT_BATCH_BYTES: usize = 12_000;

/// Bounds of every command.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeLimits {
    /// From connecting to the last byte of the answer.
    pub deadline: Duration,
    /// How long "currently locked" is retried.
    pub lock_patience: Duration,
    /// The longest request, payload included: HAProxy's `tune.bufsize` less some room.
    pub max_request_bytes: usize,
}

/// A client of one HAProxy's Runtime API. It holds no connection.
#[derive(Debug, Clone)]
pub struct RuntimeApi {
    endpoint: Endpoint,
    limits: RuntimeLimits,
}

impl RuntimeApi {
    /// A client for this endpoint.
    pub const fn new(endpoint: Endpoint, limits: RuntimeLimits) -> Self {
        Self { endpoint, limits }
    }

    /// `show info`: which process answers.
    pub async fn process(&self) -> Result<Process, RuntimeError> {
        let answer = self.ask("show info", "show info\n").await?;
        answers::process(&answer).ok_or_else(|| unintelligible("show info", &answer))
    }

    /// `show ssl cert <name>`.
    pub async fn inspect(&self, name: &StoreName) -> Result<Option<StoreState>, RuntimeError> {
        let answer = self
            .ask("show ssl cert", &format!("show ssl cert {name}\n"))
            .await?;
        answers::store(&answer).ok_or_else(|| unintelligible("show ssl cert", &answer))
    }

    /// `show ssl cert <name>` for many stores, in batches; the states come in the order of the names.
    pub async fn inspect_all(&self, names: &[StoreName]) -> Result<Vec<Option<StoreState>>, RuntimeError> {
        let mut states = Vec::with_capacity(names.len());
        let mut rest = names;
        while !rest.is_empty() {
            let (request, count) = inspect_request(rest);
            let answer = self.ask("show ssl cert", &request).await?;
            let batch: Vec<_> = answers::split(&answer).into_iter().map(answers::store).collect();
            if batch.len() != count {
                return Err(unintelligible("show ssl cert", &answer));
            }
            for state in batch {
                states.push(state.ok_or_else(|| unintelligible("show ssl cert", &answer))?);
            }
            rest = &rest[count..];
        }
        Ok(states)
    }

    /// `show ssl cert`: all stores and the open transaction. Expensive with many certificates.
    pub async fn stores(&self) -> Result<StoreListing, RuntimeError> {
        let answer = self.ask("show ssl cert", "show ssl cert\n").await?;
        Ok(answers::stores(&answer))
    }

    /// `show ssl crt-list -n <list>`: the lines of a list. Expensive with many certificates.
    pub async fn list_entries(&self, list: &ListName) -> Result<Vec<ListEntry>, RuntimeError> {
        let answer = self
            .ask("show ssl crt-list", &format!("show ssl crt-list -n {list}\n"))
            .await?;
        answers::list_entries(&answer).ok_or_else(|| RuntimeError::ListUnknown {
            list: list.to_string(),
        })
    }

    /// `new ssl cert`: an empty store.
    pub async fn create(&self, name: &StoreName) -> Result<(), RuntimeError> {
        let answer = self
            .ask("new ssl cert", &format!("new ssl cert {name}\n"))
            .await?;
        accept(
            answer.starts_with("New empty certificate store"),
            "new ssl cert",
            &answer,
        )
    }

    /// `set ssl cert`: opens the transaction of this store with this payload, in two commands if one would be too long.
    ///
    /// [`RuntimeError::ForeignTransaction`] means that another transaction was open. HAProxy 2.6.12 loads our payload into that
    /// one, so it must be aborted before anybody commits it.
    pub async fn stage(&self, name: &StoreName, payload: &Payload) -> Result<(), RuntimeError> {
        let whole = set_command(name.as_str(), &payload.whole());
        if whole.len() <= self.limits.max_request_bytes {
            return self.set(&whole, name, false).await;
        }
        let chain = set_command(name.as_str(), payload.chain());
        let key = set_command(&format!("{name}.key"), payload.key());
        let bytes = chain.len().max(key.len());
        if bytes > self.limits.max_request_bytes {
            return Err(RuntimeError::PayloadTooLarge {
                bytes,
                limit: self.limits.max_request_bytes,
            });
        }
        self.set(&chain, name, false).await?;
        self.set(&key, name, true).await
    }

    async fn set(&self, command: &str, name: &StoreName, is_second: bool) -> Result<(), RuntimeError> {
        let answer = self.ask("set ssl cert", command).await?;
        match answers::staged(&answer) {
            Some(Staged::Created(store)) if store == name.as_str() && !is_second => Ok(()),
            Some(Staged::Updated(store)) if store == name.as_str() && is_second => Ok(()),
            Some(Staged::Created(store) | Staged::Updated(store)) => Err(RuntimeError::ForeignTransaction {
                transaction: store.to_owned(),
            }),
            None => Err(match answers::ongoing_transaction(&answer) {
                Some(store) => RuntimeError::ForeignTransaction {
                    transaction: store.to_owned(),
                },
                None => refused("set ssl cert", &answer),
            }),
        }
    }

    /// `commit ssl cert`: the staged certificate is served wherever the store is used.
    pub async fn commit(&self, name: &StoreName) -> Result<(), RuntimeError> {
        let answer = self
            .ask("commit ssl cert", &format!("commit ssl cert {name}\n"))
            .await?;
        accept(answers::is_success(&answer), "commit ssl cert", &answer)
    }

    /// `abort ssl cert`: forgets the transaction, if there is one about this store.
    pub async fn abort(&self, name: &StoreName) -> Result<(), RuntimeError> {
        let answer = self
            .ask("abort ssl cert", &format!("abort ssl cert {name}\n"))
            .await?;
        let done = answer.contains("Transaction aborted") || answer.contains("No ongoing transaction");
        accept(done, "abort ssl cert", &answer)
    }

    /// `add ssl crt-list`: from now on the store is served for this one name, whatever else its certificate covers. Not idempotent.
    pub async fn list_add(
        &self,
        list: &ListName,
        name: &StoreName,
        sni: &Hostname,
    ) -> Result<(), RuntimeError> {
        let request = format!("add ssl crt-list {list} <<\n{name} {sni}\n\n");
        let answer = self.ask("add ssl crt-list", &request).await?;
        if answer.contains("crt-list")
            && answer.contains("does not exist!")
            && !answer.contains(name.as_str())
        {
            return Err(RuntimeError::ListUnknown {
                list: list.to_string(),
            });
        }
        accept(answers::is_success(&answer), "add ssl crt-list", &answer)
    }

    /// `del ssl crt-list`: from now on the store is not served through this line. Idempotent.
    pub async fn list_remove(
        &self,
        list: &ListName,
        name: &StoreName,
        line: Option<u64>,
    ) -> Result<(), RuntimeError> {
        let line = line.map(|number| format!(":{number}")).unwrap_or_default();
        let answer = self
            .ask(
                "del ssl crt-list",
                &format!("del ssl crt-list {list} {name}{line}\n"),
            )
            .await?;
        let done = answer.contains("deleted in crtlist") || answer.contains("can't be found in crt-list");
        accept(done, "del ssl crt-list", &answer)
    }

    /// `del ssl cert`: forgets an unused store. Idempotent.
    pub async fn delete(&self, name: &StoreName) -> Result<(), RuntimeError> {
        let answer = self
            .ask("del ssl cert", &format!("del ssl cert {name}\n"))
            .await?;
        let done = answer.contains("deleted!") || answer.contains("doesn't exist!");
        accept(done, "del ssl cert", &answer)
    }

    /// Sends one request on a connection of its own; "currently locked" is retried for a while.
    async fn ask(&self, command: &'static str, request: &str) -> Result<String, RuntimeError> {
        let give_up = Instant::now() + self.limits.lock_patience;
        loop {
            let answer = match self.exchange(request).await {
                Ok(answer) if answers::is_locked(&answer) => None,
                Ok(answer) => Some(answer),
                // The socket's backlog is full: as temporary as a lock.
                Err(RuntimeError::Unreachable { source, .. })
                    if source.kind() == io::ErrorKind::WouldBlock =>
                {
                    None
                }
                Err(error) => return Err(error),
            };
            match answer {
                Some(answer) if answer.starts_with("Permission denied") => {
                    return Err(RuntimeError::PermissionDenied);
                }
                Some(answer) => return Ok(answer),
                None if Instant::now() >= give_up => return Err(RuntimeError::Locked),
                None => {
                    tracing::debug!(command, "HAProxy's certificates are locked, trying again");
                    sleep(random::jitter(
                        Duration::from_millis(10),
                        Duration::from_millis(200),
                    ))
                    .await;
                }
            }
        }
    }

    async fn exchange(&self, request: &str) -> Result<String, RuntimeError> {
        timeout(self.limits.deadline, self.exchange_unbounded(request))
            .await
            .unwrap_or(Err(RuntimeError::TimedOut(self.limits.deadline)))
    }

    async fn exchange_unbounded(&self, request: &str) -> Result<String, RuntimeError> {
        let broken = |source| RuntimeError::Unreachable {
            endpoint: self.endpoint.to_string(),
            source,
        };
        let mut stream = self.endpoint.connect().await.map_err(broken)?;
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        // The master's socket ends its answer only when we end our request.
        stream.shutdown().await.map_err(broken)?;
        let mut answer = Vec::new();
        stream
            .take(MAX_ANSWER_BYTES + 1)
            .read_to_end(&mut answer)
            .await
            .map_err(broken)?;
        if answer.is_empty() {
            return Err(RuntimeError::NoAnswer);
        }
        if answer.len() as u64 > MAX_ANSWER_BYTES {
            return Err(RuntimeError::AnswerTooLong(MAX_ANSWER_BYTES));
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// As many `show ssl cert` as fit into one line, and how many these are.
fn inspect_request(names: &[StoreName]) -> (String, usize) {
    let (mut request, mut count) = (String::new(), 0);
    for name in names.iter().take(INSPECT_BATCH) {
        if request.len() > INSPECT_BATCH_BYTES {
            break;
        }
        request.push_str(if count == 0 {
            "show ssl cert "
        } else {
            ";show ssl cert "
        });
        request.push_str(name.as_str());
        count += 1;
    }
    request.push('\n');
    (request, count)
}

/// The command with its payload and the empty line that ends it. PEM ends with a line feed already.
fn set_command(name: &str, pem: &str) -> Zeroizing<String> {
    let mut command = Zeroizing::new(String::with_capacity(name.len() + pem.len() + 20));
    command.push_str("set ssl cert ");
    command.push_str(name);
    command.push_str(" <<\n");
    command.push_str(pem);
    command.push('\n');
    command
}

fn accept(is_done: bool, command: &'static str, answer: &str) -> Result<(), RuntimeError> {
    if is_done {
        Ok(())
    } else {
        Err(refused(command, answer))
    }
}

fn refused(command: &'static str, answer: &str) -> RuntimeError {
    RuntimeError::Refused {
        command,
        answer: redact(answer),
    }
}

fn unintelligible(command: &'static str, answer: &str) -> RuntimeError {
    RuntimeError::Unintelligible {
        command,
        answer: redact(answer),
    }
}
