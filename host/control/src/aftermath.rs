//! What follows a change that an operator made: its audit record, and a new reading of the
//! settings.

use baton_core::ids::{ClusterId, ServerId};
use baton_ports::AuditRecord;

use crate::handle::Handle;
use crate::store_retry::retry_while_unavailable;

impl Handle {
    /// Audit is best effort: an operator's word counts even if the log of it cannot be written.
    pub(crate) async fn note(
        &self,
        kind: &str,
        server: Option<&ServerId>,
        cluster: Option<&ClusterId>,
        by: &str,
        text: String,
    ) {
        let record = AuditRecord {
            at: self.ports.clock.wall(),
            kind: kind.to_owned(),
            server: server.and_then(|id| self.registry.address(id)),
            cluster: cluster.cloned(),
            by: by.to_owned(),
            text,
        };
        if let Err(error) = self.ports.store.audit(&record).await {
            tracing::warn!(error = error.with_causes(), "audit not written");
        }
    }

    pub(crate) async fn reread(&self) {
        // The answer must show in what is read next, even if the store is away for a moment.
        if let Err(error) = retry_while_unavailable(|| self.operators.try_read_now()).await {
            self.operators.mistrust_now(&error);
        }
        self.registry.wake_all();
    }
}
