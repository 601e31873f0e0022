use baton_core::ids::NodeName;
use baton_ports::prelude::*;

use super::*;
use crate::sqlite::SqliteOptions;
use crate::store::SqliteStore;

const NOTHING: &str = "";

async fn store() -> SqliteStore {
    SqliteStore::open(":memory:", &SqliteOptions::default())
        .await
        .unwrap()
        .store
}

async fn names(store: &SqliteStore) -> Vec<String> {
    let sql = "SELECT name FROM baton_example ORDER BY name";
    let rows = store.backend.fetch(sql, Vec::new()).await.unwrap();
    rows.into_iter()
        .map(|mut row| row.text("name").unwrap())
        .collect()
}

const EXAMPLE: Migration = Migration {
    version: SCHEMA_VERSION + 1,
    sql: "-- A comment; with a semicolon.
CREATE TABLE baton_example (name VARCHAR(9) NOT NULL, PRIMARY KEY (name)) {options};

INSERT INTO baton_example (name) VALUES ('one');
",
};
const RENAMED: Migration = Migration {
    version: SCHEMA_VERSION + 2,
    sql: "UPDATE baton_example SET name = 'two';\n",
};
const BROKEN: Migration = Migration {
    version: SCHEMA_VERSION + 2,
    sql: "INSERT INTO baton_example (name) VALUES ('lost');\nINSERT INTO no_such_table VALUES (1);\n",
};

#[test]
fn versions_are_consecutive_and_end_at_the_programs() {
    let versions: Vec<u32> = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .collect();
    let expected: Vec<u32> = (1..=SCHEMA_VERSION).collect();
    assert_eq!(versions, expected);
}

#[test]
fn every_table_has_a_primary_key_and_takes_the_engines_options() {
    for migration in MIGRATIONS {
        for statement in statements(migration.sql) {
            assert!(!statement.contains(';'), "not split: {statement}");
            if statement.starts_with("CREATE TABLE") {
                assert!(
                    statement.contains("PRIMARY KEY ("),
                    "no primary key: {statement}"
                );
                assert!(
                    statement.ends_with("{options}"),
                    "no engine options: {statement}"
                );
            }
        }
    }
}

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let store = store().await;
    store.set_recoveries_enabled(false).await.unwrap();
    let found = apply(&store.backend, NOTHING, &[EXAMPLE]).await.unwrap();
    assert_eq!(found, SCHEMA_VERSION);
    assert_eq!(names(&store).await, ["one"]);
    let found = apply(&store.backend, NOTHING, &[EXAMPLE, RENAMED])
        .await
        .unwrap();
    assert_eq!(found, SCHEMA_VERSION + 1);
    let found = apply(&store.backend, NOTHING, &[EXAMPLE, RENAMED])
        .await
        .unwrap();
    assert_eq!(found, SCHEMA_VERSION + 2);
    assert_eq!(names(&store).await, ["two"]);
    assert!(
        !store.recoveries_enabled().await.unwrap(),
        "what was stored before is gone"
    );
}

#[tokio::test]
async fn migration_that_fails_leaves_the_schema_before_it() {
    let store = store().await;
    let failed = apply(&store.backend, NOTHING, &[EXAMPLE, BROKEN]).await;
    assert!(matches!(failed, Err(SchemaError::Failed(_))), "{failed:?}");
    assert_eq!(names(&store).await, ["one"], "half of a migration was kept");
    store.ping(&NodeName::new("n1")).await.unwrap();
    let found = apply(&store.backend, NOTHING, &[EXAMPLE, RENAMED])
        .await
        .unwrap();
    assert_eq!(found, SCHEMA_VERSION + 1);
}

#[tokio::test]
async fn schema_of_a_newer_program_is_left_alone() {
    let store = store().await;
    apply(&store.backend, NOTHING, &[EXAMPLE, RENAMED])
        .await
        .unwrap();
    let refused = migrate(&store.backend, NOTHING).await;
    let found = SCHEMA_VERSION + 2;
    assert!(
        matches!(refused, Err(SchemaError::Newer { found: newer }) if newer == found),
        "{refused:?}"
    );
}
