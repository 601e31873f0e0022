use baton_core::time::WallTime;
use baton_ports::{AuditLog as _, AuditRecord};
use baton_store::{SqliteOptions, SqliteStore};

use super::*;

async fn in_memory() -> Arc<SqliteStore> {
    let opened = SqliteStore::open(":memory:", &SqliteOptions::default()).await;
    Arc::new(opened.expect("a store").store)
}

/// On a busy machine with real servers, an order got no answer for a minute while an audit line
/// waited for the local disk.
#[tokio::test]
async fn a_local_disk_that_hangs_is_not_waited_for_without_end() {
    let options = FailsafeOptions {
        local: Duration::from_millis(20),
        ..FailsafeOptions::of(NodeName::new("n1"))
    };
    let store = FailsafeStore::open(in_memory().await, in_memory().await, options).await;
    let store = store.expect("a disk");
    store.health.missed("something", "told so".to_owned());
    let hanging = store.disk.hang().await;
    let line = AuditRecord {
        at: WallTime::from_millis(1),
        kind: "forget".to_owned(),
        server: None,
        cluster: None,
        by: "ann".to_owned(),
        text: String::new(),
    };
    let answer = store.audit(&line).await.expect_err("the disk hangs");
    assert!(
        answer
            .with_causes()
            .contains("the local disk did not answer within 20 ms; it has been hanging for"),
        "{answer:?}"
    );
    drop(hanging);
    store.audit(&line).await.expect("it works again");
}
