//! The requests and responses of one call, of which the library shows only a part.

use std::cell::RefCell;
use std::future::Future;

use bytes::Bytes;
use dps_domain::{Purpose, Timestamp, Until};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use super::problem::Problem;

tokio::task_local! {
    static LAST: RefCell<Exchange>;
}

/// The last request of a call and how it ended.
#[derive(Debug, Default)]
pub(super) enum Exchange {
    /// Nothing was sent.
    #[default]
    None,
    /// No whole answer came: no connection, no answer in time, a cut or oversized one.
    Fault(String),
    /// Our own machine could not send the request.
    Local(String),
    /// Nothing was sent, because the CA's limits leave no request before this moment.
    Held(Until),
    /// A whole answer came.
    Answer(Answer),
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// All headers, `Replay-Nonce` included.
    pub(super) headers: HeaderMap,
    /// The raw body.
    pub(super) body: Bytes,
    /// The moment of its `Retry-After`, as the CA named it. [`Answer::until`] bounds it.
    pub(super) retry_after: Option<Timestamp>,
    /// The moment at which it came.
    pub(super) received_at: Timestamp,
}

impl Exchange {
    /// The next poll of an order, an authorization or a certificate that the CA asks for.
    pub(super) fn next_poll(&self) -> Option<Until> {
        match self {
            Self::Answer(answer) => answer.until(Purpose::Poll),
            Self::Held(until) => Some(*until),
            Self::None | Self::Fault(_) | Self::Local(_) => None,
        }
    }

    /// The URL of what the last request created.
    pub(super) fn created(&self) -> Option<String> {
        match self {
            Self::Answer(answer) if answer.status == StatusCode::CREATED => {
                let location = answer.headers.get(LOCATION)?.to_str().ok()?;
                Some(location.to_owned())
            }
            Self::Answer(_) | Self::None | Self::Fault(_) | Self::Local(_) | Self::Held(_) => None,
        }
    }
}

impl Answer {
    /// The moment of its `Retry-After`, within what the purpose of the wait allows.
    pub(super) fn until(&self, purpose: Purpose) -> Option<Until> {
        let until = |at| Until::named(at, self.received_at, purpose);
        self.retry_after.map(until)
    }

    /// Whether it is a problem document that names a limit: the CA itself says so, not a page of
    /// some box in between.
    pub(super) fn is_limit(&self) -> bool {
        self.is_error()
            && Problem::read(&self.body).is_some_and(|problem| problem.kind() == "rateLimited")
    }

    /// The end of the order that it shows (RFC 8555 §7.1.3), if it says one.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        #[derive(serde::Deserialize)]
        struct Shown {
            expires: Option<Timestamp>,
        }
        serde_json::from_slice::<Shown>(&self.body).ok()?.expires
    }

    /// Whether the request was refused or failed.
    pub(super) fn is_error(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }

    /// Whether it was refused for its nonce alone (RFC 8555 §6.5).
    pub(super) fn refuses_nonce(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST
            && Problem::read(&self.body).is_some_and(|problem| problem.kind() == "badNonce")
    }
}

/// Runs `call`; returns its result, and what the last request inside it met.
pub(super) async fn observe<F: Future>(call: F) -> (F::Output, Exchange) {
    LAST.scope(RefCell::default(), async {
        let output = call.await;
        (output, LAST.with(RefCell::take))
    })
    .await
}

/// Reads the last request of the call under way.
pub(super) fn last<T>(read: impl FnOnce(&Exchange) -> T) -> Option<T> {
    LAST.try_with(|last| read(&last.borrow())).ok()
}

/// Notes how a request ended. Outside [`observe`] nothing is noted.
pub(super) fn note(exchange: Exchange) {
    // This fails only outside `observe`, where nothing reads it.
    let _ = LAST.try_with(|last| last.replace(exchange));
}
