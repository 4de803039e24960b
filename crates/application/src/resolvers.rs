//! The resolvers, and which of them are out of order.
//!
//! A resolver is passed over after several consecutive failures for our own target. Without this,
//! it would delay every DNS check for its whole timeout. It is tried every few seconds, by no check
//! while another resolver works. While none works, one check at a time queries, and the others
//! learn of the outage at once.

mod budget;
mod observe;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::dns::{DnsAnswer, DnsObservation, ResolverView};

use crate::ports::{AuthoritativeDns, DnsResolver};

pub(crate) use budget::DnsBudget;

/// Failures in a row after which a resolver is passed over.
const FAILURES: u32 = 3;
/// The time between two trials of a resolver that is passed over.
const TRIED_EVERY: Duration = Duration::from_secs(5);

/// The time for all DNS queries of one check, unless [`Resolvers::with_authoritative`] sets it.
const BUDGET: Duration = Duration::from_secs(36);

/// All configured resolvers, and the way to authoritative servers.
pub struct Resolvers {
    members: Vec<Member>,
    authoritative: Option<Arc<dyn AuthoritativeDns>>,
    budget: Duration,
}

struct Member {
    resolver: Arc<dyn DnsResolver>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// In a row.
    failures: u32,
    out_of_order: Option<OutOfOrder>,
}

#[derive(Debug, Clone)]
struct OutOfOrder {
    since: Timestamp,
    try_at: Timestamp,
    answer: DnsAnswer,
}

/// How a resolver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverStatus {
    /// Its address.
    pub address: SocketAddr,
    /// Why and since when it is passed over, if it is.
    pub problem: Option<String>,
}

/// A change of a resolver's state.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    LeftOrder,
    /// It was out of order since the given moment.
    Returned(Timestamp),
}

impl Resolvers {
    /// Resolvers of which nothing is known yet.
    pub fn new(resolvers: Vec<Arc<dyn DnsResolver>>) -> Self {
        let member = |resolver| Member {
            resolver,
            state: Mutex::default(),
        };
        Self {
            members: resolvers.into_iter().map(member).collect(),
            authoritative: None,
            budget: BUDGET,
        }
    }

    /// Returns the resolvers, which also query authoritative servers. All DNS queries of one check
    /// end within `budget`.
    #[must_use]
    pub fn with_authoritative(
        mut self,
        authoritative: Option<Arc<dyn AuthoritativeDns>>,
        budget: Duration,
    ) -> Self {
        self.authoritative = authoritative;
        self.budget = budget;
        self
    }

    /// How each of them is.
    pub fn status(&self) -> Vec<ResolverStatus> {
        let status = |member: &Member| ResolverStatus {
            address: member.resolver.address(),
            problem: member
                .lock()
                .out_of_order
                .as_ref()
                .map(|out| format!("{} since {}", problem(&out.answer), out.since)),
        };
        self.members.iter().map(status).collect()
    }
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller is to try the resolver now, and no other step.
    fn claim_trial(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        let Some(out) = &mut state.out_of_order else {
            return false;
        };
        // A clock that is set back does not put trials off.
        let is_due = out.try_at <= now || out.try_at.since(now) > TRIED_EVERY;
        if is_due {
            out.try_at = now + TRIED_EVERY;
        }
        is_due
    }

    /// The resolver's last answer.
    fn unasked(&self) -> ResolverView {
        let answer = self
            .lock()
            .out_of_order
            .as_ref()
            .map(|out| out.answer.clone());
        let answer = answer.unwrap_or(DnsAnswer::Timeout);
        let seen = DnsObservation::new(self.resolver.address(), Vec::new(), answer);
        ResolverView {
            name: seen.clone(),
            control: seen,
        }
    }
}

impl State {
    fn note(&mut self, outcome: Result<(), &DnsAnswer>, now: Timestamp) -> Change {
        let Err(answer) = outcome else {
            self.failures = 0;
            return self
                .out_of_order
                .take()
                .map_or(Change::None, |out| Change::Returned(out.since));
        };
        self.failures = self.failures.saturating_add(1);
        if let Some(out) = &mut self.out_of_order {
            out.answer = answer.clone();
            return Change::None;
        }
        if self.failures < FAILURES {
            return Change::None;
        }
        self.out_of_order = Some(OutOfOrder {
            since: now,
            try_at: now + TRIED_EVERY,
            answer: answer.clone(),
        });
        Change::LeftOrder
    }
}

/// Whether the answer is a fault of the resolver, or of the way to it, whatever the name.
const fn is_resolvers_own(answer: &DnsAnswer) -> bool {
    matches!(
        answer,
        DnsAnswer::Timeout | DnsAnswer::Refused | DnsAnswer::Local { .. }
    )
}

const fn is_failure(answer: &DnsAnswer) -> bool {
    is_resolvers_own(answer) || matches!(answer, DnsAnswer::ServFail | DnsAnswer::Bogus)
}

fn problem(answer: &DnsAnswer) -> String {
    match answer {
        DnsAnswer::Local { detail } => format!("our own machine cannot query it: {detail}"),
        DnsAnswer::Refused => "it refuses our queries".to_owned(),
        DnsAnswer::ServFail => "it fails to resolve our own target".to_owned(),
        DnsAnswer::Bogus => "it cannot validate the DNSSEC signatures of our own target".to_owned(),
        _ => "it does not answer; one that answers in lower case and not over TCP needs Dns:RandomizeCase false".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_leaves_order_by_failures_in_a_row_and_returns_by_one_answer() {
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let mut state = State::default();
        let timeout = Err(&DnsAnswer::Timeout);
        for _ in 0..10 {
            assert_eq!(state.note(timeout, noon), Change::None);
            assert_eq!(state.note(timeout, noon), Change::None);
            assert_eq!(state.note(Ok(()), noon), Change::None);
        }
        let changes = [(); 4].map(|()| state.note(timeout, noon));
        assert_eq!(
            changes,
            [Change::None, Change::None, Change::LeftOrder, Change::None]
        );
        assert_eq!(state.note(Ok(()), noon), Change::Returned(noon));
        assert_eq!(state.note(timeout, noon), Change::None);
    }
}
