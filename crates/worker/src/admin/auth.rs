//! The caller, and whether its role allows a call.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dps_domain::record::operator::{Requester, Via};

use super::problem::Refusal;
use super::{App, idempotency};
use crate::config::AdminRole;

/// The holder of the token that a request shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// The role of the token.
    pub(crate) role: AdminRole,
}

impl Caller {
    /// Its name as the history of a domain shows it.
    pub(super) fn in_history(&self) -> String {
        format!("admin:{}", self.name)
    }

    /// The author of an action; `who` is [`Self::in_history`].
    pub(super) fn requester<'a>(&self, who: &'a str, reason: Option<&'a str>) -> Requester<'a> {
        let role = self.role.as_str();
        Requester {
            who,
            reason,
            via: Via::AdminApi { role },
        }
    }
}

/// Requires a token of this role or a higher one, and passes its holder to the handler.
pub(super) async fn require(
    State((app, role)): State<(Arc<App>, AdminRole)>,
    mut request: Request,
    next: Next,
) -> Response {
    let holder = app.guard.holder(request.headers(), request.extensions());
    let Some(caller) = holder.await else {
        return Refusal::unauthorized().into_response();
    };
    if let Err(refusal) = app.rates.admit(&caller, request.method()) {
        return refusal.into_response();
    }
    if caller.role < role {
        return Refusal::forbidden(&caller, role).into_response();
    }
    request.extensions_mut().insert(caller.clone());
    idempotency::answer(app, &caller, request, next).await
}
