//! Writes that must not be lost to a database that is away for a moment.

use std::time::Duration;

use dps_domain::with_causes;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::ports::store::StoreError;

/// The pause after the first failure; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Nothing is insisted on for longer, so that a service asked to stop while its database is away
/// does stop.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Repeats a write while the store is unavailable, until `deadline` or for half a minute. The write
/// must be harmless a second time: nobody knows whether a commit whose answer was lost has
/// happened.
pub(crate) async fn retry_while_unavailable<T, F>(
    deadline: Instant,
    write: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let ends = deadline.min(Instant::now() + TIME_LIMIT);
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Err(error @ StoreError::Unavailable { .. }) if Instant::now() + pause < ends => {
                tracing::warn!(error = %with_causes(&error), "store.write_repeated");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            result => return result,
        }
    }
}

/// Writes all in one go; if that fails, insists on each by itself, so that one which cannot be
/// written keeps no other from it.
pub(crate) async fn retry_all_while_unavailable<'a, T, F>(
    deadline: Instant,
    all: &'a [T],
    write: impl Fn(&'a [T]) -> F,
) -> Vec<Result<bool, StoreError>>
where
    F: Future<Output = Result<Vec<bool>, StoreError>>,
{
    let write = &write;
    match write(all).await {
        Ok(written) => written.into_iter().map(Ok).collect(),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "store.writes_repeated_one_by_one");
            let each = all.iter().map(|one| {
                retry_while_unavailable(deadline, move || async move {
                    Ok(write(std::slice::from_ref(one)).await? == [true])
                })
            });
            join_all(each).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unavailable() -> StoreError {
        StoreError::Unavailable {
            operation: "test",
            source: "away".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_written_keeps_no_other_from_it() {
        let store = |some: &'static [u8]| async move {
            if some.contains(&2) {
                Err(unavailable())
            } else {
                Ok(some.iter().map(|one| *one != 3).collect())
            }
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let together = retry_all_while_unavailable(deadline, &[1, 3, 4], store).await;
        assert!(
            matches!(together[..], [Ok(true), Ok(false), Ok(true)]),
            "{together:?}"
        );
        let apart = retry_all_while_unavailable(deadline, &[1, 2, 3, 4], store).await;
        assert!(
            matches!(apart[..], [Ok(true), Err(_), Ok(false), Ok(true)]),
            "{apart:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_repeated_until_the_store_is_back() {
        let tries = Cell::new(0);
        let deadline = Instant::now() + Duration::from_secs(20);
        let written = retry_while_unavailable(deadline, || async {
            tries.set(tries.get() + 1);
            if tries.get() < 4 {
                Err(unavailable())
            } else {
                Ok(7)
            }
        });
        assert_eq!(written.await.unwrap(), 7);
        assert_eq!(tries.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_before_the_lease_does_and_repeats_nothing_else() {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(5);
        let away = retry_while_unavailable::<(), _>(deadline, || async { Err(unavailable()) });
        assert!(matches!(away.await, Err(StoreError::Unavailable { .. })));
        assert!(Instant::now() < deadline && started.elapsed() > Duration::from_secs(2));

        let tries = Cell::new(0);
        let lost = retry_while_unavailable::<(), _>(deadline, || async {
            tries.set(tries.get() + 1);
            Err(StoreError::LeaseLost)
        });
        assert!(matches!(lost.await, Err(StoreError::LeaseLost)));
        assert_eq!(tries.get(), 1);
    }
}
