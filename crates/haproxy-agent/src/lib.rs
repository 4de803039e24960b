//! The HAProxyDomainAgent: a sidecar that applies certificates to one HAProxy through its Runtime
//! API, without a reload.
//!
//! The service sends a certificate over HTTP ([`dps_agent_api`]). The agent checks it and writes it
//! durably to a folder that HAProxy does not read yet. It installs it over HAProxy's
//! [`runtime_api`] and reads the result back. Then it makes a TLS handshake to see the presented
//! certificate. Only then it puts the file where the crt-list finds it. It answers "applied" when
//! no reload that began before can bring a worker without the certificate. Whatever fails before
//! the publication, the certificate before is still served and on disk. Certificates that wait are
//! worked together, many in a burst.
//!
//! The directory on disk is the truth and always one that a fresh HAProxy starts with. The agent
//! notices when HAProxy was restarted, compares and repairs. It also answers HTTP-01 challenges
//! through HAProxy.
//!
//! Host it with [`run`], or with [`Agent::bind`] and [`Agent::serve`] where the bound address
//! matters.

mod agent;
mod challenges;
mod clock;
pub mod crash_point;
mod disk;
mod edge;
mod handshake;
mod http;
mod metrics;
mod random;
pub mod runtime_api;
mod settings;

pub use agent::{Agent, AgentError, run};
pub use clock::{Clock, SystemClock};
pub use disk::DiskError;
#[cfg(feature = "fuzzing")]
pub use http::fuzzing;
pub use http::openapi_document;
pub use settings::tls::Tls;
pub use settings::{Settings, SettingsError};
