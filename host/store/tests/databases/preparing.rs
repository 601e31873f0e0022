//! Making the tables, by several nodes at once; and what is refused.

use baton_ports::StoreError;
use baton_ports::prelude::*;
use baton_sandbox::{Flavor, Server};
use baton_store::SCHEMA_VERSION;
use futures::future::join_all;

use crate::Bed;
use crate::rows::node;

/// Eight starting nodes of Baton, spread over those of the backend that take writes.
pub(crate) async fn many_prepare_at_once(bed: &Bed, nodes: &[usize], admin: &Server) {
    let database = bed.database();
    let stores: Vec<_> = (0..8)
        .map(|number| bed.store(nodes[number % nodes.len()], &database))
        .collect();
    let prepared = join_all(stores.iter().map(|following| following.store.prepare())).await;
    // One that connects late finds the work of the others done.
    let prepared: Vec<u32> = prepared.into_iter().map(Result::unwrap).collect();
    assert!(
        prepared.contains(&0),
        "nobody made the tables: {prepared:?}"
    );
    assert!(
        prepared.iter().all(|found| *found <= SCHEMA_VERSION),
        "{prepared:?}"
    );
    let versions = admin.scalar(&format!(
        "SELECT GROUP_CONCAT(version ORDER BY version) FROM {database}.baton_schema"
    ));
    let expected: Vec<String> = (1..=SCHEMA_VERSION)
        .map(|version| version.to_string())
        .collect();
    assert_eq!(
        versions.unwrap(),
        expected.join(","),
        "recorded once, and no claim left"
    );
    let engines = admin.scalar(&format!(
        "SELECT GROUP_CONCAT(DISTINCT LOWER(engine)) FROM information_schema.tables WHERE table_schema = '{database}'"
    ));
    let is_ndb = bed.kind == baton_core::policy::backend::BackendKind::Ndb;
    assert_eq!(
        engines.unwrap(),
        if is_ndb { "ndbcluster" } else { "innodb" }
    );
    let keyless = admin.scalar(&format!(
        "SELECT COUNT(*) FROM information_schema.tables t WHERE table_schema = '{database}' AND NOT EXISTS
         (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = t.table_schema
          AND s.table_name = t.table_name AND s.index_name = 'PRIMARY')"
    ));
    assert_eq!(keyless.unwrap(), "0", "tables without a primary key");
    for (following, found) in stores.iter().zip(prepared) {
        following.store.ping(&node("n1")).await.unwrap();
        assert_eq!(
            following.store.prepare().await.unwrap(),
            found,
            "found when it began"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_make_the_tables_once() {
    for flavor in Flavor::ALL {
        baton_sandbox::require!(flavor);
        let (bed, server) = Bed::single(flavor);
        for _ in 0..3 {
            many_prepare_at_once(&bed, &[0], &server).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_somebody_left_half_done_is_finished() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, server) = Bed::single(Flavor::MariaDb);
    let database = bed.database();
    bed.store(0, &database).store.prepare().await.unwrap();
    // As after a crash in the middle: some tables are missing, and the version was not recorded.
    server
        .exec(&format!(
            "USE {database}; DELETE FROM baton_schema; DROP TABLE baton_health, baton_audit, baton_step"
        ))
        .unwrap();
    let following = bed.store(0, &database);
    assert_eq!(following.store.prepare().await.unwrap(), 0);
    following.store.ping(&node("n1")).await.unwrap();
    assert!(following.store.recoveries_enabled().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_and_an_emptied_backend_are_refused_with_a_remedy() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, server) = Bed::single(Flavor::MariaDb);
    let database = bed.database();
    let following = bed.store(0, &database);
    following.store.ping(&node("n1")).await.unwrap();
    server
        .exec(&format!(
            "INSERT INTO {database}.baton_schema VALUES (99, 'baton 9')"
        ))
        .unwrap();
    let refused = bed.store(0, &database).store.prepare().await.unwrap_err();
    let text = source_text(&refused);
    assert!(
        text.contains("schema 99") && text.contains(&bed.nodes[0].to_string()),
        "{text}"
    );
    server
        .exec(&format!(
            "DROP DATABASE {database}; CREATE DATABASE {database}"
        ))
        .unwrap();
    let refused = following.store.ping(&node("n1")).await.unwrap_err();
    let text = source_text(&refused);
    assert!(text.contains("lacks tables"), "{text}");
}

fn source_text(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default()
}
