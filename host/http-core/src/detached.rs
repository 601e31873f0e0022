//! Requests that change something are carried out to their end.

use std::future::Future;

use baton_control::RequestError;

/// Runs `work` on its own task: a client that disconnects midway (a timeout of curl, a closed
/// laptop) must not stop a failover between two steps.
///
/// # Errors
/// Those of `work`; [`RequestError::Store`] if its task panicked.
pub async fn run_detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, RequestError>> + Send + 'static,
) -> Result<T, RequestError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a request's task ended early"
            );
            Err(RequestError::Store(
                "the request's task ended early; see the node's log".to_owned(),
            ))
        }
    }
}
