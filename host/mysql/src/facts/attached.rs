//! Replicas as their source sees them.

use baton_core::model::AttachedReplica;

use crate::rows::{Record, Table};

/// Registered replicas with a host, and hosts from which the binary log is read.
///
/// A replica without `report_host` registers without a host. The thread that serves it shows where
/// it connects from, but not its port; if all such replicas registered with one port, it is theirs.
pub(super) fn replicas(registered: &Table, dump_threads: &Table) -> Vec<AttachedReplica> {
    let mut found = Vec::new();
    let mut nameless_ports = Vec::new();
    for record in registered.records() {
        let port = record.number::<u16>(&["Port"]).filter(|&port| port != 0);
        let Some(host) = record.filled(&["Host"]) else {
            nameless_ports.extend(port);
            continue;
        };
        found.push(AttachedReplica {
            host: host.to_ascii_lowercase(),
            port,
            server_id: record.number(&["Server_id"]),
            uid: record
                .filled(&["Replica_UUID", "Slave_UUID"])
                .map(str::to_ascii_lowercase),
        });
    }
    nameless_ports.sort_unstable();
    nameless_ports.dedup();
    let port = match nameless_ports.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    for thread in dump_threads.records().filter(sends_binlog) {
        let Some(host) = thread.filled(&["HOST"]).and_then(host_of) else {
            continue;
        };
        found.push(AttachedReplica {
            host,
            port,
            server_id: None,
            uid: None,
        });
    }
    found.sort();
    found.dedup();
    found
}

fn sends_binlog(session: &Record<'_>) -> bool {
    session
        .text(&["COMMAND"])
        .is_some_and(|command| command.starts_with("Binlog Dump"))
}

/// The host in `host:ephemeral-port`.
fn host_of(peer: &str) -> Option<String> {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let text = |cells: &[&str]| cells.iter().map(|cell| Some((*cell).to_owned())).collect();
        Table {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: rows.iter().map(|row| text(row)).collect(),
        }
    }

    fn shown(registered: &[&[&str]], threads: &[&[&str]]) -> Vec<(String, Option<u16>)> {
        let registered = table(&["Server_id", "Host", "Port", "Master_id"], registered);
        replicas(&registered, &table(&["Host", "Command"], threads))
            .into_iter()
            .map(|r| (r.host, r.port))
            .collect()
    }

    #[test]
    fn a_replica_that_reports_no_host_is_found_by_its_thread() {
        assert_eq!(
            shown(
                &[&["2", "DB2", "3307", "1"], &["3", "", "3308", "1"]],
                &[&["10.0.0.3:51000", "Binlog Dump"]]
            ),
            [
                ("10.0.0.3".to_owned(), Some(3308)),
                ("db2".to_owned(), Some(3307))
            ]
        );
    }

    #[test]
    fn ports_that_differ_are_not_guessed() {
        assert_eq!(
            shown(
                &[&["2", "", "3307", "1"], &["3", "", "3308", "1"]],
                &[&["10.0.0.3:1", "Binlog Dump"], &["::1:2", "Binlog Dump"]]
            ),
            [("10.0.0.3".to_owned(), None), ("::1".to_owned(), None)]
        );
    }

    #[test]
    fn garbage_is_no_replica() {
        assert_eq!(
            shown(
                &[&["x"], &[], &["", "", "99999999", ""]],
                &[&["10.0.0.9:1", "Sleep"], &[""], &[":1", "Binlog Dump"]]
            ),
            []
        );
    }
}
