//! The audit log.

use async_trait::async_trait;
use baton_ports::{AuditLog, AuditRecord, StoreError};

use crate::failure::Refusal;
use crate::operations::audit;
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};
use crate::value::values;

#[async_trait]
impl<B: Backend> AuditLog for SqlStore<B> {
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let limits = self.audit;
        write!(self, "writing the audit log", |session, in_doubt| {
            audit::append(session, record, limits, in_doubt)
        })
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.all(
            "reading the audit log",
            audit::NEWEST,
            values![limit, skip],
            audit::read,
        )
        .await
    }
}
