//! The real service in virtual time, the same in every run with the same seed.
//!
//! What runs is `dps_application::run` with all its lanes, intake and reporter, once per replica,
//! on one [`MemoryStore`]. What stands around it are models: a CA that counts as Let's Encrypt does
//! ([`ca`], [`ca_limits`]), customers' DNS ([`dns`]), edges ([`edges`]) and a Cabinet
//! ([`cabinet`]). A [`scenario`] says what happens when; [`run()`] lets it happen on tokio's paused
//! clock, which leaps to the next timer whenever nobody has anything to do; [`outcome`] says
//! whether it went well, and [`draw`] draws it.
//!
//! [`MemoryStore`]: memory_store::MemoryStore

pub mod ca;
pub mod ca_limits;
pub mod cabinet;
pub mod chart;
pub mod dns;
pub mod draw;
pub mod drill;
pub mod edges;
pub mod line;
pub mod memory_store;
pub mod names;
pub mod observe;
pub mod outcome;
pub mod pki;
pub mod plan;
pub mod replica;
pub mod run;
pub mod scenario;
mod spans;
pub mod time;
pub mod wakes;
pub mod world;

pub use outcome::Outcome;
pub use run::{Progress, run};
pub use scenario::Scenario;
