//! The statements of a probe, per kind, and how their answers are read. One text, one table, one
//! round trip; the measured cost of each is below a millisecond.
//!
//! The pause in front of a question (`SELECT SLEEP`) is harmless on every kind: the statement
//! touches no table, holds no lock, waits for no cluster, and is allowed on a node without quorum.

use std::time::Duration;

use baton_core::model::ProbeFailure;
use baton_core::policy::backend::BackendKind;
use baton_mysql::{Record, Table};
use baton_ports::{BackendFacts, GaleraFacts, GroupFacts, NdbFacts};

/// `SHOW GLOBAL STATUS` cannot be joined with variables; this table can, and is readable on a node
/// without quorum.
const GALERA: &str = "SELECT @@global.wsrep_provider AS provider, @@global.read_only AS read_only, \
@@global.wsrep_reject_queries AS reject_queries, @@global.wsrep_desync AS desync, \
MAX(IF(VARIABLE_NAME='WSREP_READY',VARIABLE_VALUE,NULL)) AS ready, \
MAX(IF(VARIABLE_NAME='WSREP_CLUSTER_STATUS',VARIABLE_VALUE,NULL)) AS cluster_status, \
MAX(IF(VARIABLE_NAME='WSREP_LOCAL_STATE',VARIABLE_VALUE,NULL)) AS local_state, \
MAX(IF(VARIABLE_NAME='WSREP_CLUSTER_SIZE',VARIABLE_VALUE,NULL)) AS size, \
MAX(IF(VARIABLE_NAME='WSREP_CLUSTER_STATE_UUID',VARIABLE_VALUE,NULL)) AS uuid, \
MAX(IF(VARIABLE_NAME='WSREP_LOCAL_INDEX',VARIABLE_VALUE,NULL)) AS idx, \
MAX(IF(VARIABLE_NAME='WSREP_LAST_COMMITTED',VARIABLE_VALUE,NULL)) AS last_committed \
FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN ('WSREP_READY','WSREP_CLUSTER_STATUS','WSREP_LOCAL_STATE',\
'WSREP_CLUSTER_SIZE','WSREP_CLUSTER_STATE_UUID','WSREP_LOCAL_INDEX','WSREP_LAST_COMMITTED')";

/// MariaDB and Percona keep the status tables in different schemas.
const GLOBAL_STATUS: (&str, &str) = (
    "information_schema.GLOBAL_STATUS",
    "performance_schema.global_status",
);

const NDB: &str = "SELECT @@global.read_only AS read_only, @@global.super_read_only AS super_read_only, \
MAX(IF(VARIABLE_NAME='Ndb_number_of_ready_data_nodes',VARIABLE_VALUE,NULL)) AS ready, \
MAX(IF(VARIABLE_NAME='Ndb_number_of_data_nodes',VARIABLE_VALUE,NULL)) AS configured, \
MAX(IF(VARIABLE_NAME='Ndb_cluster_node_id',VARIABLE_VALUE,NULL)) AS node, \
MAX(IF(VARIABLE_NAME='Ndb_system_name',VARIABLE_VALUE,NULL)) AS system_name \
FROM performance_schema.global_status WHERE VARIABLE_NAME IN ('Ndb_number_of_ready_data_nodes',\
'Ndb_number_of_data_nodes','Ndb_cluster_node_id','Ndb_system_name')";

const GROUP: &str = "SELECT @@global.group_replication_group_name AS group_name, @@global.super_read_only AS super_read_only, \
@@global.read_only AS read_only, @@global.offline_mode AS offline, \
MAX(IF(MEMBER_ID=@@server_uuid,MEMBER_STATE,NULL)) AS state, MAX(IF(MEMBER_ID=@@server_uuid,MEMBER_ROLE,NULL)) AS role, \
COUNT(*) AS members, SUM(MEMBER_STATE IN ('ONLINE','RECOVERING')) AS seen \
FROM performance_schema.replication_group_members";

/// Unknown column, table or variable, statement not understood: the question belongs to another
/// kind of server.
const STRANGE: [u16; 6] = [1054, 1064, 1109, 1146, 1193, 1238];

/// Which of two wordings a Galera node understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wording {
    #[default]
    MariaDb,
    Percona,
}

impl Wording {
    pub(super) fn other(self) -> Self {
        match self {
            Self::MariaDb => Self::Percona,
            Self::Percona => Self::MariaDb,
        }
    }
}

/// Asks a server of a pair whether it belongs to a cluster of another kind.
pub(super) const MEMBERSHIP: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_provider','group_replication_group_name')";

/// The answer.
pub(super) fn is_cluster_member(table: &Table) -> bool {
    let variables = Table::from_pairs(table);
    variables.first().is_some_and(|record| {
        record.filled(&["wsrep_provider"]).is_some_and(is_provider)
            || record.filled(&["group_replication_group_name"]).is_some()
    })
}

/// MariaDB and MySQL servers without Galera show `none`. (`@@global.wsrep_on` was seen to be 0 on
/// members of a cluster.)
fn is_provider(provider: &str) -> bool {
    !provider.eq_ignore_ascii_case("none")
}

/// The text of the question, after a pause on the server. `None` for a pair, which is read like a
/// managed server.
pub(super) fn question(kind: BackendKind, wording: Wording, pause: Duration) -> Option<String> {
    let facts = match kind {
        BackendKind::Galera if wording == Wording::Percona => {
            GALERA.replace(GLOBAL_STATUS.0, GLOBAL_STATUS.1)
        }
        BackendKind::Galera => GALERA.to_owned(),
        BackendKind::Ndb => NDB.to_owned(),
        BackendKind::GroupReplication => GROUP.to_owned(),
        BackendKind::MasterMaster | BackendKind::Sqlite => return None,
    };
    if pause.is_zero() {
        return Some(facts);
    }
    let (seconds, micros) = (pause.as_secs(), pause.subsec_micros());
    Some(format!("SELECT SLEEP({seconds}.{micros:06}); {facts}"))
}

/// True if a failure says that the server does not know what was asked for.
pub(super) fn is_strange(failure: &ProbeFailure) -> bool {
    matches!(failure, ProbeFailure::Statement { number } if STRANGE.contains(number))
}

/// The facts in the last table of an answer.
pub(super) fn answer(kind: BackendKind, tables: &[Table]) -> Result<BackendFacts, ProbeFailure> {
    let record = tables
        .last()
        .and_then(Table::first)
        .ok_or(ProbeFailure::NotMysql)?;
    match kind {
        BackendKind::Galera => Ok(BackendFacts::Galera(galera(record))),
        BackendKind::Ndb => Ok(BackendFacts::Ndb(ndb(record))),
        BackendKind::GroupReplication => Ok(BackendFacts::Group(group(record))),
        BackendKind::MasterMaster | BackendKind::Sqlite => Err(ProbeFailure::NotMysql),
    }
}

/// A switch that is on unless the server clearly says that it is off: for what forbids use.
fn on_unless_off(record: Record<'_>, name: &str) -> bool {
    record.flag(&[name]) != Some(false)
}

fn galera(record: Record<'_>) -> GaleraFacts {
    let status = record.text(&["cluster_status"]).unwrap_or_default();
    GaleraFacts {
        on: record.filled(&["provider"]).is_some_and(is_provider),
        ready: record.flag(&["ready"]) == Some(true),
        primary: status.eq_ignore_ascii_case("primary"),
        local_state: record.number(&["local_state"]).unwrap_or(0),
        size: record.number(&["size"]),
        uuid: record.owned(&["uuid"]),
        index: record.number(&["idx"]),
        last_committed: record.number(&["last_committed"]),
        desync: record.flag(&["desync"]) == Some(true),
        reject_queries: record.owned(&["reject_queries"]),
        read_only: on_unless_off(record, "read_only"),
    }
}

fn ndb(record: Record<'_>) -> NdbFacts {
    NdbFacts {
        ready_nodes: record.number(&["ready"]),
        data_nodes: record.number(&["configured"]),
        node_id: record.number(&["node"]),
        system: record.filled(&["system_name"]).map(str::to_owned),
        read_only: on_unless_off(record, "read_only"),
        super_read_only: on_unless_off(record, "super_read_only"),
    }
}

fn group(record: Record<'_>) -> GroupFacts {
    let role = record.text(&["role"]).unwrap_or_default();
    GroupFacts {
        group: record.filled(&["group_name"]).map(str::to_owned),
        state: record.filled(&["state"]).unwrap_or("OFFLINE").to_owned(),
        primary: role.eq_ignore_ascii_case("primary"),
        super_read_only: on_unless_off(record, "super_read_only"),
        read_only: on_unless_off(record, "read_only"),
        offline: on_unless_off(record, "offline"),
        members: record.number(&["members"]).unwrap_or(0),
        seen: record.number(&["seen"]).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &[(&str, Option<&str>)]) -> Vec<Table> {
        vec![
            Table::default(),
            Table {
                columns: cells.iter().map(|(name, _)| (*name).to_owned()).collect(),
                rows: vec![
                    cells
                        .iter()
                        .map(|(_, value)| value.map(str::to_owned))
                        .collect(),
                ],
            },
        ]
    }

    #[test]
    fn what_is_missing_never_makes_a_node_usable() {
        let nothing = table(&[("x", None)]);
        let BackendFacts::Galera(galera) = answer(BackendKind::Galera, &nothing).unwrap() else {
            panic!("another kind");
        };
        assert!(!galera.on && !galera.ready && !galera.primary && galera.read_only);
        let BackendFacts::Ndb(ndb) = answer(BackendKind::Ndb, &nothing).unwrap() else {
            panic!("another kind");
        };
        assert!(ndb.ready_nodes.is_none() && ndb.read_only && ndb.super_read_only);
        let BackendFacts::Group(group) = answer(BackendKind::GroupReplication, &nothing).unwrap()
        else {
            panic!("another kind");
        };
        assert!(group.state == "OFFLINE" && !group.primary && group.offline && group.read_only);
        assert_eq!(answer(BackendKind::Ndb, &[]), Err(ProbeFailure::NotMysql));
    }

    #[test]
    fn a_pause_comes_first() {
        let pause = Duration::from_millis(1250);
        let sql = question(BackendKind::Ndb, Wording::MariaDb, pause).unwrap();
        assert!(
            sql.starts_with("SELECT SLEEP(1.250000); SELECT @@global"),
            "{sql}"
        );
        let percona = question(BackendKind::Galera, Wording::Percona, Duration::ZERO).unwrap();
        assert!(
            percona.contains("FROM performance_schema.global_status"),
            "{percona}"
        );
    }

    #[test]
    fn unknown_names_are_strange_and_refusals_are_not() {
        assert!(is_strange(&ProbeFailure::Statement { number: 1193 }));
        assert!(!is_strange(&ProbeFailure::Statement { number: 1227 }));
        assert!(!is_strange(&ProbeFailure::Reset));
    }
}
