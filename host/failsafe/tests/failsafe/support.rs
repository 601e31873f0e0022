//! Records that the tests share.

use baton_core::time::WallTime;
use baton_ports::{AuditRecord, JournalEntry, JournalStage};

pub(crate) use baton_store_contract::sketch::{LEASE, TTL, node, recovery};

/// A journal line.
pub(crate) fn line(step: u32) -> JournalEntry {
    JournalEntry {
        step,
        phase: "promote".to_owned(),
        stage: JournalStage::Begun,
        server: None,
        text: "x".repeat(200),
        at: WallTime::from_millis(1),
        since_trigger_us: 0,
    }
}

/// An audit line of about `bytes` bytes.
pub(crate) fn audit(number: u64, bytes: usize) -> AuditRecord {
    AuditRecord {
        at: WallTime::from_millis(number),
        kind: "discover".to_owned(),
        server: None,
        cluster: None,
        by: "ann".to_owned(),
        text: "x".repeat(bytes),
    }
}
