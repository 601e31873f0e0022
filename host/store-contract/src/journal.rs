//! The journal.

use baton_core::ids::RecoveryId;
use baton_ports::{JournalEntry, JournalStage, Store};

use crate::sketch::{LEASE, line, node, recovery, take};
use crate::{must, must_conflict, must_fence};

async fn entries(store: &dyn Store, id: &str) -> Vec<JournalEntry> {
    must(store.steps(&RecoveryId::new(id)).await)
        .into_iter()
        .map(|row| row.entry)
        .collect()
}

pub(crate) async fn lines_are_kept_in_order(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let (one, two) = (RecoveryId::new("r1"), RecoveryId::new("r2"));
    must(
        store
            .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
            .await,
    );
    must(
        store
            .begin_recovery(LEASE, &recovery("r2", "c2", epoch))
            .await,
    );
    let stages = [
        JournalStage::Begun,
        JournalStage::Done,
        JournalStage::Failed,
        JournalStage::Unknown,
        JournalStage::Skipped,
    ];
    // Steps run side by side, so their numbers are in no order; the lines are.
    let lines: Vec<JournalEntry> = (1..=5)
        .rev()
        .zip(stages)
        .map(|(step, stage)| line(step, stage))
        .collect();
    let bare = JournalEntry {
        server: None,
        ..line(9, JournalStage::Begun)
    };
    must(store.journal(LEASE, &one, epoch, &lines).await);
    must(
        store
            .journal(LEASE, &two, epoch, std::slice::from_ref(&bare))
            .await,
    );
    must(store.journal(LEASE, &one, epoch, &[]).await);
    must(
        store
            .journal(LEASE, &one, epoch, std::slice::from_ref(&bare))
            .await,
    );
    let mut expected = lines;
    expected.push(bare.clone());
    assert_eq!(entries(store, "r1").await, expected);
    assert_eq!(entries(store, "r2").await, vec![bare]);
    assert_eq!(entries(store, "r3").await, Vec::new());
    let rows = must(store.steps(&one).await);
    assert!(rows.iter().all(|row| row.recovery == one));
    assert!(
        rows.is_sorted_by(|earlier, later| earlier.number < later.number),
        "{rows:?}"
    );
}

pub(crate) async fn refused_lines_leave_no_trace(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let id = RecoveryId::new("r1");
    must(
        store
            .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
            .await,
    );
    must(store.release_lease(LEASE, &node("n1"), epoch).await);
    must_fence(
        store
            .journal(LEASE, &id, epoch, &[line(1, JournalStage::Begun)])
            .await,
    );
    assert_eq!(entries(store, "r1").await, Vec::new());
}

pub(crate) async fn fenced_after_takeover(store: &dyn Store) {
    let old = take(store, "n1").await.epoch;
    let id = RecoveryId::new("r1");
    must(
        store
            .begin_recovery(LEASE, &recovery("r1", "c1", old))
            .await,
    );
    must(
        store
            .journal(LEASE, &id, old, &[line(1, JournalStage::Begun)])
            .await,
    );
    let new = take(store, "n2").await.epoch;
    must_fence(
        store
            .journal(LEASE, &id, old, &[line(1, JournalStage::Done)])
            .await,
    );
    must_fence(
        store
            .journal(LEASE, &id, new, &[line(1, JournalStage::Done)])
            .await,
    );
    must(store.adopt_recovery(LEASE, &id, &node("n2"), new).await);
    must(
        store
            .journal(LEASE, &id, new, &[line(1, JournalStage::Unknown)])
            .await,
    );
    let expected = vec![line(1, JournalStage::Begun), line(1, JournalStage::Unknown)];
    assert_eq!(entries(store, "r1").await, expected);
}

pub(crate) async fn lines_of_unknown_recoveries_are_conflicts(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    must_conflict(
        store
            .journal(
                LEASE,
                &RecoveryId::new("r1"),
                epoch,
                &[line(1, JournalStage::Begun)],
            )
            .await,
    );
}
