//! One HAProxy and what it shall serve: the only writer to both the disk and the Runtime API.
//!
//! HAProxy has one certificate transaction per process for all clients, and version 2.6.12
//! publishes one certificate under another's name when two overlap. So everything that changes
//! certificates goes through one task ([`writer`]), which owns the [`Edge`] and works what is
//! waiting, one burst after the other. The disk is the truth: [`repair`] brings HAProxy in line
//! with it after a restart.

mod apply;
mod candidate;
mod catch_up;
mod install;
mod refusal;
mod reload;
mod remove;
mod repair;
mod state;
mod verify_disk;
mod watch;
pub(crate) mod writer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use candidate::Candidate;
pub(crate) use refusal::{Refusal, parse_request};
pub(crate) use remove::Removal;
pub(crate) use state::{Shared, View};
pub(crate) use writer::{EdgeHandle, Rounds};

use dps_domain::Hostname;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError, Tombstones};
use crate::handshake::Prober;
use crate::metrics::Metrics;
use crate::runtime_api::{Process, RuntimeApi, StoreName};

/// The process we know, and the mark that we left in its memory.
#[derive(Debug, Clone)]
struct KnownProcess {
    process: Process,
    sentinel: StoreName,
}

/// The state of the writer's task.
pub(crate) struct Edge {
    disk: Disk,
    runtime: RuntimeApi,
    prober: Prober,
    shared: Arc<Shared>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    max_certificates: usize,
    reload_grace: Duration,
    reload_timeout: Duration,
    removed: Tombstones,
    /// `None` until HAProxy's memory has been brought in line with the disk, and again as soon as
    /// that is marked unsynced.
    known: Option<KnownProcess>,
    /// Certificates that HAProxy lacks and that are restored between jobs.
    pending_restore: VecDeque<Hostname>,
    /// The process that answered last.
    seen: Option<Process>,
}

/// The parts of an [`Edge`].
pub(crate) struct Parts {
    pub(crate) disk: Disk,
    pub(crate) runtime: RuntimeApi,
    pub(crate) prober: Prober,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_certificates: usize,
    pub(crate) reload_grace: Duration,
    pub(crate) reload_timeout: Duration,
    /// Recent removals.
    pub(crate) removed: Tombstones,
}

impl From<Parts> for Edge {
    fn from(parts: Parts) -> Self {
        Self {
            disk: parts.disk,
            runtime: parts.runtime,
            prober: parts.prober,
            shared: parts.shared,
            metrics: parts.metrics,
            clock: parts.clock,
            max_certificates: parts.max_certificates,
            reload_grace: parts.reload_grace,
            reload_timeout: parts.reload_timeout,
            removed: parts.removed,
            known: None,
            pending_restore: VecDeque::new(),
            seen: None,
        }
    }
}

impl Edge {
    /// Runs a blocking file operation away from the tasks that serve.
    async fn on_disk<T, F>(&self, operation: F) -> Result<T, DiskError>
    where
        T: Send + 'static,
        F: FnOnce(&Disk) -> Result<T, DiskError> + Send + 'static,
    {
        let disk = self.disk.clone();
        match tokio::task::spawn_blocking(move || operation(&disk)).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Rewrites the crt-list from the inventory, after all else on the disk has changed: a process
    /// that opens it from now on finds the changes.
    async fn renew_list(&self) -> Result<(), DiskError> {
        let text = self.shared.view().held.crt_list();
        self.on_disk(move |disk| disk.renew_list(&text)).await
    }
}

/// The span of one certificate's job: a line that is logged in it belongs to this hostname.
fn job_span(hostname: &Hostname) -> tracing::Span {
    tracing::info_span!("job", domain.hostname = %hostname)
}

/// The span of a burst. A burst of one job names its hostname.
fn burst_span<'a>(mut hostnames: impl ExactSizeIterator<Item = &'a Hostname>) -> tracing::Span {
    match (hostnames.len(), hostnames.next()) {
        (1, Some(hostname)) => job_span(hostname),
        (jobs, _) => tracing::info_span!("burst", jobs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(span: &tracing::Span) -> Vec<&'static str> {
        let fields = span.metadata().unwrap().fields();
        fields.iter().map(|field| field.name()).collect()
    }

    #[test]
    fn a_burst_of_one_job_names_its_hostname() {
        let subscriber = tracing_subscriber::registry();
        tracing::subscriber::with_default(subscriber, || {
            let hostname = |text| Hostname::parse(text).unwrap();
            let (one, two) = (hostname("a.example.com"), hostname("b.example.com"));
            assert_eq!(names(&burst_span([&one].into_iter())), ["domain.hostname"]);
            assert_eq!(names(&burst_span([&one, &two].into_iter())), ["jobs"]);
        });
    }
}
