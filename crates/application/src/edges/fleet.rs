//! The edges that there are: those of the configuration and those that a directory names, which
//! come and go.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::text::shown;

use crate::ports::edge::{DirectoryError, EdgeError};
use crate::ports::fleet::KnownEdge;
use crate::ports::{Edge, EdgeDirectory};

/// An edge that left the fleet so long ago is forgotten.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest account of a problem that is kept, in characters.
const MAX_PROBLEM: usize = 300;

/// The stored text of an edge's error.
pub(crate) fn problem(error: &EdgeError) -> String {
    shown(&error.to_string(), MAX_PROBLEM)
}

/// The edges, as of the last read of the directory.
pub struct Fleet {
    fixed: Vec<Arc<dyn Edge>>,
    directory: Option<Arc<dyn EdgeDirectory>>,
    members: RwLock<Arc<[Arc<dyn Edge>]>>,
    waiting: RwLock<Arc<[String]>>,
}

impl Fleet {
    /// The edges of the configuration, and those that the directory will name.
    pub fn new(fixed: Vec<Arc<dyn Edge>>, directory: Option<Arc<dyn EdgeDirectory>>) -> Self {
        let members = RwLock::new(fixed.clone().into());
        Self {
            fixed,
            directory,
            members,
            waiting: RwLock::new(Arc::new([])),
        }
    }

    /// The edges of the configuration alone.
    pub fn fixed(edges: Vec<Arc<dyn Edge>>) -> Self {
        Self::new(edges, None)
    }

    /// Every edge that is known of now.
    pub fn members(&self) -> Arc<[Arc<dyn Edge>]> {
        Arc::clone(&self.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The names of edges that the directory named last and that no operator approved. They are
    /// not called.
    pub fn waiting(&self) -> Arc<[String]> {
        Arc::clone(&self.waiting.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the directory. While it does not answer, the edges stay the same. In a process
    /// that has just started, they are the approved ones that were listed after `since`. An edge
    /// that is found joins if it is `approved` or the configuration allows it.
    pub async fn find(&self, known: &[KnownEdge], since: Timestamp) -> Result<(), DirectoryError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let (found, result) = match directory.find().await {
            Ok(found) => (found, Ok(())),
            Err(error) if self.members().len() > self.fixed.len() => return Err(error),
            Err(error) => {
                let recent = known.iter().filter(|known| known.listed_at > since);
                let recalled = recent.filter_map(|known| directory.recall(&known.name));
                (recalled.collect(), Err(error))
            }
        };
        let is_approved = |name: &str| {
            let mut approved = known.iter().filter(|known| known.approved_at.is_some());
            approved.any(|known| known.name == name) || directory.is_allowed(name)
        };
        let (mut members, mut waiting) = (self.fixed.clone(), Vec::new());
        for edge in found {
            if members.iter().any(|member| member.name() == edge.name()) {
                continue;
            }
            if is_approved(edge.name()) {
                members.push(edge);
            } else {
                waiting.push(edge.name().to_owned());
            }
        }
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members.into();
        *self.waiting.write().unwrap_or_else(PoisonError::into_inner) = waiting.into();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_edge_says_cannot_take_over_the_operators_terminal() {
        let error = EdgeError::Unreachable {
            edge: "edge-1".into(),
            detail: format!("\u{1b}[2J{}", "x".repeat(1_000)),
        };
        let kept = problem(&error);
        assert!(
            !kept.contains('\u{1b}') && kept.chars().count() == MAX_PROBLEM,
            "{kept}"
        );
    }
}
