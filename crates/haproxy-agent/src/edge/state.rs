//! The state that the writer owns and every handler may read.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dps_agent_api::{CertificateState, HaproxyHealth};
use dps_domain::{Hostname, Timestamp};

use crate::disk::Inventory;
use crate::runtime_api::StoreName;

/// The inventory and the state of HAProxy. Only the writer's task changes it.
#[derive(Debug, Default)]
pub(crate) struct Shared(RwLock<View>);

/// A consistent view.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Every certificate on disk.
    pub(crate) held: Inventory,
    /// Those of them that HAProxy refused when they should have been brought back.
    pub(crate) not_served: BTreeSet<Hostname>,
    /// Certificates whose file was lost or damaged under our feet. HAProxy serves them from its
    /// memory until the service sends new ones; they are not held any more.
    pub(crate) orphans: BTreeSet<StoreName>,
    /// HAProxy's last answer.
    pub(crate) haproxy: HaproxyHealth,
    /// Whether HAProxy serves what is on disk, as far as we know.
    pub(crate) in_sync: bool,
    /// When that was last made so.
    pub(crate) last_repair_at: Option<Timestamp>,
    /// Files set aside.
    pub(crate) quarantined: u64,
}

impl View {
    /// Whether HAProxy serves a certificate that is held.
    pub(crate) fn state_of(&self, hostname: &Hostname) -> CertificateState {
        if self.not_served.contains(hostname) {
            CertificateState::NotServed
        } else if self.is_compared() {
            CertificateState::Served
        } else {
            CertificateState::Unknown
        }
    }

    /// Whether HAProxy answers and all that is wrong with it is known by name.
    pub(crate) fn is_compared(&self) -> bool {
        self.haproxy.reachable && (self.in_sync || !self.not_served.is_empty())
    }
}

impl Shared {
    /// Reads; never hold the guard across an await.
    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes; never hold the guard across an await.
    pub(super) fn change(&self) -> RwLockWriteGuard<'_, View> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A state to begin with.
    pub(crate) fn new(view: View) -> Self {
        Self(RwLock::new(view))
    }
}
