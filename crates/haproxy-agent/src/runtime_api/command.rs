//! One function per command: its text, and what its answer means.

use dps_domain::Hostname;
use zeroize::Zeroizing;

use super::answers::{self, Staged, StoreState};
use super::error::redact;
use super::{ListName, RuntimeError, StoreName};

/// A command as it is sent, and how its answer is read.
pub(super) struct Command<T> {
    /// Everything up to the last line feed.
    pub(super) text: Zeroizing<String>,
    read: Reader<T>,
}

type Reader<T> = Box<dyn Fn(&str) -> Result<T, RuntimeError> + Send + Sync>;

impl<T> Command<T> {
    pub(super) fn new(
        text: impl Into<String>,
        read: impl Fn(&str) -> Result<T, RuntimeError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            text: Zeroizing::new(text.into()),
            read: Box::new(read),
        }
    }

    /// Reads the answer. [`RuntimeError::Locked`] and [`RuntimeError::PermissionDenied`] are
    /// recognised for every command.
    pub(super) fn read(&self, answer: &str) -> Result<T, RuntimeError> {
        if answers::is_locked(answer) {
            Err(RuntimeError::Locked)
        } else if answer.starts_with("Permission denied") {
            Err(RuntimeError::PermissionDenied)
        } else {
            (self.read)(answer)
        }
    }
}

fn accept(is_done: bool, words: &'static str, answer: &str) -> Result<(), RuntimeError> {
    if is_done {
        Ok(())
    } else {
        Err(refused(words, answer))
    }
}

fn refused(command: &'static str, answer: &str) -> RuntimeError {
    RuntimeError::Refused {
        command,
        answer: redact(answer),
    }
}

pub(super) fn unintelligible(command: &'static str, answer: &str) -> RuntimeError {
    RuntimeError::Unintelligible {
        command,
        answer: redact(answer),
    }
}

/// `show ssl cert <name>`.
pub(super) fn inspect(name: &StoreName) -> Command<Option<StoreState>> {
    let words = "show ssl cert";
    Command::new(format!("{words} {name}\n"), move |answer| {
        answers::store(answer).ok_or_else(|| unintelligible(words, answer))
    })
}

/// `new ssl cert`.
pub(super) fn create(name: &StoreName) -> Command<()> {
    let words = "new ssl cert";
    Command::new(format!("{words} {name}\n"), move |answer| {
        accept(
            answer.starts_with("New empty certificate store"),
            words,
            answer,
        )
    })
}

/// `set ssl cert` with its payload and the empty line that ends it; PEM ends with a line feed
/// already. `part` is empty, or `.key` for the second half of a payload that is too long for one
/// command.
pub(super) fn set(name: &StoreName, part: &str, pem: &str) -> Command<()> {
    let words = "set ssl cert";
    let mut text = String::with_capacity(name.as_str().len() + pem.len() + 24);
    for piece in [words, " ", name.as_str(), part, " <<\n", pem, "\n"] {
        text.push_str(piece);
    }
    let (own, is_second) = (name.clone(), !part.is_empty());
    Command::new(text, move |answer| match answers::staged(answer) {
        Some(Staged::Created(store)) if store == own.as_str() && !is_second => Ok(()),
        Some(Staged::Updated(store)) if store == own.as_str() && is_second => Ok(()),
        Some(Staged::Created(store) | Staged::Updated(store)) => Err(foreign(store)),
        None => {
            Err(answers::ongoing_transaction(answer)
                .map_or_else(|| refused(words, answer), foreign))
        }
    })
}

fn foreign(store: &str) -> RuntimeError {
    RuntimeError::ForeignTransaction {
        transaction: store.to_owned(),
    }
}

/// `commit ssl cert`.
pub(super) fn commit(name: &StoreName) -> Command<()> {
    let words = "commit ssl cert";
    Command::new(format!("{words} {name}\n"), move |answer| {
        accept(answers::is_success(answer), words, answer)
    })
}

/// `abort ssl cert`: that there is nothing to abort is as good.
pub(super) fn abort(name: &StoreName) -> Command<()> {
    let words = "abort ssl cert";
    Command::new(format!("{words} {name}\n"), move |answer| {
        let done =
            answer.contains("Transaction aborted") || answer.contains("No ongoing transaction");
        accept(done, words, answer)
    })
}

/// `add ssl crt-list` with one filter. Not idempotent.
pub(super) fn list_add(list: &ListName, name: &StoreName, sni: &Hostname) -> Command<()> {
    let words = "add ssl crt-list";
    let (list, own) = (list.clone(), name.clone());
    let text = format!("{words} {list} <<\n{name} {sni}\n\n");
    Command::new(text, move |answer| {
        let is_unknown = answer.contains("crt-list")
            && answer.contains("does not exist!")
            && !answer.contains(own.as_str());
        if is_unknown {
            return Err(RuntimeError::ListUnknown {
                list: list.to_string(),
            });
        }
        accept(answers::is_success(answer), words, answer)
    })
}

/// `del ssl crt-list`, of one line where there are several. Idempotent.
pub(super) fn list_remove(list: &ListName, name: &StoreName, line: Option<u64>) -> Command<()> {
    let words = "del ssl crt-list";
    let line = line.map(|number| format!(":{number}")).unwrap_or_default();
    Command::new(format!("{words} {list} {name}{line}\n"), move |answer| {
        let done =
            answer.contains("deleted in crtlist") || answer.contains("can't be found in crt-list");
        accept(done, words, answer)
    })
}

/// `del ssl cert`. Idempotent.
pub(super) fn delete(name: &StoreName) -> Command<()> {
    let words = "del ssl cert";
    Command::new(format!("{words} {name}\n"), move |answer| {
        accept(
            answer.contains("deleted!") || answer.contains("doesn't exist!"),
            words,
            answer,
        )
    })
}
