//! The tokens of section `Admin`, which follow their files.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_domain::with_causes;
use dps_host::{Secret, TOKEN_RULE};
use tokio_util::sync::CancellationToken;

use super::App;
use super::auth::Caller;
use crate::config::Admin;

/// Time between two reads of the files.
const INTERVAL: Duration = Duration::from_secs(5);

/// A token with its holder.
pub(super) type Token = (Secret, Caller);

/// Reads every token from its file.
pub(super) fn read(section: &Admin) -> anyhow::Result<Vec<Token>> {
    let tokens = section.tokens.iter().map(|token| {
        let name = token.name.as_deref().unwrap_or_default();
        let secret = token.token()?;
        let secret = secret.with_context(|| format!("TokenFile of {name} is not set"))?;
        anyhow::ensure!(secret.is_usable_token(), "the token of {name} {TOKEN_RULE}");
        let (name, role) = (name.into(), token.role);
        Ok((secret, Caller { name, role }))
    });
    tokens.collect()
}

/// The form in which the guard takes tokens.
pub(super) fn holders(tokens: &[Token]) -> impl Iterator<Item = (&Secret, Caller)> {
    tokens
        .iter()
        .map(|(secret, caller)| (secret, caller.clone()))
}

/// Takes over changed token files until `stop`. While one cannot be used, the tokens from before
/// stay in force.
pub(super) async fn watch(app: &Arc<App>, stop: CancellationToken) {
    let mut problem = None;
    let pause = || stop.run_until_cancelled(tokio::time::sleep(INTERVAL));
    while pause().await.is_some() {
        let app = Arc::clone(app);
        let read = tokio::task::spawn_blocking(move || {
            let tokens = read(&app.settings.admin)?;
            app.guard.replace(holders(&tokens));
            anyhow::Ok(())
        });
        let now = match read.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(with_causes(error.as_ref())),
            Err(error) => Some(with_causes(&error)),
        };
        if now != problem {
            if let Some(problem) = &now {
                tracing::warn!(%problem, "admin.tokens_unusable");
            }
            problem = now;
        }
    }
}
