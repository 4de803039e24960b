//! The fleet as operators ask for it: the state of every record, filters, and places in lists.
//!
//! Everything here follows from a record alone, so that a store can keep it in columns and a test
//! can compare both.

mod filter;
mod filter_parts;
mod filter_text;
mod place;
mod plan;
mod state;

pub use filter::{DomainFilter, EdgeFilter, NameFilter};
pub use filter_parts::FilterParts;
pub use filter_text::{FilterError, FilterText};
pub use place::{Leading, Place, PlaceError};
pub use plan::{ListOrder, ListPlan, PlaceRange};
pub use state::{DomainState, StateCount, UnknownState};
