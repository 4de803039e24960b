//! Puts ended spans into the queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::Notify;

use crate::queue::Queue;
use crate::sender::BATCH;

/// The queue between the spans and the task that sends them.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    queue: Mutex<Queue<SpanData>>,
    /// Notified when a whole batch waits.
    pub(crate) full: Notify,
}

impl Shared {
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue<SpanData>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct ToQueue(pub(crate) Arc<Shared>);

impl SpanProcessor for ToQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let mut queue = self.0.queue();
        queue.push(span);
        if queue.len() >= BATCH {
            self.0.full.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    // The task that sends has its own end.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
