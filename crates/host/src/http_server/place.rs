//! The places of a listener's open connections.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::ServerLimits;
use super::register::{Peer, Register, Stage};
use crate::log_throttle::{LogThrottle, lock};

/// The open connections of a listener.
#[derive(Clone)]
pub(super) struct Connections {
    /// One for each open connection, so that their number is bounded whatever the register says.
    pub(super) permits: Arc<Semaphore>,
    register: Arc<Mutex<Register>>,
    evictions: Arc<Mutex<LogThrottle>>,
    pub(super) refusals: Arc<Mutex<LogThrottle>>,
}

impl Connections {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.connections)),
            register: Arc::new(Mutex::new(Register::new(limits.bounds()))),
            evictions: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// A place for a new connection, or `None` when its client has as many requests under way as it
    /// may have connections.
    pub(super) fn admit(&self, client: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let admitted = lock(&self.register).admit(Peer::from(client.ip()));
        if admitted.as_ref().is_none_or(|admitted| admitted.made_room) {
            let count = lock(&self.evictions).is_due(Instant::now());
            if let Some(count) = count {
                tracing::warn!(
                    client = %client.ip(),
                    count,
                    "http.connections_closed"
                );
            }
        }
        let admitted = admitted?;
        Some(Place {
            register: Arc::clone(&self.register),
            id: admitted.id,
            evicted: admitted.evicted,
            made_room: admitted.made_room,
            _permit: permit,
        })
    }
}

/// One connection's place in the register; dropping it gives the place back.
pub(super) struct Place {
    register: Arc<Mutex<Register>>,
    id: u64,
    pub(super) evicted: CancellationToken,
    pub(super) made_room: bool,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn set_stage(&self, stage: Stage) {
        lock(&self.register).set_stage(self.id, stage);
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        lock(&self.register).stage(self.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.register).remove(self.id);
    }
}

/// A request under way; its connection is not evicted meanwhile.
pub(super) struct UnderWay(Arc<Place>);

impl UnderWay {
    pub(super) fn begin(place: &Arc<Place>) -> Self {
        place.set_stage(Stage::Busy);
        Self(Arc::clone(place))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set_stage(Stage::Idle);
    }
}
