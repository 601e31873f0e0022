//! Repeats an operator's request to the store while the store is unavailable.

use std::future::Future;
use std::time::Duration;

use baton_ports::StoreError;
use tokio::time::{Instant, sleep};

/// How long a request is repeated: a store that fails over to another of its nodes is back sooner.
const RETRY_LIMIT: Duration = Duration::from_secs(3);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends a request to the store again while the store is unavailable. A request whose outcome is
/// unknown is not repeated.
///
/// # Errors
/// The error of the last try.
pub(crate) async fn retry_while_unavailable<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let until = Instant::now() + RETRY_LIMIT;
    loop {
        match ask().await {
            Err(StoreError::Unavailable { .. }) if Instant::now() < until => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A store that is unavailable for the first `away` tries.
    fn after(away: u32, tries: &AtomicU32) -> Result<u32, StoreError> {
        let tried = tries.fetch_add(1, Ordering::Relaxed) + 1;
        if tried > away {
            return Ok(tried);
        }
        Err(StoreError::Unavailable {
            operation: "a try",
            source: "away".into(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_repeated_while_the_store_is_unavailable_up_to_the_limit() {
        let tries = AtomicU32::new(0);
        assert!(matches!(
            retry_while_unavailable(|| ready(after(5, &tries))).await,
            Ok(6)
        ));
        let begun = Instant::now();
        let given_up = retry_while_unavailable(|| ready(after(u32::MAX, &tries))).await;
        assert!(matches!(given_up, Err(StoreError::Unavailable { .. })));
        assert_eq!(begun.elapsed(), RETRY_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_with_an_unknown_outcome_is_not_repeated() {
        let tries = AtomicU32::new(0);
        let unknown = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(StoreError::OutcomeUnknown {
                operation: "a try",
                source: "cut off".into(),
            })
        };
        assert!(retry_while_unavailable(unknown).await.is_err());
        assert_eq!(tries.into_inner(), 1);
    }
}
