//! The term of a lease, and its clock.
//!
//! Replicas judge each other's leases, so none may use its own machine's clock. A clock that jumps
//! would take over leases of others, or lose its own. On PostgreSQL the server's clock decides,
//! inside the statement. On SQLite it is a monotonic clock of the process.

use std::time::Duration;

use dps_domain::Timestamp;

use crate::connect::Store;

/// The term of leases that begin now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    /// The present moment, where the server does not return it.
    pub(crate) now: Option<Timestamp>,
    /// How long, in microseconds.
    pub(crate) micros: u64,
}

impl Store {
    pub(crate) fn term(&self, ttl: Duration) -> Term {
        let by_server = self.database.postgres().is_some() && self.server_time;
        Term {
            now: (!by_server).then(|| self.steady.now()),
            micros: u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// The present moment of leases in a statement for PostgreSQL; `$given` is [`Term::now`].
macro_rules! lease_now {
    ($given:literal) => {
        concat!(
            "COALESCE(CAST(",
            $given,
            " AS BIGINT), CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT))"
        )
    };
}
pub(crate) use lease_now;
