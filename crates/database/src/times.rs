//! The durations of work in a database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// A part of the work in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The wait for a connection, and for the beginning of a transaction.
    Connect,
    /// One or several reads on a connection.
    Read,
    /// Statements that write, each in a transaction of its own.
    Write,
    /// A transaction from its beginning to its end, committed or not.
    Transaction,
}

impl Operation {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Read, Self::Write, Self::Transaction];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Read => "read",
            Self::Write => "write",
            Self::Transaction => "transaction",
        }
    }
}

/// Takes the durations of work in a database.
pub trait OperationTimes: Send + Sync {
    /// A part of the work took this long.
    fn took(&self, operation: Operation, took: Duration);
}

/// The receiver of the durations, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(pub(crate) Option<Arc<dyn OperationTimes>>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "observed"
        } else {
            "unobserved"
        })
    }
}

impl Observer {
    /// Measures from now until the timer is dropped.
    pub(crate) fn begin(&self, operation: Operation) -> Option<Timer> {
        let times = Arc::clone(self.0.as_ref()?);
        Some(Timer {
            times,
            operation,
            begun: Instant::now(),
        })
    }
}

/// A measurement under way.
pub(crate) struct Timer {
    times: Arc<dyn OperationTimes>,
    operation: Operation,
    begun: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.times.took(self.operation, self.begun.elapsed());
    }
}
