//! Repeated TLS handshakes, to prove that clients do not notice a change at an edge.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::task::JoinHandle;

use super::client::client_config;
use super::leaf::handshake;
use crate::{LabError, wait};

/// Results of the handshakes so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandshakeReport {
    /// Handshakes that succeeded.
    pub successes: u64,
    /// Handshakes that failed.
    pub failures: u64,
    /// Why the last failed handshake failed.
    pub last_failure: Option<String>,
    /// Fingerprints of the leaves seen (SHA-256, hexadecimal), each once, in the order of first
    /// sight.
    pub fingerprints: Vec<String>,
}

/// Full TLS handshakes with one name at one address, one after another, until dropped or stopped.
#[derive(Debug)]
pub struct HandshakeWatcher {
    report: Arc<Mutex<HandshakeReport>>,
    task: JoinHandle<()>,
}

impl HandshakeWatcher {
    /// Begins; `pause` lies between the end of one handshake and the start of the next.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when `root_pem` holds no usable certificate.
    pub fn start(
        address: SocketAddr,
        host: &str,
        root_pem: &str,
        pause: Duration,
    ) -> Result<Self, LabError> {
        let config = client_config(root_pem)?;
        let report = Arc::new(Mutex::new(HandshakeReport::default()));
        let task = tokio::spawn(watch(
            address,
            host.to_owned(),
            config,
            pause,
            Arc::clone(&report),
        ));
        Ok(Self { report, task })
    }

    /// Returns the results so far.
    pub fn report(&self) -> HandshakeReport {
        lock(&self.report).clone()
    }

    /// Waits until the report satisfies `condition`, for example that `n` more handshakes were
    /// made.
    ///
    /// # Errors
    /// [`LabError::TimedOut`] with `what` when `bound` passed.
    pub async fn wait_until(
        &self,
        what: &str,
        bound: Duration,
        condition: impl Fn(&HandshakeReport) -> bool,
    ) -> Result<HandshakeReport, LabError> {
        wait::until(what, bound, || {
            let report = self.report();
            std::future::ready(condition(&report).then_some(report))
        })
        .await
    }

    /// Ends the handshakes; one under way is not counted.
    pub fn stop(self) -> HandshakeReport {
        self.task.abort();
        self.report()
    }
}

impl Drop for HandshakeWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(
    address: SocketAddr,
    host: String,
    config: Arc<ClientConfig>,
    pause: Duration,
    report: Arc<Mutex<HandshakeReport>>,
) {
    loop {
        let outcome = handshake(address, &host, &config).await;
        lock(&report).record(outcome.map(|(_, leaf)| leaf.fingerprint));
        tokio::time::sleep(pause).await;
    }
}

impl HandshakeReport {
    fn record(&mut self, outcome: Result<String, LabError>) {
        match outcome {
            Ok(fingerprint) => {
                self.successes += 1;
                if !self.fingerprints.contains(&fingerprint) {
                    self.fingerprints.push(fingerprint);
                }
            }
            Err(error) => {
                self.failures += 1;
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                self.last_failure = Some(format!("{error}{}", cause.unwrap_or_default()));
            }
        }
    }
}

fn lock(report: &Mutex<HandshakeReport>) -> MutexGuard<'_, HandshakeReport> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
