//! A refused call: the problem document and when to come back.

use std::time::Duration;

use dps_cabinet_api::{Problem, ProblemCode};

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) problem: Box<Problem>,
    /// For `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A refusal that names the field, parameter or header at fault.
    pub(crate) fn at(code: ProblemCode, field: &str, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).at(field).into()
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            retry_after: None,
        }
    }
}
