//! The tokens of section `Admin`, and what becomes of them when their files change.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::with_causes;
use dps_host::{Secret, SecretError, TOKEN_RULE};
use tokio_util::sync::CancellationToken;

use super::App;
use super::auth::Caller;
use crate::config::{Admin, AdminToken};

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(5);

/// The tokens that are accepted, in the order of the settings; `None` for a holder without access.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<Option<(Secret, Caller)>>);

impl Tokens {
    /// Reads every file. Returns the problems, one for each file that cannot be used. A holder
    /// whose file is gone loses access. Any other problem leaves the holder's token as it was.
    pub(super) fn refresh(&mut self, section: &Admin) -> Vec<String> {
        self.0.resize_with(section.tokens.len(), || None);
        let mut problems = Vec::new();
        for (place, token) in self.0.iter_mut().zip(&section.tokens) {
            let name = token.name.as_deref().unwrap_or_default();
            match token.token() {
                Ok(Some(secret)) if secret.is_usable_token() => {
                    *place = Some((secret, caller(token)));
                }
                Ok(Some(_)) => problems.push(format!("the token of {name} {TOKEN_RULE}")),
                Ok(None) => *place = None,
                Err(error) => {
                    if is_missing(&error) {
                        *place = None;
                    }
                    problems.push(format!("{name}: {}", with_causes(&error)));
                }
            }
        }
        problems
    }

    /// The form in which the guard takes them.
    pub(super) fn holders(&self) -> impl Iterator<Item = (&Secret, Caller)> {
        let tokens = self.0.iter().flatten();
        tokens.map(|(secret, caller)| (secret, caller.clone()))
    }
}

fn caller(token: &AdminToken) -> Caller {
    Caller {
        name: token.name.as_deref().unwrap_or_default().into(),
        role: token.role,
    }
}

/// Whether a token's file does not exist.
pub(crate) fn is_missing(error: &SecretError) -> bool {
    matches!(error, SecretError::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// Takes over changed token files until `stop`.
pub(super) async fn watch(app: &Arc<App>, mut tokens: Tokens, stop: CancellationToken) {
    let mut problems = Vec::new();
    let pause = || stop.run_until_cancelled(tokio::time::sleep(INTERVAL));
    while pause().await.is_some() {
        let shared = Arc::clone(app);
        let read = tokio::task::spawn_blocking(move || {
            let problems = tokens.refresh(&shared.settings.admin);
            (tokens, problems)
        });
        // Only a panic ends the task otherwise, and the panic hook has logged it.
        let Ok((read, now)) = read.await else { return };
        tokens = read;
        app.guard.replace(tokens.holders());
        if now != problems {
            for problem in &now {
                tracing::warn!(%problem, "admin.token_unusable");
            }
            problems = now;
        }
    }
}
