//! The audit log.

use async_trait::async_trait;
use baton_ports::{AuditLog, AuditRecord, StoreError};

use crate::{FailsafeStore, is_refusal};

#[async_trait]
impl AuditLog for FailsafeStore {
    /// Writes to the shared store, or to the local disk while it is away. A line whose outcome is
    /// unknown may be written twice.
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        const OPERATION: &str = "writing the audit log";
        if !self.health.is_away() {
            let shared = self.within(OPERATION, self.options.write, self.shared.audit(record));
            match shared.await {
                Ok(()) => return Ok(()),
                Err(error) if is_refusal(&error) => return Err(error),
                Err(_) => {}
            }
        }
        self.on_disk(OPERATION, self.disk.audit(record)).await
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.shared.audits(skip, limit).await
    }
}
