//! Proof that a node is part of a working cluster: a read that has to go through the cluster.
//! Status variables tell the past for up to three seconds after a node was frozen or cut off; these
//! reads wait, and then fail.

use baton_core::model::ProbeFailure;
use baton_core::policy::backend::BackendKind;
use baton_mysql::Table;
use baton_ports::BackendContent;

/// Statements around the read: before and after. Galera: `wsrep_sync_wait` bit 1 makes reads wait
/// for what was committed before. Group Replication: `BEFORE` does.
pub(super) fn frame(kind: BackendKind) -> Option<(&'static str, &'static str)> {
    match kind {
        BackendKind::Galera => Some((
            "SET SESSION wsrep_sync_wait=1",
            "SET SESSION wsrep_sync_wait=0",
        )),
        BackendKind::GroupReplication => Some((
            "SET SESSION group_replication_consistency='BEFORE'",
            "SET SESSION group_replication_consistency='EVENTUAL'",
        )),
        // Rows of NDB tables are always fetched from the data nodes; a pair has no cluster to go
        // through.
        BackendKind::Ndb | BackendKind::MasterMaster | BackendKind::Sqlite => None,
    }
}

/// The read itself. The lease table has a row per lease, and at most two that are marks of a move,
/// so all of it costs what one row costs.
pub(super) fn read(database: &str) -> String {
    format!(
        "SELECT (SELECT MAX(epoch) FROM `{database}`.baton_lease WHERE name NOT IN ('moved-to', 'copied-from')) AS epoch, \
         (SELECT MAX(version) FROM `{database}`.baton_schema) AS version, \
         (SELECT holder FROM `{database}`.baton_lease WHERE name = 'moved-to') AS moved_to, \
         (SELECT COUNT(*) FROM `{database}`.baton_switch WHERE name = 'restoring') AS closed"
    )
}

/// A read that needs the data nodes, while Baton's tables do not exist yet.
pub(super) const NDB_WITHOUT_TABLES: &str = "SELECT COUNT(*) FROM ndbinfo.nodes";

/// One row if the account sees the database.
pub(super) fn find_database(database: &str) -> String {
    let name = database.replace('\\', "\\\\").replace('\'', "''");
    format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = '{name}'")
}

/// No right to read a table, or no such table or database.
pub(super) fn is_about_rights(number: u16) -> bool {
    matches!(number, 1044 | 1049 | 1109 | 1142 | 1143 | 1146)
}

/// What the answer says. `None`: not an answer to this question.
pub(super) fn content(table: &Table) -> Option<BackendContent> {
    let record = table.first()?;
    Some(BackendContent {
        epoch: record.number(&["epoch"]),
        schema: record.number(&["version"]),
        moved_to: record.filled(&["moved_to"]).map(str::to_owned),
        closed: record
            .number::<u32>(&["closed"])
            .is_some_and(|count| count > 0),
        ..BackendContent::default()
    })
}

/// What a refused read says about the tables, if the refusal is about them. The wait of [`frame`]
/// happens before the server looks at tables, so such a refusal proves as much as an answer.
pub(super) fn absence(failure: &ProbeFailure) -> Option<BackendContent> {
    /// No such table.
    const NO_TABLE: u16 = 1146;
    /// No such database.
    const NO_DATABASE: u16 = 1049;
    /// No right to read it.
    const DENIED: [u16; 3] = [1044, 1142, 1143];
    match failure.error_number()? {
        NO_TABLE => Some(BackendContent::default()),
        NO_DATABASE => Some(BackendContent {
            no_database: true,
            ..BackendContent::default()
        }),
        number if DENIED.contains(&number) => Some(BackendContent {
            denied: true,
            ..BackendContent::default()
        }),
        _ => None,
    }
}
