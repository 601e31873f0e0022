//! Semi-synchronous replication, under its old and its new names.

use baton_core::model::{SemiSync, WaitPoint};
use std::time::Duration;

use crate::rows::Record;

/// `None` if the server has neither role.
pub(super) fn semi_sync(now: &Record<'_>, status: Option<Record<'_>>) -> Option<SemiSync> {
    let source = now.flag(&[
        "rpl_semi_sync_source_enabled",
        "rpl_semi_sync_master_enabled",
    ]);
    let replica = now.flag(&[
        "rpl_semi_sync_replica_enabled",
        "rpl_semi_sync_slave_enabled",
    ]);
    if source.is_none() && replica.is_none() {
        return None;
    }
    let flag = |new: &str, old: &str| {
        status
            .and_then(|status| status.flag(&[new, old]))
            .unwrap_or(false)
    };
    let count = |new: &str, old: &str| {
        status
            .and_then(|status| status.number(&[new, old]))
            .unwrap_or(0)
    };
    let wait_for = [
        "rpl_semi_sync_source_wait_for_replica_count",
        "rpl_semi_sync_master_wait_for_slave_count",
    ];
    let timeout: Option<u64> = now.number(&[
        "rpl_semi_sync_source_timeout",
        "rpl_semi_sync_master_timeout",
    ]);
    Some(SemiSync {
        source_enabled: source.unwrap_or(false),
        source_active: flag("Rpl_semi_sync_source_status", "Rpl_semi_sync_master_status"),
        // MariaDB has no such setting: it waits for one.
        wait_for: now.number(&wait_for).unwrap_or(1),
        clients: count(
            "Rpl_semi_sync_source_clients",
            "Rpl_semi_sync_master_clients",
        ),
        waiting_sessions: count(
            "Rpl_semi_sync_source_wait_sessions",
            "Rpl_semi_sync_master_wait_sessions",
        ),
        timeout: timeout.map(Duration::from_millis),
        wait_point: wait_point(now),
        waits_without_replicas: now.flag(&[
            "rpl_semi_sync_source_wait_no_replica",
            "rpl_semi_sync_master_wait_no_slave",
        ]),
        replica_enabled: replica.unwrap_or(false),
        replica_active: flag("Rpl_semi_sync_replica_status", "Rpl_semi_sync_slave_status"),
    })
}

/// A value nobody knew when this was written is not known.
fn wait_point(now: &Record<'_>) -> Option<WaitPoint> {
    let names = [
        "rpl_semi_sync_source_wait_point",
        "rpl_semi_sync_master_wait_point",
    ];
    let text = now.text(&names)?;
    if text.eq_ignore_ascii_case("AFTER_SYNC") {
        Some(WaitPoint::AfterSync)
    } else if text.eq_ignore_ascii_case("AFTER_COMMIT") {
        Some(WaitPoint::AfterCommit)
    } else {
        None
    }
}
