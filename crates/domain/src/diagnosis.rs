//! The rows of a diagnosis: what was checked, with which result, and which row to act on first.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Actor, Failure};

/// A check of a diagnosis. Where several fail, an earlier one is the cause to remove first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Whether the service's own store answers.
    Store,
    /// Whether the platform accepts the name and its target.
    Name,
    /// Whether the resolvers resolve our own target.
    Resolvers,
    /// Whether the name points at us.
    Dns,
    /// Whether resolvers and authoritative servers agree.
    Agreement,
    /// Whether a proxy that is not ours stands in front of the name.
    Proxy,
    /// Whether the tenant must prove its claim.
    Ownership,
    /// Whether an edge can take challenges and certificates.
    Agent,
    /// Whether our responder answers at every address of the name.
    Path,
    /// Whether CAA records allow the CA to issue.
    Caa,
    /// Whether an account at the CA is stored and no order was refused for it.
    Account,
    /// Whether orders for the name are paused.
    Pause,
    /// Whether the limits of the CA leave an order.
    Ledger,
    /// Which certificate an edge presents.
    Certificate,
    /// Whether the domain stopped, so that only a request continues it.
    Stopped,
}

impl Check {
    /// Every check, in the order of causes.
    pub const ALL: [Self; 15] = [
        Self::Store,
        Self::Name,
        Self::Resolvers,
        Self::Dns,
        Self::Agreement,
        Self::Proxy,
        Self::Ownership,
        Self::Agent,
        Self::Path,
        Self::Caa,
        Self::Account,
        Self::Pause,
        Self::Ledger,
        Self::Certificate,
        Self::Stopped,
    ];

    /// The stable word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Name => "name",
            Self::Resolvers => "resolvers",
            Self::Dns => "dns",
            Self::Agreement => "agreement",
            Self::Proxy => "proxy",
            Self::Ownership => "ownership",
            Self::Agent => "agent",
            Self::Path => "path",
            Self::Caa => "caa",
            Self::Account => "account",
            Self::Pause => "pause",
            Self::Ledger => "ledger",
            Self::Certificate => "certificate",
            Self::Stopped => "stopped",
        }
    }
}

/// The result of a check. A smaller one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckStatus {
    /// Something is to be done, or waited for.
    Failed,
    /// The time was up before the result.
    Unfinished,
    /// It means nothing before another check passes.
    Skipped,
    /// Nothing is wrong.
    Ok,
}

impl CheckStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
            Self::Skipped => "skipped",
            Self::Ok => "ok",
        }
    }
}

/// The weight of a result. A smaller one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It prevents a certificate or its delivery.
    Error,
    /// It delays a certificate, or may prevent one.
    Warning,
    /// For information.
    Info,
}

impl Severity {
    /// The weight of a failure. If nobody must act on it, it ends by itself.
    pub fn of(failure: &Failure) -> Self {
        match failure.actor() {
            Actor::Customer | Actor::Operator => Self::Error,
            Actor::Nobody => Self::Warning,
        }
    }
}

/// One row of a diagnosis.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The check.
    pub check: Check,
    /// The edge that it is about; `None` for a check of the domain.
    pub subject: Option<String>,
    /// The result.
    pub status: CheckStatus,
    /// Its weight.
    pub severity: Severity,
    /// The failure, if the catalogue has one.
    pub failure: Option<Failure>,
    /// The result in words.
    pub message: String,
    /// The observations; never a key.
    pub details: Value,
    /// Time for the check.
    pub took: Duration,
    /// The operator's remedy; `None` if nothing is to be done.
    pub remedy: Option<String>,
}

impl Row {
    /// A row with this result, without observations.
    pub fn new(check: Check, status: CheckStatus, message: impl Into<String>) -> Self {
        let severity = match status {
            CheckStatus::Failed => Severity::Error,
            CheckStatus::Unfinished => Severity::Warning,
            CheckStatus::Skipped | CheckStatus::Ok => Severity::Info,
        };
        Self {
            check,
            subject: None,
            status,
            severity,
            failure: None,
            message: message.into(),
            details: Value::Object(serde_json::Map::new()),
            took: Duration::ZERO,
            remedy: None,
        }
    }

    /// A row without a fault.
    pub fn ok(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, CheckStatus::Ok, message)
    }

    /// A row that means nothing before another check passes.
    pub fn skipped(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, CheckStatus::Skipped, message)
    }

    /// A row whose time was up.
    pub fn unfinished(check: Check) -> Self {
        Self {
            remedy: Some("Diagnose the domain again in a minute.".to_owned()),
            ..Self::new(
                check,
                CheckStatus::Unfinished,
                "The time for the diagnosis was up before this check ended.",
            )
        }
    }

    /// A row with a failure of the catalogue and the customer's `sentence` about it.
    pub fn failed(check: Check, failure: Failure, sentence: String) -> Self {
        Self {
            severity: Severity::of(&failure),
            remedy: Some(failure.remedy()),
            failure: Some(failure),
            ..Self::new(check, CheckStatus::Failed, sentence)
        }
    }

    /// Adds the edge that the row is about.
    #[must_use]
    pub fn about(mut self, edge: &str) -> Self {
        self.subject = Some(edge.to_owned());
        self
    }

    /// Adds the observations.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// Sorts rows: the first that is not OK is the one to act on. Results come before their lack,
/// errors before warnings, and causes before consequences.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|one, other| key(one).cmp(&key(other)));
}

fn key(row: &Row) -> (CheckStatus, Severity, Check, Option<&str>) {
    (row.status, row.severity, row.check, row.subject.as_deref())
}

/// The row to act on; `None` if everything is OK. `rows` are [sorted](sort).
pub fn first_to_act_on(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.status != CheckStatus::Ok)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(check: Check, status: CheckStatus, severity: Severity) -> Row {
        Row {
            severity,
            ..Row::new(check, status, "")
        }
    }

    #[test]
    fn a_cause_comes_before_its_consequences_and_both_before_what_is_unknown() {
        let mut rows = vec![
            Row::ok(Check::Name, ""),
            row(Check::Ledger, CheckStatus::Failed, Severity::Warning),
            Row::skipped(Check::Caa, ""),
            Row::unfinished(Check::Resolvers),
            row(Check::Path, CheckStatus::Failed, Severity::Error),
            row(Check::Dns, CheckStatus::Failed, Severity::Error),
        ];
        sort(&mut rows);
        let order: Vec<&str> = rows.iter().map(|row| row.check.as_str()).collect();
        assert_eq!(order, ["dns", "path", "ledger", "resolvers", "caa", "name"]);
        assert_eq!(first_to_act_on(&rows).unwrap().check, Check::Dns);
        assert_eq!(first_to_act_on(&[Row::ok(Check::Name, "")]), None);
    }

    #[test]
    fn a_failure_that_ends_by_itself_is_a_warning_and_every_remedy_is_a_sentence() {
        let wait = Failure::AcmeRateLimited {
            until: None,
            detail: String::new(),
        };
        assert_eq!(Severity::of(&wait), Severity::Warning);
        let row = Row::failed(Check::Dns, Failure::DnsNxdomain {}, String::new());
        assert_eq!(row.severity, Severity::Error);
        assert!(row.remedy.unwrap().ends_with('.'));
    }

    #[test]
    fn checks_have_distinct_words_in_the_order_of_causes() {
        let words: std::collections::BTreeSet<_> = Check::ALL.map(Check::as_str).into();
        assert_eq!(words.len(), Check::ALL.len());
        assert!(Check::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn the_first_row_that_is_not_ok_is_the_gravest_whatever_the_order_was(
            seeds in prop::collection::vec((0usize..Check::ALL.len(), 0usize..4, 0usize..3), 0..20),
        ) {
            let statuses = [
                CheckStatus::Failed,
                CheckStatus::Unfinished,
                CheckStatus::Skipped,
                CheckStatus::Ok,
            ];
            let severities = [Severity::Error, Severity::Warning, Severity::Info];
            let mut rows: Vec<Row> = seeds
                .iter()
                .map(|(check, status, severity)| {
                    row(Check::ALL[*check], statuses[*status], severities[*severity])
                })
                .collect();
            sort(&mut rows);
            let mut reversed: Vec<Row> = rows.iter().rev().cloned().collect();
            sort(&mut reversed);
            prop_assert_eq!(&rows, &reversed);
            let bad = rows.iter().filter(|row| row.status != CheckStatus::Ok);
            let gravest = bad.min_by_key(|row| (row.status, row.severity, row.check));
            prop_assert_eq!(first_to_act_on(&rows), gravest);
        }
    }
}
