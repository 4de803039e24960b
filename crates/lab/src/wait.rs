//! Waiting for the world to reach a state, never for a time.

use std::time::{Duration, Instant};

use crate::LabError;

/// Pause between two checks of a condition.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Checks a condition again and again until it yields a value, at most for `bound`.
///
/// `what` completes the sentence of the error: "`what`: not within 5s".
///
/// # Errors
/// [`LabError::TimedOut`] when the bound passed; the condition is checked at least once even with a
/// bound of zero.
pub async fn until<T, F>(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> F,
) -> Result<T, LabError>
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + bound;
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(LabError::TimedOut {
                what: what.to_owned(),
                bound,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
