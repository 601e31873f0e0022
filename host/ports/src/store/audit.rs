//! The audit log.

use async_trait::async_trait;
use baton_core::ids::{Address, ClusterId};
use baton_core::time::WallTime;

use super::StoreError;

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: WallTime,
    /// Stable word: `discover`, `forget`, `begin-downtime`, `acknowledge`, `policy-fallback` ...
    pub kind: String,
    /// Server, if it is about one.
    pub server: Option<Address>,
    /// Cluster, if it is about one.
    pub cluster: Option<ClusterId>,
    /// Who asked: user or node.
    pub by: String,
    /// One sentence.
    pub text: String,
}

/// The audit log. A store may drop its oldest lines.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends a line.
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError>;
    /// Lines, newest first.
    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
}
