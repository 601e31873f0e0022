//! Recoveries.

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_ports::{JournalStage, RecoveryRecord, StepRecord, Store};

use crate::sketch::{LEASE, at, cluster, ended, line, node, recovery, take, take_of};
use crate::{must, must_conflict, must_fence};

pub(crate) async fn round_trip(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let kinds = [
        RecoveryKind::Failover,
        RecoveryKind::IntermediateFailover,
        RecoveryKind::CoPrimaryFailover,
        RecoveryKind::Switchover,
        RecoveryKind::Rejoin,
        RecoveryKind::Reopen,
    ];
    for (position, kind) in kinds.into_iter().enumerate() {
        let mut row = RecoveryRecord {
            kind,
            automatic: position % 2 == 0,
            ..recovery(kind.word(), "c1", epoch)
        };
        row.number = must(store.begin_recovery(LEASE, &row).await);
        assert!(row.number > 0);
        assert_eq!(must(store.recovery(&row.id).await), Some(row.clone()));
        assert_eq!(must(store.running_recoveries().await), vec![row.clone()]);
        let outcome = match position % 3 {
            0 => RecoveryOutcome::Succeeded,
            1 => RecoveryOutcome::Failed,
            _ => RecoveryOutcome::Unwound,
        };
        // A change while it runs, then its end.
        let committed = RecoveryRecord {
            committed: true,
            errors: vec!["a".to_owned()],
            ..row.clone()
        };
        must(store.update_recovery(LEASE, &committed).await);
        assert_eq!(must(store.recovery(&row.id).await), Some(committed));
        let done = RecoveryRecord {
            outcome,
            ..ended(&row)
        };
        must(store.update_recovery(LEASE, &done).await);
        assert_eq!(must(store.recovery(&row.id).await), Some(done));
        assert_eq!(must(store.running_recoveries().await), Vec::new());
    }
    assert_eq!(must(store.recovery(&RecoveryId::new("none")).await), None);
}

pub(crate) async fn one_runs_per_cluster(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let first = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &first).await);
    must_conflict(
        store
            .begin_recovery(LEASE, &recovery("r2", "c1", epoch))
            .await,
    );
    must(
        store
            .begin_recovery(LEASE, &recovery("r3", "c2", epoch))
            .await,
    );
    assert_eq!(must(store.recovery(&RecoveryId::new("r2")).await), None);
    must(store.update_recovery(LEASE, &ended(&first)).await);
    must(
        store
            .begin_recovery(LEASE, &recovery("r2", "c1", epoch))
            .await,
    );
    let running: Vec<String> = must(store.running_recoveries().await)
        .iter()
        .map(|row| row.id.to_string())
        .collect();
    assert_eq!(running.len(), 2, "{running:?}");
    assert!(
        running.contains(&"r2".to_owned()) && running.contains(&"r3".to_owned()),
        "{running:?}"
    );
}

pub(crate) async fn numbers_grow(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let mut last = 0;
    for round in 0..5 {
        let number = must(
            store
                .begin_recovery(
                    LEASE,
                    &recovery(&format!("r{round}"), &format!("c{round}"), epoch),
                )
                .await,
        );
        assert!(number > last, "{number} after {last}");
        last = number;
    }
}

pub(crate) async fn same_identity_is_a_conflict(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let first = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &first).await);
    must(store.update_recovery(LEASE, &ended(&first)).await);
    must_conflict(
        store
            .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
            .await,
    );
    must_conflict(
        store
            .begin_recovery(LEASE, &recovery("r1", "c2", epoch))
            .await,
    );
    let stored = must(store.recovery(&RecoveryId::new("r1")).await).map(|row| row.outcome);
    assert_eq!(stored, Some(RecoveryOutcome::Succeeded));
}

pub(crate) async fn ended_ones_do_not_run_again(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let row = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &row).await);
    must(store.update_recovery(LEASE, &ended(&row)).await);
    must_conflict(store.update_recovery(LEASE, &row).await);
    assert_eq!(must(store.running_recoveries().await), Vec::new());
    must_conflict(
        store
            .update_recovery(LEASE, &recovery("unknown", "c1", epoch))
            .await,
    );
}

pub(crate) async fn adoption_fences_the_earlier_owner(store: &dyn Store) {
    let old = take(store, "n1").await.epoch;
    let row = recovery("r1", "c1", old);
    let number = must(store.begin_recovery(LEASE, &row).await);
    let new = take(store, "n2").await.epoch;
    // The new holder may not write to it before it adopted it.
    must_fence(
        store
            .update_recovery(
                LEASE,
                &RecoveryRecord {
                    epoch: new,
                    ..row.clone()
                },
            )
            .await,
    );
    must(store.adopt_recovery(LEASE, &row.id, &node("n2"), new).await);
    let adopted = RecoveryRecord {
        node: node("n2"),
        epoch: new,
        number,
        ..row.clone()
    };
    assert_eq!(
        must(store.running_recoveries().await),
        vec![adopted.clone()]
    );
    must_fence(store.update_recovery(LEASE, &ended(&row)).await);
    must(store.adopt_recovery(LEASE, &row.id, &node("n2"), new).await);
    must(store.update_recovery(LEASE, &ended(&adopted)).await);
    assert_eq!(must(store.recovery(&row.id).await), Some(ended(&adopted)));
}

pub(crate) async fn adoption_never_goes_back_in_time(store: &dyn Store) {
    // Epochs of two leases: a recovery that belongs to the newer one is not taken by the older.
    let low = take_of(store, "low", "n1").await.epoch;
    let mut high = take_of(store, "high", "n2").await.epoch;
    while high <= low {
        high = take_of(store, "high", "n2").await.epoch;
    }
    let row = recovery("r1", "c1", high);
    must(store.begin_recovery("high", &row).await);
    must_fence(store.adopt_recovery("low", &row.id, &node("n1"), low).await);
    let running = must(store.running_recoveries().await).pop();
    assert_eq!(running.map(|found| found.epoch), Some(high));
}

pub(crate) async fn adoption_of_ended_or_unknown_is_a_conflict(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let row = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &row).await);
    must(store.update_recovery(LEASE, &ended(&row)).await);
    must_conflict(
        store
            .adopt_recovery(LEASE, &row.id, &node("n1"), epoch)
            .await,
    );
    must_conflict(
        store
            .adopt_recovery(LEASE, &RecoveryId::new("none"), &node("n1"), epoch)
            .await,
    );
}

pub(crate) async fn paging_newest_first(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    for (id, of) in [("r1", "c1"), ("r2", "c2"), ("r3", "c1"), ("r4", "c1")] {
        let row = recovery(id, of, epoch);
        must(store.begin_recovery(LEASE, &row).await);
        must(store.update_recovery(LEASE, &ended(&row)).await);
    }
    let page = |of: Option<&'static str>, skip, limit| async move {
        let of = of.map(cluster);
        let rows = must(store.recoveries(of.as_ref(), skip, limit).await);
        rows.iter()
            .map(|row| row.id.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(page(None, 0, 10).await, "r4 r3 r2 r1");
    assert_eq!(page(None, 1, 2).await, "r3 r2");
    assert_eq!(page(None, 4, 2).await, "");
    assert_eq!(page(None, 0, 0).await, "");
    assert_eq!(page(Some("c1"), 0, 10).await, "r4 r3 r1");
    assert_eq!(page(Some("c1"), 2, 10).await, "r1");
    assert_eq!(page(Some("c9"), 0, 10).await, "");
}

pub(crate) async fn acknowledging(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    for (id, of) in [("r1", "c1"), ("r2", "c1"), ("r3", "c2"), ("r4", "c3")] {
        let row = recovery(id, of, epoch);
        must(store.begin_recovery(LEASE, &row).await);
        if id != "r4" {
            must(store.update_recovery(LEASE, &ended(&row)).await);
        }
    }
    let said = |id: &'static str| async move {
        must(store.recovery(&RecoveryId::new(id)).await).and_then(|row| row.acknowledged)
    };
    let r1 = RecoveryId::new("r1");
    assert_eq!(
        must(
            store
                .acknowledge(Some(&r1), None, "ann", at(1), "seen")
                .await
        ),
        1
    );
    assert_eq!(
        said("r1").await,
        Some(("ann".to_owned(), at(1), "seen".to_owned()))
    );
    assert_eq!(
        must(store.acknowledge(Some(&r1), None, "bob", at(2), "").await),
        0
    );
    assert_eq!(
        must(
            store
                .acknowledge(None, Some(&cluster("c1")), "bob", at(3), "")
                .await
        ),
        1
    );
    assert_eq!(
        said("r1").await,
        Some(("ann".to_owned(), at(1), "seen".to_owned()))
    );
    assert_eq!(
        said("r2").await,
        Some(("bob".to_owned(), at(3), String::new()))
    );
    assert_eq!(said("r3").await, None);
    assert_eq!(
        must(store.acknowledge(None, None, "cleo", at(4), "all").await),
        1
    );
    assert_eq!(
        said("r4").await,
        None,
        "a running recovery was acknowledged"
    );
    // An acknowledgement outlives later updates of the row.
    let late = RecoveryRecord {
        errors: vec!["late".to_owned()],
        ..ended(&recovery("r1", "c1", epoch))
    };
    must(store.update_recovery(LEASE, &late).await);
    assert_eq!(
        said("r1").await,
        Some(("ann".to_owned(), at(1), "seen".to_owned()))
    );
}

pub(crate) async fn taken_over_from_elsewhere(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    // Two unknown recoveries, one of them running, and one that began here and went on elsewhere.
    let known = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &known).await);
    let rows = [
        ended(&known),
        recovery("r2", "c2", epoch),
        ended(&recovery("r3", "c2", epoch)),
    ];
    let steps: Vec<StepRecord> = [("r1", 1), ("r2", 1), ("r2", 2)]
        .into_iter()
        .map(|(id, step)| StepRecord {
            number: 77,
            recovery: RecoveryId::new(id),
            entry: line(step, JournalStage::Done),
        })
        .collect();
    for _ in 0..2 {
        must(store.merge_recoveries(LEASE, epoch, &rows, &steps).await);
    }
    for row in &rows {
        let stored = must(store.recovery(&row.id).await);
        let number = stored.as_ref().map_or(0, |stored| stored.number);
        let expected = RecoveryRecord {
            number,
            ..row.clone()
        };
        assert_eq!(stored, Some(expected));
    }
    assert_eq!(must(store.recoveries(None, 0, 10).await).len(), 3);
    assert_eq!(must(store.steps(&RecoveryId::new("r1")).await).len(), 1);
    let lines = must(store.steps(&RecoveryId::new("r2")).await);
    let steps_there: Vec<u32> = lines.iter().map(|row| row.entry.step).collect();
    assert_eq!(steps_there, [1, 2]);
    must_fence(
        store
            .merge_recoveries(LEASE, LeaseEpoch(epoch.0 + 1), &rows, &steps)
            .await,
    );
}

pub(crate) async fn only_one_of_two_taken_over_runs(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    must(
        store
            .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
            .await,
    );
    let other = recovery("r2", "c1", epoch);
    must(store.merge_recoveries(LEASE, epoch, &[other], &[]).await);
    let running = must(store.running_recoveries().await);
    assert_eq!(running.len(), 1);
    let stored = must(store.recovery(&RecoveryId::new("r2")).await);
    assert!(
        stored.is_some_and(|row| row.outcome == RecoveryOutcome::Failed
            && row.ended.is_some()
            && row.errors.iter().any(|text| text.contains("r1")))
    );
}

/// A late copy of a recovery that still runs does not reopen it, nor make it a failure.
pub(crate) async fn a_late_copy_of_an_ended_one_changes_nothing(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let first = recovery("r1", "c1", epoch);
    must(store.begin_recovery(LEASE, &first).await);
    must(store.update_recovery(LEASE, &ended(&first)).await);
    // Beside another one that runs in the cluster, and without.
    for other in [None, Some(recovery("r2", "c1", epoch))] {
        if let Some(other) = &other {
            must(store.begin_recovery(LEASE, other).await);
        }
        let copy = [first.clone()];
        must(store.merge_recoveries(LEASE, epoch, &copy, &[]).await);
        let stored = must(store.recovery(&first.id).await);
        let outcome = stored.map(|row| (row.outcome, row.errors));
        assert_eq!(outcome, Some((ended(&first).outcome, ended(&first).errors)));
    }
}
