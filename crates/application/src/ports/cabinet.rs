//! The Cabinet: source of truth for which custom domains exist.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::{DomainId, Status};

pub use dps_domain::record::StatusReport;
pub use dps_domain::record::names::CabinetDomain;

/// A page of domains.
#[derive(Debug, Clone, Default)]
pub struct CabinetPage {
    /// The domains.
    pub domains: Vec<CabinetDomain>,
    /// Items that cannot be used.
    pub refused: Vec<RefusedItem>,
    /// Where the next page starts; `None` at the end of a listing.
    pub next: Option<String>,
}

/// An item of a page that cannot be used. All texts are short and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedItem {
    /// The beginning of its `id`; empty when it has none that is text.
    pub id: String,
    /// The field at fault, by its name on the wire.
    pub field: &'static str,
    /// The beginning of its value, as JSON.
    pub value: String,
    /// The reason why it cannot be used.
    pub reason: String,
}

/// The Cabinet's answer to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportAnswer {
    /// Taken.
    Accepted {
        /// The domain's version after the report; `None` when the answer has none.
        version: Option<u64>,
        /// Whether the answer's domain shows the TXT record that the report carried; `None` if the
        /// report carried none, or the answer has no domain.
        keeps_proof: Option<bool>,
    },
    /// The version moved (409, or 412 as RFC 9110 §13.1.1 has it): the customer did something
    /// meanwhile.
    VersionMoved,
    /// The Cabinet says that it has no such domain: 404 or 410 with the code `NOT_FOUND`.
    Gone,
    /// The Cabinet's domain cannot go from its status to the reported one (422). Sent again, it
    /// would be refused again.
    IllegalMove {
        /// The Cabinet's reason.
        detail: String,
    },
    /// The Cabinet cannot take what the report says beside the status (422 for a field, 413, 400
    /// for the body).
    ContentRefused {
        /// The Cabinet's reason.
        detail: String,
    },
}

/// How far a fault of the Cabinet reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CabinetFault {
    /// No server answers, or no call is allowed at present: any other call would fare the same.
    Away,
    /// This call failed; another need not.
    Call,
    /// Our own machine could not call: no descriptor, no memory, no route. Says nothing about the
    /// Cabinet.
    Local,
    /// The cursor of the call is not known there: it was restored from a backup, say.
    CursorUnknown,
}

impl CabinetFault {
    const fn as_text(self) -> &'static str {
        match self {
            Self::Away => "the Cabinet does not answer",
            Self::Call => "the Cabinet refused the call",
            Self::CursorUnknown => "the Cabinet does not know the cursor of the feed",
            Self::Local => "our own machine could not call the Cabinet",
        }
    }
}

/// The Cabinet could not be called or understood. Always ours to wait out, never a domain's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", fault.as_text())]
pub struct CabinetError {
    /// How far the fault reaches.
    pub fault: CabinetFault,
    /// The error in words.
    pub detail: String,
    /// The pause before the next call that it requested.
    pub retry_after: Option<Duration>,
}

/// The Cabinet API, contract v1.
#[async_trait]
pub trait Cabinet: Send + Sync {
    /// Domains in one status, page by page.
    async fn list(&self, status: Status, cursor: Option<&str>)
    -> Result<CabinetPage, CabinetError>;

    /// Changed domains after `cursor` in order; waits up to `wait` for one. `None` when the feed is
    /// not offered (404, 501); the error is [`CabinetFault::CursorUnknown`] when the feed must be
    /// read from its start.
    async fn changes(
        &self,
        cursor: Option<&str>,
        wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError>;

    /// One domain; `None` when it is gone.
    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError>;

    /// Reports a status, guarded by `version`. Idempotent.
    async fn report(
        &self,
        id: DomainId,
        version: u64,
        report: &StatusReport,
    ) -> Result<ReportAnswer, CabinetError>;
}
