//! Wire types of an operator's questions, one for each noun.
//!
//! The commands print them with `--json`. Fields are in camel case, times are text as in RFC 3339,
//! and a field that is `null` has no value. Readers ignore fields that they do not know.

mod counts;
mod domain;

pub use counts::{Cause, Count, CountBy, CountGroup, Fleet, StatusCount};
pub use domain::{Claim, Domain, DomainDetail, EdgeDeployment, HistoryLine, Renewal};
