//! The audit log.

use async_trait::async_trait;
use baton_ports::{AuditLog, AuditRecord, StoreError};

use crate::link::SimStore;

#[async_trait]
impl AuditLog for SimStore {
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.enter("writing the audit log").await?;
        self.lock().audits.push(record.clone());
        Ok(())
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.enter("reading the audit log").await?;
        let (skip, limit) = (
            usize::try_from(skip).unwrap_or(0),
            usize::try_from(limit).unwrap_or(0),
        );
        Ok(self
            .lock()
            .audits
            .iter()
            .rev()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect())
    }
}
