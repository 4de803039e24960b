//! Wakes workers early. An optimisation: the periodic pass is what makes the service correct.

use std::sync::Arc;

use dps_domain::phase::Lane;
use tokio::sync::Notify;

/// One bell per lane and one for the reporter.
#[derive(Debug, Clone, Default)]
pub struct Wakers {
    lanes: Arc<[Notify; Lane::ALL.len()]>,
    reporter: Arc<Notify>,
}

impl Wakers {
    /// Something became due in a lane.
    pub fn wake(&self, lane: Lane) {
        self.bell(lane).notify_one();
    }

    /// A report was put into the outbox.
    pub fn wake_reporter(&self) {
        self.reporter.notify_one();
    }

    /// Waits for [`wake`](Self::wake).
    pub async fn woken(&self, lane: Lane) {
        self.bell(lane).notified().await;
    }

    /// Waits for [`wake_reporter`](Self::wake_reporter).
    pub async fn reporter_woken(&self) {
        self.reporter.notified().await;
    }

    fn bell(&self, lane: Lane) -> &Notify {
        let index = match lane {
            Lane::Verification => 0,
            Lane::HttpProbe => 1,
            Lane::Issuance => 2,
            Lane::Renewal => 3,
            Lane::Removal => 4,
            Lane::Recheck => 5,
        };
        &self.lanes[index]
    }
}
