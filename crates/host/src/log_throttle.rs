//! Bounds on the log lines of one kind, so that a flood does not fill the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time between two lines of one kind.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    /// Events since the last line.
    count: u64,
    logged_at: Option<Instant>,
}

impl LogThrottle {
    /// Counts an event; the number of events since the last line, when a line is due.
    pub(crate) fn is_due(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.logged_at.is_some_and(|last| now - last < LOG_INTERVAL) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

/// Locks what stays whole although another thread panicked over it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_once_in_a_while_with_its_count() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        assert_eq!(throttle.is_due(start), Some(1));
        assert_eq!(throttle.is_due(start), None);
        assert_eq!(throttle.is_due(start + LOG_INTERVAL / 2), None);
        assert_eq!(throttle.is_due(start + LOG_INTERVAL), Some(3));
        assert_eq!(throttle.is_due(start + LOG_INTERVAL * 2), Some(1));
    }
}
