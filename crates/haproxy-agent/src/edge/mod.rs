//! One HAProxy and what it shall serve: the only writer to both the disk and the Runtime API.
//!
//! HAProxy has one certificate transaction per process, whoever opened it, and version 2.6.12 publishes one certificate under
//! another's name when two overlap. So everything that changes certificates goes through one task ([`writer`]), which owns the
//! [`Edge`] and works one job after the other. The disk is the truth: [`repair`] brings HAProxy in line with it after a restart.

mod apply;
mod install;
mod refusal;
mod remove;
mod repair;
mod state;
pub(crate) mod writer;

use std::sync::Arc;

pub(crate) use refusal::{Refusal, parse_request};
pub(crate) use state::{Shared, View};
pub(crate) use writer::EdgeHandle;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::handshake::Prober;
use crate::metrics::Metrics;
use crate::runtime_api::{Process, RuntimeApi, StoreName};

/// The process we know, and the mark that we left in its memory.
#[derive(Debug, Clone)]
struct Known {
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
    /// `None` until HAProxy's memory has been brought in line with the disk, and again as soon as that is in doubt.
    known: Option<Known>,
}

impl Edge {
    #[expect(clippy::too_many_arguments, reason = "called once, from the wiring")]
    pub(crate) fn new(
        disk: Disk,
        runtime: RuntimeApi,
        prober: Prober,
        shared: Arc<Shared>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        max_certificates: usize,
    ) -> Self {
        Self {
            disk,
            runtime,
            prober,
            shared,
            metrics,
            clock,
            max_certificates,
            known: None,
        }
    }

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

    /// Rewrites the crt-list from the inventory.
    async fn write_list(&self) -> Result<(), DiskError> {
        let hostnames: Vec<_> = self.shared.view().held.keys().cloned().collect();
        self.on_disk(move |disk| disk.write_list(hostnames.iter())).await
    }
}
