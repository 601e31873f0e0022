//! The whole state from one store into another.

use baton_core::ids::{ClusterId, LeaseEpoch};
use baton_ports::prelude::*;
use baton_ports::{Store, StoreError};
use baton_sandbox::Flavor;
use baton_store::{Occupied, SqliteOptions, SqliteStore};

use crate::Bed;
use crate::rows::{LEASE, audit, line, node, recovery, take};

async fn fill(store: &dyn Store) -> LeaseEpoch {
    let epoch = take(store, "n1").await;
    store
        .put_cluster(&ClusterId::new("c1"), "orders")
        .await
        .unwrap();
    store.set_recoveries_enabled(false).await.unwrap();
    let row = recovery("r1", epoch);
    store.begin_recovery(LEASE, &row).await.unwrap();
    store
        .journal(LEASE, &row.id, epoch, &[line(1), line(2)])
        .await
        .unwrap();
    for number in 0..450 {
        store
            .audit(&audit(&format!("line {number} \u{1f600}")))
            .await
            .unwrap();
    }
    epoch
}

async fn sqlite() -> SqliteStore {
    let options = SqliteOptions::default();
    SqliteStore::open(":memory:", &options).await.unwrap().store
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_moves_there_and_back() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let old = sqlite().await;
    let epoch = fill(&old).await;
    let copy = old.dump(Some((LEASE, epoch))).await.unwrap();
    assert!(copy.rows() > 450);

    let database = bed.database();
    let new = bed.store(0, &database).store;
    new.restore(&copy, Occupied::Refuse).await.unwrap();
    assert_eq!(new.dump(None).await.unwrap(), copy);
    assert!(!new.recoveries_enabled().await.unwrap());
    // Leadership goes on where it was, under the same epoch.
    new.put_routes(LEASE, epoch, &[]).await.unwrap();
    assert_eq!(
        new.audits(0, 1).await.unwrap()[0].text,
        "line 449 \u{1f600}"
    );

    let copy = new.dump(Some((LEASE, epoch))).await.unwrap();
    let back = sqlite().await;
    back.restore(&copy, Occupied::Refuse).await.unwrap();
    assert_eq!(back.dump(None).await.unwrap(), copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_is_not_overwritten_by_mistake() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let old = sqlite().await;
    let epoch = fill(&old).await;
    let copy = old.dump(None).await.unwrap();
    let fenced = old.dump(Some((LEASE, LeaseEpoch(epoch.0 + 1)))).await;
    assert!(
        matches!(fenced, Err(StoreError::Fenced { .. })),
        "{fenced:?}"
    );

    let new = bed.store(0, &bed.database()).store;
    new.put_cluster(&ClusterId::new("c9"), "theirs")
        .await
        .unwrap();
    let refused = new.restore(&copy, Occupied::Refuse).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(new.clusters().await.unwrap()[0].name, "theirs");
    new.restore(&copy, Occupied::Replace).await.unwrap();
    assert_eq!(new.clusters().await.unwrap()[0].name, "orders");
    assert_eq!(new.dump(None).await.unwrap(), copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_is_nobodys_state() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, server) = Bed::single(Flavor::MariaDb);
    let old = sqlite().await;
    fill(&old).await;
    let copy = old.dump(None).await.unwrap();
    let database = bed.database();
    let new = bed.store(0, &database).store;
    new.prepare().await.unwrap();
    // One row of the copy will not go in.
    let trigger =
        "CREATE TRIGGER stop BEFORE INSERT ON baton_step FOR EACH ROW SIGNAL SQLSTATE '45000'";
    server.exec(&format!("USE {database}; {trigger}")).unwrap();
    new.restore(&copy, Occupied::Refuse).await.unwrap_err();
    let error = bed
        .store(0, &database)
        .store
        .ping(&node("n1"))
        .await
        .unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("unfinished copy"), "{text}");
    server
        .exec(&format!("DROP TRIGGER {database}.stop"))
        .unwrap();
    new.restore(&copy, Occupied::Refuse).await.unwrap();
    let whole = bed.store(0, &database).store;
    assert_eq!(whole.dump(None).await.unwrap(), copy);
}
