//! Sessions of people in a browser.
//!
//! A session is a cookie with the holder's name, the time of its beginning, a random part, and a
//! seal by the holder's token. No store keeps it, and every replica accepts it. It ends after
//! [`LIFETIME`], and when the token is replaced or deleted.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dps_domain::Timestamp;
use dps_host::{TokenGuard, randomness};

use super::frame::{cookie, set_cookie};
use super::to_sign_in;
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::problem::Refusal;
use crate::config::AdminRole;

/// Longest time of a session.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// Difference of the clocks of two replicas that is tolerated.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Bytes of the random part.
const NONCE: usize = 16;

const fn cookie_name(app: &App) -> &'static str {
    // A browser accepts the prefix by TLS alone, and then from this host alone.
    if app.is_encrypted {
        "__Host-dps-session"
    } else {
        "dps-session"
    }
}

/// Whether the request shows a session, valid or not.
pub(super) fn has_cookie(headers: &HeaderMap) -> bool {
    ["__Host-dps-session", "dps-session"]
        .into_iter()
        .any(|name| cookie(headers, name).is_some_and(|value| !value.is_empty()))
}

/// Begins a session of this holder with a response.
pub(super) fn begin(app: &App, caller: &Caller, response: &mut Response) {
    let nonce = randomness::hex(NONCE);
    if let Some(value) = sealed(&app.guard, caller, app.now(), &nonce) {
        let seconds = u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX);
        set_cookie(app, response, (cookie_name(app), &value), seconds);
    }
}

/// Ends the session with a response.
pub(super) fn end(app: &App, response: &mut Response) {
    set_cookie(app, response, (cookie_name(app), ""), 0);
}

/// The holder of the session that a request shows.
pub(super) fn caller(app: &App, headers: &HeaderMap) -> Option<Caller> {
    let value = cookie(headers, cookie_name(app))?;
    opened(&app.guard, value, app.now())
}

/// Requires a session with this role or a higher one, and passes its holder to the handler.
pub(super) async fn require(
    State((app, role)): State<(Arc<App>, AdminRole)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(caller) = caller(&app, request.headers()) else {
        let here = request.uri().path_and_query();
        let here = here.map_or("/", |here| here.as_str());
        return to_sign_in(request.method(), request.headers(), here);
    };
    if let Err(refusal) = app.rates.admit(&caller, request.method()) {
        return refusal.into_response();
    }
    if caller.role < role {
        return Refusal::forbidden(&caller, role).into_response();
    }
    request.extensions_mut().insert(caller);
    // Closed never, so that an error cannot come.
    let _permit = app.calls.acquire().await;
    next.run(request).await
}

fn sealed(
    guard: &TokenGuard<Caller>,
    caller: &Caller,
    now: Timestamp,
    nonce: &str,
) -> Option<String> {
    let message = format!("{}:{}:{nonce}", caller.name, now.unix_seconds());
    let seal = guard.seal(|holder| holder.name == caller.name, message.as_bytes())?;
    Some(format!("{message}:{}", hex::encode(seal)))
}

fn opened(guard: &TokenGuard<Caller>, value: &str, now: Timestamp) -> Option<Caller> {
    let (message, seal) = value.rsplit_once(':')?;
    let mut parts = message.split(':');
    let (name, began) = (parts.next()?, parts.next()?);
    let began = Timestamp::from_unix_seconds(began.parse().ok()?);
    if now.since(began) > LIFETIME || began.since(now) > CLOCK_SKEW {
        return None;
    }
    let seal = hex::decode(seal).ok()?;
    guard.sealed_by(|holder| &*holder.name == name, message.as_bytes(), &seal)
}

#[cfg(test)]
mod tests {
    use dps_host::Secret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn holder(name: &str) -> Caller {
        Caller {
            name: name.into(),
            role: AdminRole::Viewer,
        }
    }

    #[test]
    fn a_session_ends_with_its_time_and_with_the_token() {
        let [first, second] = ["first-token-00000", "second-token-0000"].map(Secret::from);
        let ann = holder("ann@shop.example");
        let guard = TokenGuard::of_holders("test", [(&first, ann.clone())]);
        let value = sealed(&guard, &ann, NOW, "0011").unwrap();
        let at = |after: Duration| opened(&guard, &value, NOW + after);
        assert_eq!(at(Duration::ZERO), Some(ann.clone()));
        assert_eq!(at(LIFETIME), Some(ann.clone()));
        assert_eq!(at(LIFETIME + Duration::from_secs(1)), None);
        assert_eq!(opened(&guard, &value, NOW - CLOCK_SKEW), Some(ann.clone()));
        assert_eq!(opened(&guard, &value, NOW - 2 * CLOCK_SKEW), None);
        let eve = holder("eve");
        assert_eq!(sealed(&guard, &eve, NOW, "0011"), None);
        guard.replace([(&second, ann)]);
        assert_eq!(opened(&guard, &value, NOW), None);
    }

    #[test]
    fn a_changed_session_is_none() {
        let token = Secret::from("first-token-00000");
        let ann = holder("ann");
        let guard = TokenGuard::of_holders("test", [(&token, ann.clone())]);
        let value = sealed(&guard, &ann, NOW, "0011").unwrap();
        let (message, seal) = value.rsplit_once(':').unwrap();
        let later = message.replace("1800000000", "1800000060");
        for changed in [
            format!("{later}:{seal}"),
            format!("{message}:{}", &seal[2..]),
            format!("{message}:"),
            format!("{message}:zz"),
            message.to_owned(),
            String::new(),
            ":::".to_owned(),
        ] {
            assert_eq!(opened(&guard, &changed, NOW), None, "{changed}");
        }
    }
}
