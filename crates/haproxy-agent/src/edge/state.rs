//! What the writer knows and everybody may read.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dps_agent_api::HaproxyHealth;
use dps_domain::{Hostname, Timestamp};

use crate::disk::Held;

/// The inventory and the state of HAProxy. Only the writer's task changes it.
#[derive(Debug, Default)]
pub(crate) struct Shared(RwLock<View>);

/// A consistent view.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Every certificate on disk.
    pub(crate) held: BTreeMap<Hostname, Held>,
    /// What HAProxy said when last asked.
    pub(crate) haproxy: HaproxyHealth,
    /// Whether HAProxy serves what is on disk, as far as we know.
    pub(crate) in_sync: bool,
    /// When that was last made so.
    pub(crate) last_repair_at: Option<Timestamp>,
    /// Files set aside.
    pub(crate) quarantined: u64,
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
