//! Keeps requests to the CA within its rates, and holds them back while the CA asks us to wait.
//!
//! Tokens come in small chunks from the ledger that all replicas share, and are spent here. The
//! remainder of a chunk is discarded after a moment: it was counted then, and the CA would see it
//! now. Without a limit, the ledger is not called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_application::ports::Clock;
use dps_application::ports::requests::RequestTokens;
use dps_domain::limits::{Endpoint, Limit, LimitKind};
use dps_domain::{Purpose, Timestamp, Until, with_causes};

/// How long tokens are worth something, and how much time a chunk lasts at the full rate.
const CHUNK_LIFE: Duration = Duration::from_millis(100);
/// A request waits so long for its token; beyond, its step gives the record back.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time for which this process goes by what it remembers of a wait. After that it asks
/// the ledger, where an operator may have lifted it, or the CA.
const REMEMBERED: Duration = Duration::from_secs(60);

/// No request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// Come again then.
    Until(Until),
    /// The ledger cannot be read.
    Unknown(String),
}

/// The remainder of the last chunk, and the time until which the CA asks us to wait.
#[derive(Debug, Clone, Copy, Default)]
struct Desk {
    left: u32,
    worth_until: Timestamp,
    quiet_until: Timestamp,
    /// The ledger had nothing, and will have something then.
    empty_until: Timestamp,
}

/// One per way to a CA.
pub(super) struct Pacer {
    tokens: Option<Arc<dyn RequestTokens>>,
    clock: Arc<dyn Clock>,
    desks: Mutex<HashMap<Endpoint, Desk>>,
    /// One request fetches a chunk, and the others wait for it instead of fetching one each.
    fetching: tokio::sync::Mutex<()>,
}

enum Found {
    Token,
    Quiet(Until),
    Nothing,
}

impl Pacer {
    pub(super) fn new(tokens: Option<Arc<dyn RequestTokens>>, clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens,
            clock,
            desks: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for this request's turn.
    pub(super) async fn admit(&self, endpoint: Endpoint) -> Result<(), Held> {
        let limit = self
            .tokens
            .as_ref()
            .map_or(Limit::NONE, |tokens| tokens.limit(endpoint));
        let ends = self.clock.now() + TIMEOUT;
        loop {
            match self.find(endpoint, limit.is_none()) {
                Found::Token => return Ok(()),
                Found::Quiet(until) => return Err(Held::Until(until)),
                Found::Nothing => {}
            }
            let next_at = self.fetch(endpoint, &limit).await?;
            let now = self.clock.now();
            if next_at > ends {
                return Err(Held::Until(Until::named(next_at, now, Purpose::Limit)));
            }
            tokio::time::sleep(next_at.since(now)).await;
        }
    }

    fn find(&self, endpoint: Endpoint, free: bool) -> Found {
        let now = self.clock.now();
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks.entry(endpoint).or_default();
        if desk.quiet_until > now {
            return Found::Quiet(Until::named(desk.quiet_until, now, Purpose::Limit));
        }
        if free {
            return Found::Token;
        }
        // A clock that went back must not make old tokens worth something.
        let worth = desk.worth_until > now && desk.worth_until <= now + CHUNK_LIFE;
        if desk.left == 0 || !worth {
            return Found::Nothing;
        }
        desk.left -= 1;
        Found::Token
    }

    /// Has a chunk fetched, by this request or another one; returns the time of the next try.
    async fn fetch(&self, endpoint: Endpoint, limit: &Limit) -> Result<Timestamp, Held> {
        let Some(tokens) = &self.tokens else {
            return Ok(self.clock.now());
        };
        let _fetching = self.fetching.lock().await;
        let now = self.clock.now();
        let has = |desk: &Desk| desk.left > 0 && desk.worth_until > now;
        match self.desk(endpoint) {
            Some(desk) if has(&desk) => return Ok(now),
            Some(desk) if desk.empty_until > now => return Ok(desk.empty_until),
            Some(_) | None => {}
        }
        let chunk = chunk(limit);
        let taken = tokens
            .take(endpoint, chunk)
            .await
            .map_err(|error| Held::Unknown(with_causes(&error)))?;
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks.entry(endpoint).or_default();
        if taken.count == 0 {
            // Tokens are waited for by the chunk, not one by one: the ledger has other work.
            let next_at = taken.next_at + limit.interval() * (chunk - 1);
            desk.empty_until = next_at.min(now + REMEMBERED);
            return Ok(next_at);
        }
        desk.left = taken.count;
        desk.worth_until = now + CHUNK_LIFE;
        Ok(now)
    }

    fn desk(&self, endpoint: Endpoint) -> Option<Desk> {
        let desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(&endpoint).copied()
    }

    /// Leaves this endpoint alone for a moment, in this process only.
    pub(super) fn quiet(&self, endpoint: Endpoint, until: Until) {
        let until = until.within(REMEMBERED, self.clock.now()).at();
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks.entry(endpoint).or_default();
        desk.quiet_until = desk.quiet_until.max(until);
    }

    /// Leaves this endpoint alone as long as the CA's limit says: here at once, in all replicas by
    /// the ledger.
    pub(super) async fn block(&self, endpoint: Endpoint, until: Until) {
        self.quiet(endpoint, until);
        let (kind, now) = (LimitKind::Requests(endpoint), self.clock.now());
        let limit = self
            .tokens
            .as_ref()
            .map_or(Limit::NONE, |tokens| tokens.limit(endpoint));
        let until = until.within(kind.longest_wait(&limit), now).at();
        if let Some(tokens) = &self.tokens
            && let Err(error) = tokens.block(endpoint, until).await
        {
            tracing::warn!(error = %with_causes(&error), "acme.quiet_not_shared");
        }
    }
}

/// The number of requests that the rate allows in the life of a chunk, at least one.
fn chunk(limit: &Limit) -> u32 {
    let interval = limit.interval().as_micros().max(1);
    u32::try_from(CHUNK_LIFE.as_micros() / interval)
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use dps_application::ports::store::{StoreError, Taken};
    use dps_domain::limits::Bucket;

    use super::*;

    /// Tokio's clock, which a test that only waits moves on by itself.
    struct Paused(tokio::time::Instant);

    impl Clock for Paused {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(1_800_000_000) + self.0.elapsed()
        }
    }

    /// The ledger of several replicas, which counts its calls.
    struct Ledger {
        clock: Arc<Paused>,
        limit: Limit,
        bucket: Mutex<(Bucket, u32)>,
    }

    #[async_trait]
    impl RequestTokens for Ledger {
        fn limit(&self, _: Endpoint) -> Limit {
            self.limit
        }

        async fn take(&self, _: Endpoint, most: u32) -> Result<Taken, StoreError> {
            let now = self.clock.now();
            let mut bucket = self.bucket.lock().unwrap();
            let count = bucket.0.tokens(&self.limit, now).min(most);
            *bucket = (bucket.0.count(&self.limit, now, count), bucket.1 + 1);
            let next_at = bucket.0.token_at(&self.limit, now, 1);
            Ok(Taken { count, next_at })
        }

        async fn block(&self, _: Endpoint, until: Timestamp) -> Result<(), StoreError> {
            let mut bucket = self.bucket.lock().unwrap();
            bucket.0 = bucket.0.block(&self.limit, until);
            Ok(())
        }
    }

    fn ledger(limit: Limit) -> (Arc<Paused>, Arc<Ledger>) {
        let clock = Arc::new(Paused(tokio::time::Instant::now()));
        let ledger = Ledger {
            clock: Arc::clone(&clock),
            limit,
            bucket: Mutex::default(),
        };
        (clock, Arc::new(ledger))
    }

    fn pacer(clock: &Arc<Paused>, ledger: &Arc<Ledger>) -> Arc<Pacer> {
        Arc::new(Pacer::new(
            Some(Arc::clone(ledger) as _),
            Arc::clone(clock) as _,
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn two_replicas_together_send_no_faster_than_the_rate() {
        let (clock, ledger) = ledger(Limit::bursting(10, 100, Duration::from_secs(1)));
        let replicas = [pacer(&clock, &ledger), pacer(&clock, &ledger)];
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..400 {
            let pacer = Arc::clone(&replicas[number % 2]);
            let clock = Arc::clone(&clock);
            tasks.spawn(async move {
                pacer.admit(Endpoint::Other).await.unwrap();
                clock.now()
            });
        }
        let mut sent = tasks.join_all().await;
        sent.sort_unstable();
        for (n, window) in sent.windows(111).enumerate() {
            let took = window[110].since(window[0]) + CHUNK_LIFE;
            assert!(
                took >= Duration::from_secs(1),
                "{n}: 111 requests in {took:?}"
            );
        }
        assert!(sent[399].since(sent[0]) < Duration::from_secs(5));
        let taken = ledger.bucket.lock().unwrap().1;
        assert!(
            taken < 150,
            "tokens come in chunks, but {taken} were taken from the ledger"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_is_asked_and_a_quiet_endpoint_is_left_alone() {
        let (clock, ledger) = ledger(Limit::NONE);
        let pacer = pacer(&clock, &ledger);
        for _ in 0..1_000 {
            pacer.admit(Endpoint::NewOrder).await.unwrap();
        }
        assert_eq!(ledger.bucket.lock().unwrap().1, 0);
        let until = Until::named(
            clock.now() + Duration::from_secs(30),
            clock.now(),
            Purpose::Outage,
        );
        pacer.quiet(Endpoint::NewOrder, until);
        assert_eq!(
            pacer.admit(Endpoint::NewOrder).await,
            Err(Held::Until(until))
        );
        assert_eq!(pacer.admit(Endpoint::Other).await, Ok(()));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(pacer.admit(Endpoint::NewOrder).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_of_days_is_shared_within_an_hour_and_requested_again_after_a_minute() {
        let (clock, ledger) = ledger(Limit::per(10, Duration::from_secs(1)));
        let pacer = pacer(&clock, &ledger);
        let days = clock.now() + Duration::from_secs(10 * 86_400);
        let until = Until::named(days, clock.now(), Purpose::Limit);
        pacer.block(Endpoint::Other, until).await;
        let blocked_until = ledger.bucket.lock().unwrap().0.blocked_until;
        assert_eq!(blocked_until, clock.now() + Duration::from_secs(3_600));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(
            pacer.admit(Endpoint::Other).await.is_err(),
            "the ledger says so"
        );
        // An operator lifts it.
        ledger.bucket.lock().unwrap().0 = Bucket::default();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pacer.admit(Endpoint::Other).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_would_wait_long_gets_the_time_of_the_next_attempt() {
        let (clock, ledger) = ledger(Limit::per(1, Duration::from_secs(60)));
        let pacer = pacer(&clock, &ledger);
        pacer.admit(Endpoint::NewNonce).await.unwrap();
        let next = clock.now() + Duration::from_secs(60);
        let next = Until::named(next, clock.now(), Purpose::Limit);
        assert_eq!(
            pacer.admit(Endpoint::NewNonce).await,
            Err(Held::Until(next))
        );
    }
}
