//! State of the Cabinet as this process knows it, for readiness and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_domain::{DomainId, Timestamp};

use crate::ports::cabinet::RefusedItem;

/// Refused items that are remembered; more of them are only counted by the metric.
const MAX_REMEMBERED: usize = 1_000;
/// Held removals that are remembered. Each poll checks again those that are not remembered.
const MAX_HELD: usize = 100_000;

/// State that the workers write, and readiness and metrics read.
#[derive(Debug, Default)]
pub struct CabinetHealth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_up: Option<bool>,
    began: Option<Timestamp>,
    last_good_pass: Option<Timestamp>,
    problem: Option<String>,
    refused: BTreeMap<(String, &'static str), (RefusedItem, Timestamp)>,
    held: BTreeMap<DomainId, Held>,
    /// Number of domains, and when they were counted.
    domains: Option<(u64, Timestamp)>,
    drops_proofs: bool,
}

/// A removal that waits for an operator.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// The Cabinet's version that asks for it; `None` if the Cabinet does not know the domain.
    version: Option<u64>,
    /// Time of the last request.
    at: Timestamp,
}

/// A copy of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CabinetStatus {
    /// True if the Cabinet answered the last call; `None` before the first.
    pub is_up: Option<bool>,
    /// Start of the intake; `None` before it.
    pub began: Option<Timestamp>,
    /// Time at which the feed was last read to its end, or a whole poll ended.
    pub last_good_pass: Option<Timestamp>,
    /// Fault of the feed or a list that repeats its pages, as a sentence.
    pub problem: Option<String>,
    /// One refused item, and the number of all.
    pub refused: Option<(RefusedItem, usize)>,
    /// Removals that wait for an operator.
    pub held_removals: usize,
    /// True if the Cabinet accepted the last report of a TXT record without keeping the record;
    /// false before the first such report.
    pub drops_proofs: bool,
}

impl CabinetHealth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the Cabinet is reachable.
    pub(crate) fn up(&self, is_up: bool) {
        self.state().is_up = Some(is_up);
    }

    /// Notes the first call of the intake.
    pub(crate) fn begin(&self, now: Timestamp) {
        self.state().began.get_or_insert(now);
    }

    /// Notes that the feed was read to its end, or that a whole poll ended.
    pub(crate) fn good_pass(&self, now: Timestamp) {
        self.state().last_good_pass = Some(now);
    }

    /// Sets the fault of feed or list; `None` if there is none. Returns whether that is new.
    pub(crate) fn problem(&self, problem: Option<&str>) -> bool {
        let mut state = self.state();
        let is_new = state.problem.as_deref() != problem;
        if is_new {
            state.problem = problem.map(str::to_owned);
        }
        is_new
    }

    /// Remembers an item that was refused. Returns whether it was not remembered yet.
    pub(crate) fn refuse(&self, item: &RefusedItem, now: Timestamp) -> bool {
        let mut state = self.state();
        let key = (item.id.clone(), item.field);
        if !state.refused.contains_key(&key) && state.refused.len() >= MAX_REMEMBERED {
            return false;
        }
        let before = state.refused.insert(key, (item.clone(), now));
        before.is_none_or(|(before, _)| before.value != item.value)
    }

    /// Forgets refusals of items that are usable now. Items that were neither refused nor held
    /// since the given moment are forgotten too. They were corrected, withdrawn, or taken up by
    /// another replica.
    pub(crate) fn forget_old(&self, usable: &[DomainId], unless_since: Timestamp) {
        let mut state = self.state();
        state.held.retain(|_, held| held.at >= unless_since);
        if state.refused.is_empty() {
            return;
        }
        let usable: BTreeSet<String> = usable.iter().map(DomainId::to_string).collect();
        state
            .refused
            .retain(|(id, _), (_, at)| *at >= unless_since && !usable.contains(id));
    }

    /// Holds a removal for an operator; returns true if no other is held.
    pub(crate) fn hold(&self, id: DomainId, version: Option<u64>, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_first = state.held.is_empty();
        if state.held.contains_key(&id) || state.held.len() < MAX_HELD {
            state.held.insert(id, Held { version, at: now });
        }
        is_first
    }

    /// True if the removal that this version requests was held at or after `since`.
    pub(crate) fn is_held(&self, id: DomainId, version: u64, since: Timestamp) -> bool {
        let state = self.state();
        let held = state.held.get(&id);
        held.is_some_and(|held| held.version == Some(version) && held.at >= since)
    }

    /// Returns the number of domains, if they were counted at or after `since`.
    pub(crate) fn domains(&self, since: Timestamp, now: Timestamp) -> Option<u64> {
        let counted = self.state().domains;
        counted
            .filter(|(_, at)| since <= *at && *at <= now)
            .map(|(domains, _)| domains)
    }

    /// Notes the number of domains.
    pub(crate) fn note_domains(&self, domains: u64, now: Timestamp) {
        self.state().domains = Some((domains, now));
    }

    /// Notes whether the Cabinet kept the TXT record of a report. Returns whether that is new.
    pub(crate) fn note_proof(&self, is_kept: bool) -> bool {
        let before = std::mem::replace(&mut self.state().drops_proofs, !is_kept);
        before == is_kept
    }

    /// Ends the wait of a removal.
    pub(crate) fn release(&self, id: DomainId) {
        self.state().held.remove(&id);
    }

    /// Returns a copy of the state.
    pub fn status(&self) -> CabinetStatus {
        let state = self.state();
        let refused = state.refused.values().next();
        CabinetStatus {
            is_up: state.is_up,
            began: state.began,
            last_good_pass: state.last_good_pass,
            problem: state.problem.clone(),
            refused: refused.map(|(item, _)| (item.clone(), state.refused.len())),
            held_removals: state.held.len(),
            drops_proofs: state.drops_proofs,
        }
    }
}

impl CabinetStatus {
    /// Returns the problem for the operator, if there is one. `late_after` is the longest time
    /// without a successful pass.
    ///
    /// # Errors
    /// All problems, in one sentence.
    pub fn check(&self, now: Timestamp, late_after: Duration) -> Result<(), String> {
        let mut findings = Vec::new();
        if self.held_removals > 0 {
            findings.push(format!(
                "{} removals are held, more than a day usually brings; look at the Cabinet, then run `dps removals approve`",
                self.held_removals
            ));
        }
        if let Some(problem) = &self.problem {
            findings.push(problem.clone());
        }
        let last = self.last_good_pass.max(self.began);
        if let Some(last) = last.filter(|last| now.since(*last) > late_after) {
            findings.push(format!("nothing was taken in since {last}"));
        }
        if let Some((item, number)) = &self.refused {
            let RefusedItem {
                id,
                field,
                value,
                reason,
            } = item;
            findings.push(format!(
                "{number} items of the Cabinet cannot be used, such as {id:?}: {field} is {value}, {reason}"
            ));
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(findings.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn item(id: &str) -> RefusedItem {
        RefusedItem {
            id: id.to_owned(),
            field: "tenantId",
            value: r#""a\u0000b""#.to_owned(),
            reason: "control characters".to_owned(),
        }
    }

    #[test]
    fn a_refused_item_is_new_once_and_forgotten_when_it_is_corrected_or_removed() {
        let health = CabinetHealth::default();
        let id = DomainId::new(NOW, [1; 10]);
        assert!(health.refuse(&item(&id.to_string()), NOW));
        assert!(!health.refuse(&item(&id.to_string()), NOW + MINUTE));
        assert!(health.refuse(&item("x"), NOW));
        let said = health.status().check(NOW, MINUTE).unwrap_err();
        assert!(
            said.contains("2 items") && said.contains("tenantId"),
            "{said}"
        );
        health.forget_old(&[id], NOW);
        assert_eq!(health.status().refused, Some((item("x"), 1)));
        health.forget_old(&[], NOW + MINUTE);
        assert_eq!(health.status().check(NOW, MINUTE), Ok(()));
    }

    #[test]
    fn any_number_of_refused_items_takes_bounded_room() {
        let health = CabinetHealth::default();
        for number in 0..5_000 {
            health.refuse(&item(&number.to_string()), NOW);
            let id = DomainId::new(NOW, [u8::try_from(number % 256).unwrap(); 10]);
            health.hold(id, None, NOW);
        }
        assert_eq!(health.status().refused.unwrap().1, MAX_REMEMBERED);
    }

    #[test]
    fn a_removal_that_nobody_asks_for_any_more_is_not_held_for_ever() {
        let health = CabinetHealth::default();
        let (withdrawn, held) = (DomainId::new(NOW, [1; 10]), DomainId::new(NOW, [2; 10]));
        assert!(health.hold(withdrawn, None, NOW));
        assert!(!health.hold(held, None, NOW));
        assert!(!health.hold(held, Some(3), NOW + MINUTE));
        assert!(health.is_held(held, 3, NOW + MINUTE));
        assert!(
            !health.is_held(held, 4, NOW + MINUTE),
            "it asks for something else"
        );
        assert!(!health.is_held(held, 3, NOW + 2 * MINUTE));
        health.forget_old(&[], NOW + MINUTE);
        assert_eq!(health.status().held_removals, 1);
        assert!(health.status().check(NOW, MINUTE).is_err());
        health.forget_old(&[], NOW + 2 * MINUTE);
        assert_eq!(health.status().check(NOW, MINUTE), Ok(()));
    }

    #[test]
    fn a_dropped_proof_is_new_once_and_forgotten_when_one_is_kept() {
        let health = CabinetHealth::default();
        assert!(!health.note_proof(true));
        assert!(health.note_proof(false));
        assert!(!health.note_proof(false));
        assert!(health.status().drops_proofs);
        assert!(health.note_proof(true));
        assert!(!health.status().drops_proofs);
    }

    #[test]
    fn an_intake_that_succeeds_no_more_is_reported_after_a_while() {
        let health = CabinetHealth::default();
        assert_eq!(
            health.status().check(NOW, MINUTE),
            Ok(()),
            "it has not begun"
        );
        health.begin(NOW);
        assert_eq!(health.status().check(NOW + MINUTE, MINUTE), Ok(()));
        assert!(health.status().check(NOW + 2 * MINUTE, MINUTE).is_err());
        health.good_pass(NOW + 2 * MINUTE);
        assert_eq!(health.status().check(NOW + 3 * MINUTE, MINUTE), Ok(()));
    }
}
