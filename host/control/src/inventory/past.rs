//! Past recoveries, as far as they matter for what comes next.

use std::collections::BTreeSet;

use baton_core::ids::ServerId;
use baton_core::model::{PastRecovery, RecoveryKind, RecoveryOutcome};
use baton_ports::RecoveryRecord;

/// Past recoveries kept per cluster: enough for any cooldown.
pub(super) const PAST_MAX: usize = 20;
/// After so many failed attempts to rejoin a server, an operator has to look.
const ATTEMPTS_MAX: usize = 3;

/// Servers that ended recoveries (the newest first) left behind and that no later recovery brought
/// back.
pub(super) fn left_behind<'a>(
    rows: impl IntoIterator<Item = &'a RecoveryRecord>,
) -> BTreeSet<ServerId> {
    let mut settled: BTreeSet<&ServerId> = BTreeSet::new();
    let mut attempts: Vec<&ServerId> = Vec::new();
    let mut left = BTreeSet::new();
    for row in rows.into_iter().filter(|row| row.ended.is_some()) {
        left.extend(row.lost.iter().filter(|id| !settled.contains(id)).cloned());
        match (row.kind, row.outcome) {
            (RecoveryKind::Rejoin, RecoveryOutcome::Succeeded) => {
                settled.insert(&row.subject);
            }
            (RecoveryKind::Rejoin, _) => {
                attempts.push(&row.subject);
                if attempts.iter().filter(|id| ***id == row.subject).count() >= ATTEMPTS_MAX {
                    settled.insert(&row.subject);
                }
            }
            (_, _) => settled.extend(&row.successor),
        }
    }
    left
}

/// A recorded recovery as policies see it.
pub(super) fn past(row: &RecoveryRecord) -> PastRecovery {
    PastRecovery {
        id: row.id.clone(),
        kind: row.kind,
        outcome: row.outcome,
        promoted: row.has_promoted(),
        left_behind: row.lost.contains(&row.subject),
        automatic: row.automatic,
        started: row.started,
        ended: row.ended,
        subject: row.subject.clone(),
        successor: row.successor.clone(),
        acknowledged: row.acknowledged.is_some(),
    }
}

#[cfg(test)]
mod tests;
