//! Proof that a node is part of a working cluster: a read that has to go through the cluster.
//! Status variables tell the past for up to three seconds after a node was frozen or cut off; these
//! reads wait, and then fail.

use baton_core::model::ProbeFailure;
use baton_core::policy::backend::BackendKind;
use baton_mysql::Table;

/// Outcome of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The read went through.
    Held,
    /// The cluster refused it, with this error number.
    Refused(u16),
    /// No answer in time: the cluster stalls, or this node is cut off. Which of the two, the
    /// others' proofs tell.
    Late,
    /// The node cannot be used anyway, or the kind knows no proof.
    NotTried,
}

/// What the tables say, read along with the proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Highest lease epoch; `None` = no such table, or an empty one.
    pub(crate) epoch: Option<u64>,
    /// Version of the tables.
    pub(crate) schema: Option<u32>,
    /// The state went from here to the backend of this name.
    pub(crate) moved_to: Option<String>,
    /// What is there is a copy that is not whole, or not opened.
    pub(crate) closed: bool,
    /// The database itself is not there.
    pub(crate) no_database: bool,
    /// The account may not read the tables.
    pub(crate) denied: bool,
}

/// Statements around the read: before and after. Galera: `wsrep_sync_wait` bit 1 makes reads wait
/// for what was committed before. Group Replication: `BEFORE` does.
pub(crate) fn frame(kind: BackendKind) -> Option<(&'static str, &'static str)> {
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
pub(crate) fn read(database: &str) -> String {
    format!(
        "SELECT (SELECT MAX(epoch) FROM `{database}`.baton_lease WHERE name NOT IN ('moved-to', 'copied-from')) AS epoch, \
         (SELECT MAX(version) FROM `{database}`.baton_schema) AS version, \
         (SELECT holder FROM `{database}`.baton_lease WHERE name = 'moved-to') AS moved_to, \
         (SELECT COUNT(*) FROM `{database}`.baton_switch WHERE name = 'restoring') AS closed"
    )
}

/// A read that needs the data nodes, while Baton's tables do not exist yet.
pub(crate) const NDB_WITHOUT_TABLES: &str = "SELECT COUNT(*) FROM ndbinfo.nodes";

/// One row if the account sees the database.
pub(crate) fn find_database(database: &str) -> String {
    let name = database.replace('\\', "\\\\").replace('\'', "''");
    format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = '{name}'")
}

/// No right to read a table, or no such table or database.
pub(crate) fn is_about_rights(number: u16) -> bool {
    matches!(number, 1044 | 1049 | 1109 | 1142 | 1143 | 1146)
}

/// What the answer says. `None`: not an answer to this question.
pub(crate) fn content(table: &Table) -> Option<Content> {
    let record = table.first()?;
    Some(Content {
        epoch: record.number(&["epoch"]),
        schema: record.number(&["version"]),
        moved_to: record.filled(&["moved_to"]).map(str::to_owned),
        closed: record
            .number::<u32>(&["closed"])
            .is_some_and(|count| count > 0),
        ..Content::default()
    })
}

/// What a refused read says about the tables, if the refusal is about them. The wait of [`frame`]
/// happens before the server looks at tables, so such a refusal proves as much as an answer.
pub(crate) fn absence(failure: &ProbeFailure) -> Option<Content> {
    /// No such table.
    const NO_TABLE: u16 = 1146;
    /// No such database.
    const NO_DATABASE: u16 = 1049;
    /// No right to read it.
    const DENIED: [u16; 3] = [1044, 1142, 1143];
    match failure.error_number()? {
        NO_TABLE => Some(Content::default()),
        NO_DATABASE => Some(Content {
            no_database: true,
            ..Content::default()
        }),
        number if DENIED.contains(&number) => Some(Content {
            denied: true,
            ..Content::default()
        }),
        _ => None,
    }
}
