//! Writes that are repeated while the database is unavailable.

use std::time::Duration;

use dps_domain::with_causes;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::ports::store::{StoreError, WriteResult};

/// Pause after the first failure; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Longest time for which a write is repeated. A service that must stop while its database
/// is unavailable does stop.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Repeats a write while the store is unavailable, until `deadline` or for [`TIME_LIMIT`]. The
/// write must be idempotent: a commit whose response was lost may have happened.
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

/// Writes all in one call. If that fails, repeats each write on its own, so that one which fails
/// does not prevent the others.
pub(crate) async fn retry_all_while_unavailable<'a, T, F>(
    deadline: Instant,
    all: &'a [T],
    write: impl Fn(&'a [T]) -> F,
) -> Vec<Result<WriteResult, StoreError>>
where
    F: Future<Output = Result<Vec<WriteResult>, StoreError>>,
{
    let write = &write;
    match write(all).await {
        Ok(written) => written.into_iter().map(Ok).collect(),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "store.writes_repeated_one_by_one");
            let each = all.iter().map(|one| {
                retry_while_unavailable(deadline, move || async move {
                    let results = write(std::slice::from_ref(one)).await?;
                    Ok(results.first().copied().unwrap_or(WriteResult::LeaseLost))
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
    use crate::ports::store::WriteResult::{LeaseLost, Written};

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
                let result = |one: &u8| if *one == 3 { LeaseLost } else { Written };
                Ok(some.iter().map(result).collect())
            }
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let together = retry_all_while_unavailable(deadline, &[1, 3, 4], store).await;
        assert!(
            matches!(together[..], [Ok(Written), Ok(LeaseLost), Ok(Written)]),
            "{together:?}"
        );
        let apart = retry_all_while_unavailable(deadline, &[1, 2, 3, 4], store).await;
        assert!(
            matches!(apart[..], [Ok(Written), Err(_), Ok(LeaseLost), Ok(Written)]),
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
