//! A person's order outlasts a moment without the store.

use std::future::Future;
use std::time::Duration;

use baton_ports::StoreError;
use tokio::time::{Instant, sleep};

/// How long an order is tried: a store that goes to another of its nodes is back sooner.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Does what is asked of the store, again while the store is away. What may have been done already is not done again.
///
/// # Errors
/// As the last try.
pub(crate) async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let until = Instant::now() + PATIENCE;
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

    /// A store that is away for the first tries.
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
    async fn an_order_waits_for_a_store_that_comes_back_and_not_for_ever() {
        let tries = AtomicU32::new(0);
        assert!(matches!(patiently(|| ready(after(5, &tries))).await, Ok(6)));
        let begun = Instant::now();
        let given_up = patiently(|| ready(after(u32::MAX, &tries))).await;
        assert!(matches!(given_up, Err(StoreError::Unavailable { .. })));
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_is_not_done_again() {
        let tries = AtomicU32::new(0);
        let unknown = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(StoreError::OutcomeUnknown {
                operation: "a try",
                source: "cut off".into(),
            })
        };
        assert!(patiently(unknown).await.is_err());
        assert_eq!(tries.into_inner(), 1);
    }
}
