//! Carries wakes to the other replicas and back.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use crate::ports::{Randomness, WakeChannel};
use crate::wake::Waker;

/// How long wakes are gathered before they are sent: a burst of commits is one message.
const GATHERING: Duration = Duration::from_millis(50);
/// The pause between two tries to receive from the others.
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
};

/// Notifies the other replicas of work that became due here, until `drained`. Then it sends the
/// others, so that they take up the work of a stopping replica at once.
pub(crate) async fn announce(waker: Waker, drained: CancellationToken) {
    let Some(channel) = waker.channel() else {
        return;
    };
    loop {
        tokio::select! {
            biased;
            () = drained.cancelled() => break,
            () = waker.something_unsent() => {}
        }
        tokio::select! {
            biased;
            () = drained.cancelled() => break,
            () = tokio::time::sleep(GATHERING) => {}
        }
        send_signals(&waker, &*channel).await;
    }
    send_signals(&waker, &*channel).await;
}

/// A signal that cannot be sent is dropped, since the others poll as well.
async fn send_signals(waker: &Waker, channel: &dyn WakeChannel) {
    let signals = waker.take_unsent();
    if signals.is_empty() {
        return;
    }
    if let Err(error) = channel.announce(&signals).await {
        tracing::debug!(error = %with_causes(&error), "wake_signals.send_failed");
    }
}

/// Notifies the signals that other replicas name, until `shutdown`. Where the others cannot be
/// heard, workers poll by themselves.
pub(crate) async fn listen(
    waker: Waker,
    randomness: Arc<dyn Randomness>,
    shutdown: CancellationToken,
) {
    let Some(channel) = waker.channel() else {
        return;
    };
    let mut failures = 0;
    while !shutdown.is_cancelled() {
        let pause = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            heard = channel.heard() => match heard {
                Ok(signals) => {
                    failures = 0;
                    for signal in signals {
                        waker.notify(signal);
                    }
                    continue;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = %with_causes(&error), "wake_signals.receive_failed");
                    BACKOFF.delay(failures, randomness.unit())
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use dps_domain::phase::Lane;
    use tokio::sync::Mutex;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;
    use crate::ports::WakeSignal;
    use crate::ports::store::StoreError;

    struct Zero;

    impl Randomness for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    /// Two replicas that hear each other, but the first word is lost to a fault.
    struct Line {
        to: UnboundedSender<Vec<WakeSignal>>,
        from: Mutex<UnboundedReceiver<Vec<WakeSignal>>>,
        faults: std::sync::Mutex<u32>,
    }

    fn line(faults: u32) -> [Arc<Line>; 2] {
        let ((to_b, from_a), (to_a, from_b)) = (unbounded_channel(), unbounded_channel());
        [(to_b, from_b), (to_a, from_a)].map(|(to, from)| {
            Arc::new(Line {
                to,
                from: Mutex::new(from),
                faults: faults.into(),
            })
        })
    }

    #[async_trait]
    impl WakeChannel for Line {
        async fn announce(&self, signals: &[WakeSignal]) -> Result<(), StoreError> {
            self.to.send(signals.to_vec()).unwrap();
            Ok(())
        }

        async fn heard(&self) -> Result<Vec<WakeSignal>, StoreError> {
            if let Some(left) = { self.faults.lock().unwrap().checked_sub(1) } {
                *self.faults.lock().unwrap() = left;
                return Err(StoreError::LeaseLost);
            }
            Ok(self.from.lock().await.recv().await.unwrap())
        }
    }

    const ISSUANCE: WakeSignal = WakeSignal::Lane(Lane::Issuance);

    #[tokio::test(start_paused = true)]
    async fn a_worker_of_another_replica_is_woken_also_after_the_line_was_out_of_order() {
        let [ours, theirs] = line(3).map(|line| Waker::shared(line));
        let stop = CancellationToken::new();
        let listener = tokio::spawn(listen(theirs.clone(), Arc::new(Zero), stop.clone()));
        let announcer = tokio::spawn(announce(ours.clone(), stop.clone()));
        ours.notify_all(ISSUANCE);
        ours.wait(ISSUANCE).await;
        theirs.wait(ISSUANCE).await;
        stop.cancel();
        listener.await.unwrap();
        announcer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_message_and_unsent_signals_follow_at_the_end() {
        let [ours, theirs] = line(0);
        let waker = Waker::shared(ours);
        let drained = CancellationToken::new();
        let announcer = tokio::spawn(announce(waker.clone(), drained.clone()));
        for _ in 0..100 {
            waker.notify_all(ISSUANCE);
            waker.notify_all(WakeSignal::Reporter);
        }
        assert_eq!(
            theirs.heard().await.unwrap(),
            [ISSUANCE, WakeSignal::Reporter]
        );
        waker.notify_all(ISSUANCE);
        drained.cancel();
        announcer.await.unwrap();
        assert_eq!(theirs.heard().await.unwrap(), [ISSUANCE]);
        assert!(theirs.from.lock().await.try_recv().is_err());
    }
}
