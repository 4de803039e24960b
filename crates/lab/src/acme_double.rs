//! An ACME server that fails on purpose.
//!
//! Pebble is the real counterpart and should be used for everything it can do. It has no rate
//! limits, never pauses a name, and cannot answer like an overloaded balancer or a broken proxy.
//! This double can. It implements just enough of RFC 8555 for a client: nonces are checked, orders
//! progress, and signatures and challenges are accepted.

mod fault;
mod protocol;
mod renewal_info;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use self::fault::{Endpoint, Fault, Reply, Suggestion};
use self::protocol::Ca;
use crate::LabError;

/// A running double. Dropping it closes its connections.
#[derive(Debug)]
pub struct AcmeDouble {
    address: SocketAddr,
    ca: Arc<Mutex<Ca>>,
    _task: JoinSet<()>,
}

impl AcmeDouble {
    /// Listens in clear on a port of 127.0.0.1.
    ///
    /// # Errors
    /// [`LabError::Io`] when no port can be bound.
    pub async fn start() -> Result<Self, LabError> {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let listener = bound.map_err(LabError::io("bind the ACME double"))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let ca = Arc::new(Mutex::new(Ca::new(format!("http://{address}"))));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::clone(&ca)));
        Ok(Self {
            address,
            ca,
            _task: task,
        })
    }

    /// The ACME directory.
    pub fn directory_url(&self) -> String {
        format!("http://{}/directory", self.address)
    }

    /// Meets the next `times` requests to `endpoint` with `fault`, after those injected before.
    pub fn inject(&self, endpoint: Endpoint, times: usize, fault: &Fault) {
        let mut ca = lock(&self.ca);
        ca.faults
            .extend(std::iter::repeat_with(|| (endpoint, fault.clone())).take(times));
    }

    /// Forgets every nonce given out, as a restarted CA does.
    pub fn forget_nonces(&self) {
        lock(&self.ca).nonces.clear();
    }

    /// Answers finalize with `processing` and this `Retry-After`, until the order is asked for
    /// again.
    pub fn issue_slowly(&self, retry_after: &str) {
        lock(&self.ca).processing = Some(retry_after.to_owned());
    }

    /// Names renewal information in the directory (RFC 9773 §3); without this the double has none.
    pub fn offer_renewal_info(&self) {
        lock(&self.ca).renewal_info.offer();
    }

    /// Knows a certificate by its identifier (RFC 9773 §4.1) and suggests this for it from now on.
    /// Only known certificates can be replaced, each once.
    pub fn suggest(&self, ari_id: &str, suggestion: Suggestion) {
        lock(&self.ca).renewal_info.suggest(ari_id, suggestion);
    }

    /// Whether an order that replaces this certificate was taken.
    pub fn is_replaced(&self, ari_id: &str) -> bool {
        lock(&self.ca).renewal_info.is_replaced(ari_id)
    }

    /// Leaves `replaces` out of the orders it is accepted in, against RFC 9773 §5.
    pub fn hide_replaces(&self) {
        lock(&self.ca).renewal_info.hide_replaces();
    }

    /// How many requests to `endpoint` were read, those met with a fault included.
    pub fn requests(&self, endpoint: Endpoint) -> usize {
        let ca = lock(&self.ca);
        ca.seen.iter().filter(|seen| **seen == endpoint).count()
    }

    /// The `User-Agent` of the last request.
    pub fn user_agent(&self) -> String {
        lock(&self.ca).user_agent.clone()
    }
}

async fn serve(listener: TcpListener, ca: Arc<Mutex<Ca>>) {
    let mut clients = JoinSet::new();
    loop {
        let Ok((mut client, _)) = listener.accept().await else {
            continue;
        };
        let ca = Arc::clone(&ca);
        clients.spawn(async move {
            let Some(request) = wire::read(&mut client).await else {
                return;
            };
            let fault = lock(&ca).answer(&request);
            // A client that goes away, even in the middle, is no concern of the server.
            let _ = wire::write(&mut client, &request, &fault).await;
        });
        while clients.try_join_next().is_some() {}
    }
}

fn lock(ca: &Mutex<Ca>) -> MutexGuard<'_, Ca> {
    ca.lock().unwrap_or_else(PoisonError::into_inner)
}
