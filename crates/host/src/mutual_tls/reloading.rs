//! Files that may change while we run.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::Digest;
use dps_domain::{Timestamp, with_causes};
use tokio_util::sync::CancellationToken;

use super::material::{Material, Texts};
use super::{TlsError, TlsFiles};

/// How often the files are read.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// How one side's certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Last moment of the validity of our own certificate.
    pub expires_at: Timestamp,
    /// Why the files, changed since, cannot be used; absent when all is well.
    pub problem: Option<String>,
}

/// The value made from the files when they were last usable.
pub(super) struct Reloading<T> {
    files: TlsFiles,
    build: fn(Material) -> Result<T, TlsError>,
    current: RwLock<Current<T>>,
}

struct Current<T> {
    made: Arc<T>,
    /// Of the files last read, usable or not.
    seen: Option<Vec<u8>>,
    state: State,
}

impl<T> Reloading<T> {
    pub(super) fn open(
        files: TlsFiles,
        build: fn(Material) -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        let texts = Texts::read(&files)?;
        let material = texts.parse(&files)?;
        let state = State {
            expires_at: material.expires_at,
            problem: None,
        };
        let current = Current {
            made: Arc::new(build(material)?),
            seen: Some(bytes(&texts.digest())),
            state,
        };
        Ok(Self {
            files,
            build,
            current: RwLock::new(current),
        })
    }

    pub(super) fn get(&self) -> Arc<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.made)
    }

    pub(super) fn state(&self) -> State {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.state.clone()
    }

    /// Reads the files, and takes them over if they are others than before.
    pub(super) fn refresh(&self) {
        let read = Texts::read(&self.files);
        let seen = read.as_ref().ok().map(|texts| bytes(&texts.digest()));
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if seen.is_some() && seen == current.seen {
                return;
            }
        }
        let made = read.and_then(|texts| {
            let material = texts.parse(&self.files)?;
            Ok((material.expires_at, (self.build)(material)?))
        });
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.seen = seen;
        match made {
            Ok((expires_at, made)) => {
                tracing::info!(certificate = %self.files.certificate.display(), not_after = %expires_at, "tls.certificate_reloaded");
                current.made = Arc::new(made);
                current.state = State {
                    expires_at,
                    problem: None,
                };
            }
            Err(error) => {
                let problem = with_causes(&error);
                if current.state.problem.as_ref() != Some(&problem) {
                    tracing::warn!(error = problem, "tls.reload_failed");
                }
                current.state.problem = Some(problem);
            }
        }
    }
}

fn bytes(digest: &Digest) -> Vec<u8> {
    digest.as_ref().to_vec()
}

/// Calls `refresh` every few seconds until `stop` is cancelled. Reading three small files costs
/// nothing worth a thread.
pub async fn watch(refresh: impl Fn() + Send, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(WATCH_INTERVAL))
        .await
        .is_some()
    {
        refresh();
    }
}
