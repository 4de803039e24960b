//! Many certificates put into service over one connection.

use dps_domain::Hostname;
use zeroize::Zeroizing;

use super::answers::StoreState;
use super::command::{self, Command};
use super::connection::{AnswerReader, CommandWriter, Prompt};
use super::{ListName, Payload, RuntimeApi, RuntimeError, StoreName};

/// A certificate to put into service, and what HAProxy has of it already.
#[derive(Debug, Clone, Copy)]
pub struct Installation<'a> {
    /// Its store.
    pub name: &'a StoreName,
    /// Chain and key.
    pub payload: &'a Payload,
    /// The name to serve it for.
    pub sni: &'a Hostname,
    /// HAProxy does not know the store: make it.
    pub is_new: bool,
    /// The store is in the list: do not add it again.
    pub is_listed: bool,
}

/// The commands of one certificate, all sent before the first is answered. So each must be harmless
/// after any result of those before. After a failed `commit`, `abort` clears the transaction for
/// the next certificate. `add` refuses an empty store. While another client's transaction is open,
/// every `commit` of ours is refused.
struct Script {
    steps: Vec<Command<()>>,
    read_back: Command<Option<StoreState>>,
}

impl Script {
    fn new(list: &ListName, wanted: &Installation<'_>, limit: usize) -> Result<Self, RuntimeError> {
        let name = wanted.name;
        let mut steps = Vec::with_capacity(6);
        if wanted.is_new {
            steps.push(command::create(name));
        }
        steps.extend(stage(name, wanted.payload, limit)?);
        steps.push(command::commit(name));
        steps.push(command::abort(name));
        if !wanted.is_listed {
            steps.push(command::list_add(list, name, wanted.sni));
        }
        Ok(Self {
            steps,
            read_back: command::inspect(name),
        })
    }

    /// In one write: HAProxy finds the next command in its buffer when it has answered one.
    async fn send(&self, commands: &mut CommandWriter) -> Result<(), RuntimeError> {
        let texts = || {
            self.steps
                .iter()
                .map(|step| &step.text)
                .chain([&self.read_back.text])
        };
        let length = texts().map(|text| text.len()).sum();
        let mut all = Zeroizing::new(String::with_capacity(length));
        texts().for_each(|text| all.push_str(text));
        commands.send(&all).await
    }

    /// Reads all answers. The outer error means that no more will come; the inner one is the first
    /// refusal.
    async fn read(
        &self,
        answers: &mut AnswerReader,
    ) -> Result<Result<Option<StoreState>, RuntimeError>, RuntimeError> {
        let mut verdict = Ok(());
        for step in &self.steps {
            let result = step.read(&answers.next().await?);
            verdict = verdict.and(result);
        }
        let state = self.read_back.read(&answers.next().await?);
        Ok(verdict.and(state))
    }
}

/// The payload in one command, or in two if one would be too long.
pub(super) fn stage(
    name: &StoreName,
    payload: &Payload,
    limit: usize,
) -> Result<Vec<Command<()>>, RuntimeError> {
    let whole = command::set(name, "", &payload.whole());
    if whole.text.len() <= limit {
        return Ok(vec![whole]);
    }
    let halves = vec![
        command::set(name, "", payload.chain()),
        command::set(name, ".key", payload.key()),
    ];
    let bytes = halves.iter().map(|half| half.text.len()).max().unwrap_or(0);
    if bytes > limit {
        return Err(RuntimeError::PayloadTooLarge { bytes, limit });
    }
    Ok(halves)
}

impl RuntimeApi {
    /// Puts certificates into service one after the other, without waiting for the answer to one
    /// before the next is sent, and reads each back. `seen` receives, in order, the certificate
    /// that HAProxy holds under each name, or its first refusal. A refusal of one does not stop the
    /// others. An error means that nothing is known about those that `seen` was not called for.
    ///
    /// Commands that met a lock or a stranger's transaction are not tried again here.
    pub async fn install_all(
        &self,
        list: &ListName,
        wanted: &[Installation<'_>],
        mut seen: impl FnMut(usize, Result<Option<StoreState>, RuntimeError>),
    ) -> Result<(), RuntimeError> {
        let limit = self.limits.max_request_bytes;
        let prompt = Prompt::open(&self.endpoint, self.limits.deadline).await?;
        let (mut commands, mut answers) = (prompt.commands, prompt.answers);
        // As many as are sent ahead; bounds the copies of keys in memory.
        let (under_way, mut scripts) = tokio::sync::mpsc::channel(AHEAD);
        let send = async move {
            for installation in wanted {
                let script = Script::new(list, installation, limit);
                if let Ok(script) = &script {
                    script.send(&mut commands).await?;
                }
                if under_way.send(script).await.is_err() {
                    break;
                }
            }
            // Keeps our half open until all answers are read.
            Ok::<_, RuntimeError>(commands)
        };
        let read = async {
            let mut index = 0;
            while let Some(script) = scripts.recv().await {
                let result = match script {
                    Ok(script) => script.read(&mut answers).await?,
                    Err(error) => Err(error),
                };
                seen(index, result);
                index += 1;
            }
            Ok(())
        };
        tokio::try_join!(send, read).map(drop)
    }
}

/// Number of certificates sent ahead of their answers. It is some 60 ms of HAProxy's work, so that
/// HAProxy does not wait for us on a busy machine.
const AHEAD: usize = 32;
