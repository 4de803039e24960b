//! The edges: is everything served?

use askama::Template;
use dps_domain::Timestamp;

use crate::page::Page;

/// An edge with its last comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRow {
    /// Its name.
    pub name: String,
    /// Its state in a word, as in [`Edge`](dps_admin_api::Edge).
    pub state: &'static str,
    /// When it stopped answering, if it does not answer or is on probation.
    pub unreachable_since: Option<Timestamp>,
    /// The last problem.
    pub problem: Option<String>,
    /// Certificates that it should hold.
    pub expected: Option<u64>,
    /// Of these, certificates that it refused.
    pub refused: Option<u64>,
    /// Certificates that it holds and the store does not know.
    pub unknown: Option<u64>,
    /// End of the last comparison.
    pub compared_at: Option<Timestamp>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "edges.html")]
pub struct EdgesView {
    /// The frame.
    pub page: Page,
    /// The edges.
    pub edges: Vec<EdgeRow>,
    /// Whether an edge has just been approved.
    pub is_approved: bool,
    /// Whether a comparison has just been made due.
    pub is_compared: bool,
}

#[expect(clippy::ref_option, reason = "templates pass references")]
impl EdgesView {
    fn can_compare(&self, edge: &EdgeRow) -> bool {
        let is_member = !matches!(edge.state, "waits for approval" | "no longer configured");
        is_member && self.page.is_operator()
    }

    fn can_approve(&self) -> bool {
        let mut edges = self.edges.iter();
        let waits = edges.any(|edge| edge.state == "waits for approval");
        waits && self.page.is_admin()
    }

    fn count(&self, number: &Option<u64>) -> String {
        number.map_or_else(|| "–".to_owned(), |number| self.page.number(&number))
    }
}
