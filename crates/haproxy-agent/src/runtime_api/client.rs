//! One method per command.

use std::io;
use std::time::Duration;

use dps_domain::Hostname;
use dps_domain::backoff::spread;
use tokio::time::{Instant, sleep};

use super::answers::{self, ListEntry, Process, StoreListing, StoreState};
use super::command::{self, Command, unintelligible};
use super::{Endpoint, ListName, Payload, RuntimeError, StoreName, batch, connection};
use crate::random;

/// Longest pause before a command is repeated to a HAProxy whose certificates are locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(200);
/// Stores queried in one line; their names stay below HAProxy's 16 kB line.
const INSPECT_BATCH: usize = 50;
const INSPECT_BATCH_BYTES: usize = 12_000;

/// Bounds of every command.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeLimits {
    /// From connecting to the last byte of the answer.
    pub deadline: Duration,
    /// How long "currently locked" is retried.
    pub lock_timeout: Duration,
    /// The longest request, payload included: HAProxy's `tune.bufsize` less some room.
    pub max_request_bytes: usize,
}

/// A client of one HAProxy's Runtime API. It holds no connection.
#[derive(Debug, Clone)]
pub struct RuntimeApi {
    pub(super) endpoint: Endpoint,
    pub(super) limits: RuntimeLimits,
}

impl RuntimeApi {
    /// A client for this endpoint.
    pub const fn new(endpoint: Endpoint, limits: RuntimeLimits) -> Self {
        Self { endpoint, limits }
    }

    /// `show info`: which process answers.
    pub async fn process(&self) -> Result<Process, RuntimeError> {
        let words = "show info";
        let show = Command::new("show info\n", move |answer| {
            answers::process(answer).ok_or_else(|| unintelligible(words, answer))
        });
        self.run(&show).await
    }

    /// `show ssl cert <name>`.
    pub async fn inspect(&self, name: &StoreName) -> Result<Option<StoreState>, RuntimeError> {
        self.run(&command::inspect(name)).await
    }

    /// `show ssl cert <name>` for many stores, in batches; the states come in the order of the
    /// names.
    pub async fn inspect_all(
        &self,
        names: &[StoreName],
    ) -> Result<Vec<Option<StoreState>>, RuntimeError> {
        let mut states = Vec::with_capacity(names.len());
        let mut remaining = names;
        while !remaining.is_empty() {
            let (request, count) = inspect_request(remaining);
            let answer = self.query(&request).await?;
            let batch: Vec<_> = answers::split(&answer)
                .into_iter()
                .map(answers::store)
                .collect();
            if batch.len() != count {
                return Err(unintelligible("show ssl cert", &answer));
            }
            for state in batch {
                states.push(state.ok_or_else(|| unintelligible("show ssl cert", &answer))?);
            }
            remaining = &remaining[count..];
        }
        Ok(states)
    }

    /// `show ssl cert`: all stores and the open transaction. Expensive with many certificates.
    pub async fn stores(&self) -> Result<StoreListing, RuntimeError> {
        let answer = self.query("show ssl cert\n").await?;
        Ok(answers::stores(&answer))
    }

    /// `show ssl crt-list -n <list>`: the lines of a list. Expensive with many certificates.
    pub async fn list_entries(&self, list: &ListName) -> Result<Vec<ListEntry>, RuntimeError> {
        let answer = self
            .query(&format!("show ssl crt-list -n {list}\n"))
            .await?;
        answers::list_entries(&answer).ok_or_else(|| RuntimeError::ListUnknown {
            list: list.to_string(),
        })
    }

    /// `new ssl cert`: an empty store.
    pub async fn create(&self, name: &StoreName) -> Result<(), RuntimeError> {
        self.run(&command::create(name)).await
    }

    /// `set ssl cert`: opens the transaction of this store with this payload, in two commands if
    /// one would be too long.
    ///
    /// [`RuntimeError::ForeignTransaction`] means that another transaction was open. HAProxy 2.6.12
    /// loads our payload into that one, so it must be aborted before another client commits it.
    pub async fn stage(&self, name: &StoreName, payload: &Payload) -> Result<(), RuntimeError> {
        for command in batch::stage(name, payload, self.limits.max_request_bytes)? {
            self.run(&command).await?;
        }
        Ok(())
    }

    /// `commit ssl cert`: the staged certificate is served wherever the store is used.
    pub async fn commit(&self, name: &StoreName) -> Result<(), RuntimeError> {
        self.run(&command::commit(name)).await
    }

    /// `abort ssl cert`: forgets the transaction, if there is one about this store.
    pub async fn abort(&self, name: &StoreName) -> Result<(), RuntimeError> {
        self.run(&command::abort(name)).await
    }

    /// `add ssl crt-list`: from now on the store is served for this one name, whatever else its
    /// certificate covers. Not idempotent.
    pub async fn list_add(
        &self,
        list: &ListName,
        name: &StoreName,
        sni: &Hostname,
    ) -> Result<(), RuntimeError> {
        self.run(&command::list_add(list, name, sni)).await
    }

    /// `del ssl crt-list`: from now on the store is not served through this line. Idempotent.
    pub async fn list_remove(
        &self,
        list: &ListName,
        name: &StoreName,
        line: Option<u64>,
    ) -> Result<(), RuntimeError> {
        self.run(&command::list_remove(list, name, line)).await
    }

    /// `del ssl cert`: forgets an unused store. Idempotent.
    pub async fn delete(&self, name: &StoreName) -> Result<(), RuntimeError> {
        self.run(&command::delete(name)).await
    }

    /// Sends one command on a connection of its own; a lock is retried for a while.
    async fn run<T>(&self, command: &Command<T>) -> Result<T, RuntimeError> {
        let answer = self.query(&command.text).await?;
        command.read(&answer)
    }

    /// Sends one request on a connection of its own; "currently locked" is retried for a while.
    async fn query(&self, request: &str) -> Result<String, RuntimeError> {
        let give_up = Instant::now() + self.limits.lock_timeout;
        loop {
            let answer =
                match connection::query(&self.endpoint, self.limits.deadline, request).await {
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
                    tracing::debug!("haproxy.locked");
                    sleep(spread(LOCKED_PAUSE, 0.05..=1.0, random::unit())).await;
                }
            }
        }
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
