//! The way to another party: it takes time, breaks, and loses what is sent over it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The way to one party.
#[derive(Debug, Default)]
pub struct Line {
    there_and_back: Duration,
    down: AtomicBool,
    requests_to_drop: AtomicU32,
    responses_to_drop: AtomicU32,
    responses_lost: AtomicU32,
}

impl Line {
    /// A line on which a call takes so long.
    pub fn new(there_and_back: Duration) -> Self {
        Self {
            there_and_back,
            ..Self::default()
        }
    }

    /// Whether nobody answers.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Breaks it or mends it.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// Loses the next request on its way there: it has no effect.
    pub fn drop_request(&self) {
        self.requests_to_drop.fetch_add(1, Ordering::Relaxed);
    }

    /// Loses the next answer on its way back: the request had its effect.
    pub fn drop_response(&self) {
        self.responses_to_drop.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers lost so far.
    pub fn responses_lost(&self) -> u64 {
        self.responses_lost.load(Ordering::Relaxed).into()
    }

    /// Loses nothing any more, and is up.
    pub fn mend(&self) {
        self.set_down(false);
        self.requests_to_drop.store(0, Ordering::Relaxed);
        self.responses_to_drop.store(0, Ordering::Relaxed);
    }

    /// One call: `effect` happens at the far end in the middle of it. `None` when the caller gets
    /// no answer.
    pub async fn call<T>(&self, effect: impl FnOnce() -> T) -> Option<T> {
        self.half_way().await;
        if self.is_down() || take(&self.requests_to_drop) {
            return None;
        }
        let answer = effect();
        self.half_way().await;
        if take(&self.responses_to_drop) {
            self.responses_lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(answer)
    }

    async fn half_way(&self) {
        if !self.there_and_back.is_zero() {
            tokio::time::sleep(self.there_and_back / 2).await;
        }
    }
}

fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}
