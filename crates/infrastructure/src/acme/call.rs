//! One call to the CA: made again while it refuses our nonces, and explained if it fails.

use std::future::Future;

use dps_application::ports::ca::{CaDisposition, CaError};
use dps_domain::Purpose;
use instant_acme::Error;

use super::exchange::{self, Answer, Exchange};
use super::problem::{self, Subject};
use super::transport::Transport;

/// How often a call is made whose nonce is refused; the library tries each request three times by
/// itself.
const NONCE_ATTEMPTS: u32 = 6;

/// Makes `operation`, again while the CA refuses our nonces, and says in our words what went wrong.
pub(super) async fn make<T, F>(
    transport: &Transport,
    subject: Subject,
    operation: impl Fn() -> F + Send,
) -> Result<(T, Exchange), CaError>
where
    F: Future<Output = Result<T, Error>> + Send,
{
    let mut attempt = 1;
    loop {
        let (result, seen) = exchange::observe(operation()).await;
        let error = match result {
            Ok(value) => return Ok((value, seen)),
            Err(error) => error,
        };
        if attempt < NONCE_ATTEMPTS
            && matches!(&seen, Exchange::Answer(answer) if answer.refuses_nonce())
        {
            attempt += 1;
            continue;
        }
        let error = explain(&error, &seen, subject);
        // An outage that names no end may be a CA that moved.
        if error.disposition() == (CaDisposition::Unavailable { until: None }) {
            transport.forget_directory();
        }
        return Err(error);
    }
}

/// The error of a call, from what was seen on the wire rather than from what the library makes of
/// it.
fn explain(error: &Error, seen: &Exchange, subject: Subject) -> CaError {
    let not_acme = |answer: &Answer| CaError::Unavailable {
        detail: problem::not_acme(answer, "an answer that is not ACME"),
        retry_after: answer.until(Purpose::Outage),
    };
    error_of(seen, subject, not_acme, || {
        problem::tidy(&error.to_string())
    })
}

/// The error of a call that failed, by its last exchange. `of_no_use` is the error of an answer
/// that is none, and `unsent` the detail if nothing was sent.
pub(super) fn error_of(
    seen: &Exchange,
    subject: Subject,
    of_no_use: impl FnOnce(&Answer) -> CaError,
    unsent: impl FnOnce() -> String,
) -> CaError {
    match seen {
        Exchange::Answer(answer) if answer.is_error() => problem::error_of(answer, subject),
        Exchange::Answer(answer) => of_no_use(answer),
        Exchange::Fault(detail) => CaError::Unreachable {
            detail: detail.clone(),
        },
        Exchange::Local(detail) => CaError::Local {
            detail: detail.clone(),
        },
        Exchange::Held(until) => CaError::Paced { until: *until },
        Exchange::None => CaError::Malformed {
            kind: "unsent".to_owned(),
            detail: unsent(),
        },
    }
}
