//! The turns of diagnoses: how many begin in a minute, and one of a domain at a time.
//!
//! The store keeps them, so that commands and all replicas share them.

use std::time::Duration;

use dps_domain::{Hostname, Timestamp};
use serde::{Deserialize, Serialize};

use super::LONGEST;
use crate::ports::store::StoreError;
use crate::service::Service;

/// Diagnoses that begin within [`PERIOD`] at most.
pub(super) const MOST: usize = 5;
/// The time over which they are counted.
const PERIOD: Duration = Duration::from_secs(60);
/// Time after which a turn is over whose process ended without a word.
const ABANDONED: Duration = LONGEST.saturating_add(Duration::from_secs(2));
/// The periodic task with the turns as its progress. It is always due.
const TASK: &str = "domain.diagnose";
/// Term of the lease under which the turns change.
const TERM: Duration = Duration::from_secs(2);
/// Retry delay while another process changes them.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The reason why a diagnosis does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The domain is being diagnosed.
    UnderWay,
    /// There were too many lately. The next one may begin after this time.
    TooMany(Duration),
}

/// A diagnosis that began lately.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
struct Turn {
    hostname: Hostname,
    began_at: Timestamp,
    is_over: bool,
}

/// The diagnoses that began lately, the first one first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Turns(Vec<Turn>);

impl Turns {
    /// The turns as they were stored. An unreadable text denies no turn.
    fn read(text: Option<&str>) -> Self {
        let read = text.map(serde_json::from_str);
        read.and_then(Result::ok).unwrap_or_default()
    }

    fn begin(&mut self, hostname: &Hostname, now: Timestamp) -> Result<(), Denied> {
        // A turn in the future is of a clock that was set back since.
        self.0
            .retain(|turn| now.since(turn.began_at) < PERIOD && turn.began_at < now + PERIOD);
        let is_under_way = |turn: &Turn| !turn.is_over && now.since(turn.began_at) < ABANDONED;
        let mut of_domain = self.0.iter().filter(|turn| turn.hostname == *hostname);
        if of_domain.any(is_under_way) {
            return Err(Denied::UnderWay);
        }
        if let (true, Some(first)) = (self.0.len() >= MOST, self.0.first()) {
            let passed = now.since(first.began_at);
            return Err(Denied::TooMany(PERIOD.saturating_sub(passed)));
        }
        self.0.push(Turn {
            hostname: hostname.clone(),
            began_at: now,
            is_over: false,
        });
        Ok(())
    }

    fn end(&mut self, hostname: &Hostname, began_at: Timestamp) {
        let own = |turn: &&mut Turn| turn.hostname == *hostname && turn.began_at == began_at;
        for turn in self.0.iter_mut().filter(own) {
            turn.is_over = true;
        }
    }
}

/// Begins a turn, which [`end`] ends.
pub(super) async fn begin(
    service: &Service,
    hostname: &Hostname,
    now: Timestamp,
) -> Result<Option<Denied>, StoreError> {
    change(service, |turns| turns.begin(hostname, now).err()).await
}

/// Ends the turn that began at this time.
pub(super) async fn end(
    service: &Service,
    hostname: &Hostname,
    began_at: Timestamp,
) -> Result<(), StoreError> {
    change(service, |turns| turns.end(hostname, began_at)).await
}

/// Changes the turns while no other process does. The caller bounds the time.
async fn change<T>(
    service: &Service,
    change: impl FnOnce(&mut Turns) -> T,
) -> Result<T, StoreError> {
    let (store, due_at) = (&service.store, Timestamp::EPOCH);
    loop {
        let lease = store.periodic_acquire(TASK, service.now(), TERM, due_at);
        let Some(lease) = lease.await? else {
            tokio::time::sleep(RETRY_DELAY).await;
            continue;
        };
        let mut turns = Turns::read(lease.progress.as_deref());
        let done = change(&mut turns);
        let progress = serde_json::to_string(&turns).ok();
        store
            .periodic_release(&lease, progress.as_deref(), due_at)
            .await?;
        return Ok(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn host(number: usize) -> Hostname {
        Hostname::parse(&format!("h{number}.example.com")).unwrap()
    }

    #[test]
    fn five_begin_in_a_minute_and_one_of_a_domain_at_a_time() {
        let mut turns = Turns::default();
        assert_eq!(turns.begin(&host(0), NOW), Ok(()));
        assert_eq!(turns.begin(&host(0), NOW), Err(Denied::UnderWay));
        for number in 1..MOST {
            let later = NOW + Duration::from_secs(number as u64);
            assert_eq!(turns.begin(&host(number), later), Ok(()));
        }
        let denied = turns.begin(&host(9), NOW + PERIOD / 2);
        assert_eq!(denied, Err(Denied::TooMany(PERIOD / 2)));
        assert_eq!(turns.begin(&host(0), NOW + PERIOD), Ok(()));
        let denied = turns.begin(&host(1), NOW + PERIOD);
        assert_eq!(denied, Err(Denied::TooMany(Duration::from_secs(1))));
    }

    #[test]
    fn a_turn_ends_when_it_says_so_or_after_its_longest_time() {
        let mut turns = Turns::default();
        turns.begin(&host(0), NOW).unwrap();
        turns.end(&host(0), NOW + Duration::from_secs(1));
        assert_eq!(turns.begin(&host(0), NOW), Err(Denied::UnderWay));
        let text = serde_json::to_string(&turns).unwrap();
        let mut turns = Turns::read(Some(&text));
        turns.end(&host(0), NOW);
        assert_eq!(turns.begin(&host(0), NOW), Ok(()));
        assert_eq!(turns.begin(&host(0), NOW + ABANDONED), Ok(()));
    }

    #[test]
    fn neither_a_clock_that_was_wrong_nor_an_unreadable_text_denies_a_turn() {
        let mut turns = Turns::default();
        turns.begin(&host(0), NOW + 2 * PERIOD).unwrap();
        assert_eq!(turns.begin(&host(0), NOW), Ok(()));
        assert!(Turns::read(Some("of a newer version")).0.is_empty());
    }
}
