//! The real service in virtual time, the same in every run with the same seed.
//!
//! `dps_application::run` runs with all its lanes, intake and reporter, once per replica, on one
//! [`MemoryStore`]. Around it stand [`models`]: a CA that counts as Let's Encrypt does, customers'
//! DNS, edges and a Cabinet. A [`scenario`] says what happens when. [`run()`] plays it on tokio's
//! paused clock, which jumps to the next timer whenever every task waits. [`outcome`] says whether
//! the run went well, and [`draw`] draws it. A [`drill`] plays operations instead of a scenario.
//!
//! [`MemoryStore`]: memory_store::MemoryStore

pub mod draw;
pub mod drill;
pub mod memory_store;
pub mod models;
pub mod observe;
pub mod outcome;
pub mod plan;
pub mod replica;
pub mod rows;
pub mod run;
pub mod scenario;
pub mod time;
pub mod wakes;
pub mod world;

pub use outcome::Outcome;
pub use run::{Progress, run};
pub use scenario::Scenario;
