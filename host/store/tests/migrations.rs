//! Databases of earlier programs, kept as dumps, open and show what was stored in them.
#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod support;

use std::path::Path;

use baton_core::ids::{ClusterId, LeaseEpoch, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::prelude::*;
use baton_store::{SCHEMA_VERSION, SqliteStore};
use support::{LEASE, open, raw, run_raw, take};

/// A dump of each schema version, made by the program that had it as its newest.
const DUMPS: &[(u32, &str)] = &[
    (1, include_str!("fixtures/schema_1.sql")),
    (2, include_str!("fixtures/schema_2.sql")),
    (3, include_str!("fixtures/schema_3.sql")),
];

async fn restored(path: &Path, dump: &str) -> SqliteStore {
    run_raw(
        path,
        &format!("PRAGMA application_id = {}; {dump}", 0x4261_746e),
    )
    .await;
    let opened = open(path).await;
    assert!(!opened.created);
    opened.store
}

#[test]
fn every_schema_version_has_its_dump() {
    let versions: Vec<u32> = DUMPS.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
}

#[tokio::test]
async fn dumps_of_all_versions_open_with_their_content() {
    for (version, dump) in DUMPS {
        println!("schema {version}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baton.db");
        let store = restored(&path, dump).await;

        let lease = store.lease(LEASE).await.unwrap().unwrap();
        assert_eq!(
            (lease.holder.unwrap().as_str(), lease.epoch),
            ("n1", LeaseEpoch(3))
        );
        assert!(!store.recoveries_enabled().await.unwrap());
        let cluster = store.clusters().await.unwrap().pop().unwrap();
        assert_eq!(
            (cluster.id, cluster.name.as_str()),
            (ClusterId::new("c1"), "orders")
        );
        assert_eq!(cluster.primary, Some(ServerId::new("db2:3306")));
        let servers = store.servers().await.unwrap();
        assert_eq!(servers.len(), 2);
        assert_eq!(servers[0].quarantine.as_deref(), Some("0-1-5"));
        assert_eq!(servers[0].aliases.len(), 1);
        assert_eq!(servers[1].promotion, PromotionRule::Prefer);
        let (owner, downtime) = store
            .downtimes(WallTime::from_millis(0))
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(owner, ServerId::new("db1:3306"));
        let begins = WallTime::from_millis(10);
        let ends = WallTime::from_millis(20);
        assert_eq!(
            downtime,
            Downtime {
                owner: "ann".to_owned(),
                reason: "disk".to_owned(),
                begins,
                ends
            }
        );
        let recovery = store
            .recovery(&RecoveryId::new("r1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (recovery.number, recovery.outcome),
            (1, RecoveryOutcome::Succeeded)
        );
        assert_eq!(recovery.acknowledged.unwrap().0, "ann");
        assert_eq!(store.running_recoveries().await.unwrap().len(), 1);
        assert_eq!(store.steps(&RecoveryId::new("r1")).await.unwrap().len(), 2);
        assert_eq!(store.routes().await.unwrap()[0].value, "db2:3306");
        assert_eq!(store.audits(0, 10).await.unwrap().len(), 1);
        let since_2 = usize::from(*version >= 2);
        assert_eq!(store.nodes().await.unwrap().len(), since_2);
        assert_eq!(store.voters().await.unwrap().len(), since_2);
        let since_3 = usize::from(*version >= 3);
        assert_eq!(store.histories().await.unwrap().len(), since_3);

        // And it goes on from there.
        assert_eq!(take(&store, "n2").await, LeaseEpoch(4));
        let next = support::recovery("r9", "c9", LeaseEpoch(4));
        assert_eq!(store.begin_recovery(LEASE, &next).await.unwrap(), 3);
    }
}

/// Released migrations are never changed: a new database and one that grew have the same schema.
#[tokio::test]
async fn new_and_migrated_databases_are_alike() {
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new.db");
    open(&new).await;
    for (version, dump) in DUMPS {
        let old = directory.path().join(format!("{version}.db"));
        restored(&old, dump).await;
        assert_eq!(
            schema(&old).await,
            schema(&new).await,
            "from schema {version}"
        );
    }
}

async fn schema(path: &Path) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name";
    sqlx::query_scalar(sql)
        .fetch_all(&mut raw(path).await)
        .await
        .unwrap()
}
