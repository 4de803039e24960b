//! The outside of the service, as traits: one module per party.

pub mod ca;
pub mod cabinet;
pub mod dns;
pub mod edge;
pub mod fleet;
pub mod fleet_view;
pub mod metrics;
pub mod pki;
pub mod probe;
pub mod renewal_info;
pub mod requests;
pub mod store;
pub mod sync;
pub mod time;
pub mod vault;
pub mod wakes;
pub mod webhooks;

pub use ca::CertificateAuthority;
pub use cabinet::Cabinet;
pub use dns::{AuthoritativeDns, DnsResolver};
pub use edge::{Edge, EdgeDirectory};
pub use fleet::FleetStore;
pub use fleet_view::FleetView;
pub use metrics::{CabinetEvent, Metrics};
pub use pki::Pki;
pub use probe::HttpProbe;
pub use renewal_info::RenewalInfoStore;
pub use requests::RequestTokens;
pub use store::CertificateStore;
pub use sync::SyncStore;
pub use time::{Clock, Randomness};
pub use vault::Vault;
pub use wakes::{WakeChannel, WakeSignal};
