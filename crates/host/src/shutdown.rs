//! When to stop: SIGTERM and SIGINT.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit;

/// A token that is cancelled at the first SIGTERM or SIGINT: drain, then exit. At a second signal
/// the process ends at once with 143 (SIGTERM) or 130 (SIGINT), whatever is still under way. Must
/// be called inside a tokio runtime.
pub fn token() -> io::Result<CancellationToken> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let first = signals.next().await;
        tracing::info!(signal = first.name, "process.draining");
        stop.cancel();
        let second = signals.next().await;
        tracing::warn!(signal = second.name, "process.killed");
        std::process::exit(second.exit_code);
    });
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// One of the two signals with the exit code that shells give to a process ended by it.
struct Received {
    name: &'static str,
    exit_code: i32,
}

impl Signals {
    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received { name: "SIGTERM", exit_code: exit::TERMINATED },
            _ = self.interrupt.recv() => Received { name: "SIGINT", exit_code: exit::INTERRUPTED },
        }
    }
}
