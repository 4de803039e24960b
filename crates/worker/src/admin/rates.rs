//! How often each holder of a token may call this process.
//!
//! Calls are counted by holder, in a bucket that holds the calls of a minute and fills evenly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use tokio::time::Instant;

use super::auth::Caller;
use super::problem::Refusal;
use crate::config::Admin;

/// The time over which calls are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// The calls of all holders.
#[derive(Debug)]
pub(super) struct Rates {
    requests_per_minute: u32,
    actions_per_minute: u32,
    /// Holders are those of the settings, so they are few.
    holders: Mutex<HashMap<Arc<str>, Used>>,
}

/// When the buckets of a holder are full again.
#[derive(Debug, Clone, Copy)]
struct Used {
    requests: Instant,
    actions: Instant,
}

impl Rates {
    pub(super) fn new(section: &Admin) -> Self {
        Self {
            requests_per_minute: section.requests_per_minute,
            actions_per_minute: section.actions_per_minute,
            holders: Mutex::default(),
        }
    }

    /// Counts a call, or refuses it.
    pub(super) fn admit(&self, caller: &Caller, method: &Method) -> Result<(), Refusal> {
        self.admit_at(caller, method, Instant::now())
            .map_err(|(kind, bound, wait)| {
                let detail = format!("{} makes at most {bound} {kind} a minute", caller.name);
                Refusal::too_many(detail, wait)
            })
    }

    fn admit_at(
        &self,
        caller: &Caller,
        method: &Method,
        now: Instant,
    ) -> Result<(), (&'static str, u32, Duration)> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = Used {
            requests: now,
            actions: now,
        };
        let used = holders.entry(Arc::clone(&caller.name)).or_insert(unused);
        let (most, most_actions) = (self.requests_per_minute, self.actions_per_minute);
        let requests = after_one(used.requests, most, now);
        let requests = requests.map_err(|wait| ("calls", most, wait))?;
        if !method.is_safe() {
            let actions = after_one(used.actions, most_actions, now);
            used.actions = actions.map_err(|wait| ("calls that act", most_actions, wait))?;
        }
        used.requests = requests;
        Ok(())
    }
}

/// When a bucket is full again after one more call; the time until it has room if it has none.
fn after_one(full_at: Instant, most: u32, now: Instant) -> Result<Instant, Duration> {
    let full_at = full_at.max(now) + PERIOD / most.max(1);
    let wait = full_at.saturating_duration_since(now + PERIOD);
    if wait.is_zero() {
        Ok(full_at)
    } else {
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminRole;

    #[test]
    fn a_holder_has_a_number_of_calls_a_minute_and_fewer_that_act() {
        let rates = Rates::new(&Admin {
            requests_per_minute: 6,
            actions_per_minute: 2,
            ..Admin::default()
        });
        let caller = |name: &str| Caller {
            name: name.into(),
            role: AdminRole::Admin,
        };
        let (ann, bob, now) = (caller("ann"), caller("bob"), Instant::now());
        let act = |who: &Caller, at| rates.admit_at(who, &Method::POST, at);
        let read = |who: &Caller, at| rates.admit_at(who, &Method::GET, at);
        assert_eq!([act(&ann, now), act(&ann, now)], [Ok(()), Ok(())]);
        let seconds = Duration::from_secs;
        let refused = Err(("calls that act", 2, seconds(30)));
        assert_eq!(act(&ann, now), refused);
        assert_eq!(act(&bob, now), Ok(()), "each holder has calls of its own");
        for _ in 2..6 {
            assert_eq!(read(&ann, now), Ok(()), "a refused call is not counted");
        }
        assert_eq!(read(&ann, now), Err(("calls", 6, seconds(10))));
        let later = now + seconds(10);
        assert_eq!(read(&ann, later), Ok(()));
        assert_eq!(read(&ann, later), Err(("calls", 6, seconds(10))));
        assert_eq!(act(&ann, now + seconds(30)), Ok(()));
    }
}
