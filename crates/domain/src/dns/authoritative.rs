//! The answers of a zone's authoritative servers, beside those of the recursive resolvers.
//!
//! A recursive resolver may keep an old answer for hours (RFC 2308). The authoritative servers have
//! the present records, and a CA that validates from scratch sees those.

use std::net::IpAddr;
use std::time::Duration;

use super::expectation::{DnsExpectation, OurAddresses};
use super::judge::judge;
use super::observation::{DnsAnswer, DnsObservation, ResolverView};
use super::{DnsVerdict, points_at_us};
use crate::{Failure, Timestamp};

/// Name servers of a zone that are queried.
pub const MAX_NAME_SERVERS: usize = 4;
/// Addresses of one name server that are queried.
pub const MAX_SERVER_ADDRESSES: usize = 2;
/// The longest time until an answer expires that is believed.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// The authoritative servers of the zone of a name, and their answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthoritativeView {
    /// The zone: the nearest name at or above the hostname with NS records; empty if none is known.
    pub zone: String,
    /// The names of its servers, as many as are kept.
    pub name_servers: Vec<String>,
    /// The answers, one for each server that was queried. The server stands in place of the
    /// resolver.
    pub answers: Vec<DnsObservation>,
    /// Servers that were not queried because of their addresses.
    pub not_queried: Vec<SkippedServer>,
}

/// An authoritative server that was not queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedServer {
    /// Its address.
    pub address: IpAddr,
    /// The kind of address.
    pub kind: &'static str,
}

impl AuthoritativeView {
    /// The answers in place of those of recursive resolvers. `views` have the control.
    pub fn in_place_of(&self, views: &[ResolverView]) -> Vec<ResolverView> {
        let working = views.iter().find(|view| !view.is_out_of_order());
        let answers = self.answers.iter().filter(|seen| !seen.answer.is_failure());
        let view = |(name, working): (&DnsObservation, &ResolverView)| ResolverView {
            name: name.clone(),
            control: working.control.clone(),
        };
        answers.zip(working.into_iter().cycle()).map(view).collect()
    }
}

impl DnsVerdict {
    /// Whether the authoritative servers may know better: the records are missing or wrong at a
    /// recursive resolver.
    pub const fn may_be_outdated(&self) -> bool {
        matches!(
            self,
            Self::NotReady(
                Failure::DnsNxdomain {}
                    | Failure::DnsNoCname { .. }
                    | Failure::DnsWrongTarget { .. }
                    | Failure::DnsCnameLoop { .. }
                    | Failure::DnsStrayAddress { .. }
                    | Failure::CdnInFront { .. }
                    | Failure::DnsPropagating { .. }
            )
        )
    }

    /// The verdict with the answers of the authoritative servers, which prevail over those of the
    /// recursive resolvers. Servers without an answer do not count.
    #[must_use]
    pub fn with_authoritative(
        self,
        expected: &DnsExpectation<'_>,
        views: &[ResolverView],
        seen: &AuthoritativeView,
        now: Timestamp,
    ) -> Self {
        let working: Vec<&ResolverView> = views
            .iter()
            .filter(|view| !view.is_out_of_order())
            .collect();
        let known = OurAddresses::seen_by(expected, &working);
        let judged: Vec<(&DnsObservation, Result<(), Failure>)> = seen
            .answers
            .iter()
            .filter(|answer| !answer.answer.is_failure())
            .map(|answer| (answer, judge(expected, &known, answer)))
            .collect();
        let (good, bad): (Vec<_>, Vec<_>) =
            judged.into_iter().partition(|(_, result)| result.is_ok());
        let Some((_, Err(first_failure))) = bad.first() else {
            if good.is_empty() {
                // Our own machine failed at a server that might have confirmed the name.
                return local_fault(seen).unwrap_or(self);
            }
            return points_at_us(expected, &known, good.into_iter().map(|(seen, _)| seen));
        };
        if good.is_empty() {
            return Self::NotReady(first_failure.clone());
        }
        // The servers of the zone disagree: a secondary server has the old zone.
        let missing = || bad.iter().map(|(seen, _)| *seen);
        let recursive = working.iter().map(|view| &view.name);
        Self::NotReady(Failure::DnsPropagating {
            seen_by: good.iter().map(|(seen, _)| seen.resolver).collect(),
            missing_at: missing().map(|seen| seen.resolver).collect(),
            until: expiry(missing().chain(recursive), now),
        })
    }
}

fn local_fault(seen: &AuthoritativeView) -> Option<DnsVerdict> {
    seen.answers.iter().find_map(|seen| match &seen.answer {
        DnsAnswer::Local { detail } => Some(DnsVerdict::Local {
            detail: detail.clone(),
        }),
        _ => None,
    })
}

/// The time at which the last of these answers leaves the caches; `None` if one of them has no TTL.
pub(super) fn expiry<'a>(
    answers: impl Iterator<Item = &'a DnsObservation>,
    now: Timestamp,
) -> Option<Timestamp> {
    let ttl = answers
        .map(|seen| seen.ttl)
        .try_fold(Duration::ZERO, |longest, ttl| Some(longest.max(ttl?)))?;
    let end = now + ttl.min(MAX_TTL);
    // Whole seconds, rounded up, for people.
    let before = end - Duration::from_micros(1);
    (!ttl.is_zero()).then(|| Timestamp::from_unix_seconds(before.unix_seconds() + 1))
}

#[cfg(test)]
#[path = "authoritative_tests.rs"]
mod tests;
