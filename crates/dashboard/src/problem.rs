//! The page that says why there is no other.

use askama::Template;

use crate::page::Page;

/// A refusal or a fault, as a page.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct ProblemView {
    /// The frame.
    pub page: Page,
    /// The HTTP status.
    pub status: u16,
    /// The fault and the remedy, as the admin API says them.
    pub detail: String,
}

impl ProblemView {
    fn title(&self) -> &'static str {
        let t = self.page.t();
        match self.status {
            400 => t.problem_request,
            403 => t.problem_forbidden,
            404 => t.problem_not_found,
            409 => t.problem_conflict,
            503 => t.problem_unavailable,
            _ => t.problem_internal,
        }
    }

    fn help(&self) -> &'static str {
        let t = self.page.t();
        match self.status {
            403 => t.help_forbidden,
            503 => t.help_unavailable,
            _ => t.help_other,
        }
    }
}
