use super::*;
use crate::rows::recorded::vertical;
use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::{AttachedReplica, ThreadState, Version};

macro_rules! recorded {
    ($name:literal) => {
        vertical(include_str!(concat!("../../recorded/", $name, ".txt")))
    };
}

fn beside() -> Beside {
    Beside {
        commit: CommitProbe::NotTried,
        place: None,
        cluster_hint: None,
        privileged_writers: None,
    }
}

fn mariadb_primary() -> Answers {
    Answers {
        fixed: recorded!("mariadb-10.11/primary.fixed"),
        variables: recorded!("mariadb-10.11/primary.variables"),
        status: Table::from_pairs(&recorded!("mariadb-10.11/primary.status")),
        registered: recorded!("mariadb-10.11/primary.registered"),
        dump_threads: recorded!("mariadb-10.11/primary.dump_threads"),
        ..Answers::default()
    }
}

fn mariadb_replica() -> Answers {
    Answers {
        fixed: recorded!("mariadb-10.11/replica.fixed"),
        variables: recorded!("mariadb-10.11/replica.variables"),
        status: Table::from_pairs(&recorded!("mariadb-10.11/replica.status")),
        channels: recorded!("mariadb-10.11/replica.channels"),
        ..Answers::default()
    }
}

fn mysql_primary() -> Answers {
    Answers {
        fixed: recorded!("mysql-9.7/primary.fixed"),
        variables: recorded!("mysql-9.7/primary.variables"),
        status: Table::from_pairs(&recorded!("mysql-9.7/primary.status")),
        binlog: recorded!("mysql-9.7/primary.binlog"),
        registered: recorded!("mysql-9.7/primary.registered"),
        dump_threads: recorded!("mysql-9.7/primary.dump_threads"),
        ..Answers::default()
    }
}

fn mysql_replica() -> Answers {
    Answers {
        fixed: recorded!("mysql-9.7/replica.fixed"),
        variables: recorded!("mysql-9.7/replica.variables"),
        status: Table::from_pairs(&recorded!("mysql-9.7/replica.status")),
        channels: recorded!("mysql-9.7/replica.channels"),
        heartbeats: recorded!("mysql-9.7/replica.heartbeats"),
        ..Answers::default()
    }
}

fn old_replica() -> Answers {
    Answers {
        fixed: recorded!("mysql-8.0/replica.fixed"),
        variables: recorded!("mysql-8.0/replica.variables"),
        status: Table::from_pairs(&recorded!("mysql-8.0/replica.status")),
        channels: recorded!("mysql-8.0/replica.channels"),
        binlog: recorded!("mysql-8.0/replica.binlog"),
        registered: recorded!("mysql-8.0/replica.registered"),
        ..Answers::default()
    }
}

fn two_channels() -> Answers {
    Answers {
        fixed: recorded!("mysql-8.4/replica.fixed"),
        variables: recorded!("mysql-8.4/replica.variables"),
        channels: recorded!("mysql-8.4/replica.channels"),
        heartbeats: recorded!("mysql-8.4/replica.heartbeats"),
        ..Answers::default()
    }
}

fn mysql(text: &str) -> GtidSet {
    GtidSet::parse_mysql(text).unwrap()
}

#[test]
fn a_mariadb_primary() {
    let facts = facts(&mariadb_primary(), beside()).unwrap();
    assert_eq!(
        (facts.flavor, facts.version),
        (
            Flavor::Mariadb,
            Version {
                major: 10,
                minor: 11,
                patch: 19
            }
        )
    );
    assert!(facts.uid.ends_with("=/34003"), "{}", facts.uid);
    assert!(
        !facts.read_only && facts.super_read_only.is_none() && facts.log_bin && facts.log_updates
    );
    assert_eq!(facts.log_format, LogFormat::Mixed);
    assert_eq!(
        facts.executed,
        GtidSet::parse_mariadb_history("0-34003-19", "").unwrap()
    );
    assert_eq!(
        facts.binlog,
        Some(BinlogPosition {
            file: "binlog.000002".into(),
            position: 538
        })
    );
    let replica = |port, server_id| AttachedReplica {
        host: if port == Some(34004) {
            "127.0.0.1".into()
        } else {
            "localhost".into()
        },
        port,
        server_id,
        uid: None,
    };
    assert_eq!(
        facts.replicas,
        [replica(Some(34004), Some(34004)), replica(None, None)]
    );
    let semi_sync = facts.semi_sync.unwrap();
    assert!(!semi_sync.source_enabled && !semi_sync.source_active && semi_sync.wait_for == 1);
    assert_eq!(semi_sync.timeout, Some(Duration::from_secs(10)));
    assert_eq!(
        (facts.vitals.connections, facts.vitals.connections_max),
        (Some(2), Some(20))
    );
}

#[test]
fn a_mariadb_replica() {
    let facts = facts(&mariadb_replica(), beside()).unwrap();
    assert!(facts.read_only);
    let [channel] = facts.channels.as_slice() else {
        panic!("{:?}", facts.channels)
    };
    assert_eq!(channel.source, Address::new("127.0.0.1", 34003).ok());
    assert!(channel.is_replicating() && channel.auto_position && !channel.filtered && !channel.tls);
    assert_eq!(
        channel.received,
        GtidSet::parse_mariadb("0-34003-19").unwrap()
    );
    assert_eq!(channel.heartbeat_period, Some(Duration::from_secs(1)));
    assert_eq!(
        (channel.source_server_id, channel.source_uid.as_deref()),
        (Some(34003), None)
    );
    assert_eq!(
        (channel.lag, channel.delay),
        (Some(Duration::ZERO), Duration::ZERO)
    );
    assert_eq!(channel.user, "repl");
}

#[test]
fn a_mysql_primary() {
    let facts = facts(&mysql_primary(), beside()).unwrap();
    assert_eq!(
        (facts.flavor, facts.version),
        (
            Flavor::Mysql,
            Version {
                major: 9,
                minor: 7,
                patch: 4
            }
        )
    );
    assert_eq!(facts.uid, "4ac38c9a-e7ca-11f1-bc93-02fc00000001");
    assert_eq!(
        (facts.read_only, facts.super_read_only),
        (false, Some(false))
    );
    assert_eq!(
        facts.executed,
        mysql("4ac38c9a-e7ca-11f1-bc93-02fc00000001:1-13")
    );
    assert_eq!(facts.purged, Some(mysql("")));
    assert_eq!(
        facts.binlog,
        Some(BinlogPosition {
            file: "binlog.000002".into(),
            position: 470
        })
    );
    let replica = &facts.replicas[0];
    assert_eq!(
        (replica.host.as_str(), replica.port, replica.server_id),
        ("127.0.0.1", Some(34002), Some(34002))
    );
    assert_eq!(
        replica.uid.as_deref(),
        Some("4ad14431-e7ca-11f1-a604-02fc00000001")
    );
    let semi_sync = facts.semi_sync.unwrap();
    assert!(semi_sync.source_enabled && semi_sync.source_active && !semi_sync.replica_enabled);
    assert_eq!(
        (
            semi_sync.clients,
            semi_sync.wait_for,
            semi_sync.waiting_sessions
        ),
        (1, 1, 0)
    );
}

#[test]
fn a_mysql_replica() {
    let facts = facts(&mysql_replica(), beside()).unwrap();
    assert_eq!((facts.read_only, facts.super_read_only), (true, Some(true)));
    let [channel] = facts.channels.as_slice() else {
        panic!("{:?}", facts.channels)
    };
    assert_eq!(
        channel.source_uid.as_deref(),
        Some("4ac38c9a-e7ca-11f1-bc93-02fc00000001")
    );
    assert_eq!(
        (channel.heartbeats, channel.heartbeat_period),
        (Some(114), Some(Duration::from_secs(1)))
    );
    assert!(channel.is_replicating() && channel.auto_position && channel.tls);
    assert!(
        facts
            .semi_sync
            .is_some_and(|semi_sync| semi_sync.replica_enabled && semi_sync.replica_active)
    );
}

#[test]
fn the_wording_before_8_0_22() {
    let facts = facts(&old_replica(), beside()).unwrap();
    assert_eq!(
        (
            facts.flavor,
            facts.version.patch,
            facts.report_host.as_ref()
        ),
        (Flavor::Mysql, 21, None)
    );
    assert!(facts.log_updates && facts.log_format == LogFormat::Mixed);
    let [channel] = facts.channels.as_slice() else {
        panic!("{:?}", facts.channels)
    };
    assert_eq!(
        (channel.receiver, channel.applier),
        (ThreadState::Connecting, ThreadState::Stopped)
    );
    assert_eq!(
        channel.receiver_error.as_ref().map(|error| error.number),
        Some(2003)
    );
    assert_eq!(
        channel.applier_error.as_ref().map(|error| error.number),
        Some(1062)
    );
    assert_eq!(
        channel.received,
        mysql("3e11fa47-71ca-11e1-9e33-c80aa9429562:5-9")
    );
    assert_eq!(
        channel.source_uid.as_deref(),
        Some("3e11fa47-71ca-11e1-9e33-c80aa9429562")
    );
    assert!(channel.filtered && !channel.tls && channel.lag.is_none());
    assert_eq!(channel.delay, Duration::from_hours(1));
    assert_eq!(
        facts.possessed(),
        mysql("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9")
    );
    assert_eq!(
        facts.replicas[0].uid.as_deref(),
        Some("4f55ab58-e7ca-11f1-8100-02fc00000001")
    );
    let semi_sync = facts.semi_sync.unwrap();
    assert!(semi_sync.replica_enabled && semi_sync.replica_active && semi_sync.wait_for == 2);
}

#[test]
fn channels_tags_and_what_is_not_understood() {
    let facts = facts(&two_channels(), beside()).unwrap();
    assert_eq!((facts.flavor, facts.report_port), (Flavor::Percona, None));
    assert_eq!(
        facts.executed,
        mysql("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:batch:1-2")
    );
    let [east, west] = facts.channels.as_slice() else {
        panic!("{:?}", facts.channels)
    };
    assert_eq!((east.name.as_str(), west.name.as_str()), ("east", "west"));
    assert_eq!(
        (east.source.clone(), west.source.clone()),
        (None, Address::new("west1.example", 3306).ok())
    );
    assert_eq!((east.receiver, east.lag), (ThreadState::Unknown, None));
    assert_eq!((east.heartbeats, west.heartbeats), (Some(3), Some(77)));
    assert_eq!(west.heartbeat_period, Some(Duration::from_millis(500)));
    assert!(facts.semi_sync.is_none() && facts.vitals.uptime.is_none() && facts.binlog.is_none());
}

#[test]
fn an_unreadable_gtid_set_is_not_an_empty_one() {
    for (mut answers, column, what) in [
        (mariadb_replica(), "gtid_binlog_state", "gtid_binlog_state"),
        (mysql_replica(), "gtid_executed", "gtid_executed"),
    ] {
        let at = answers
            .variables
            .columns
            .iter()
            .position(|name| name == column)
            .unwrap();
        answers.variables.rows[0][at] = Some("all of them".into());
        assert_eq!(facts(&answers, beside()).unwrap_err().what, what);
    }
    let mut answers = mysql_replica();
    let at = answers
        .channels
        .columns
        .iter()
        .position(|name| name == "Retrieved_Gtid_Set")
        .unwrap();
    answers.channels.rows[0][at] = Some("?".into());
    assert_eq!(
        facts(&answers, beside()).unwrap_err().what,
        "Retrieved_Gtid_Set"
    );
}

#[test]
fn long_sets_come_in_several_lines() {
    let mut answers = mysql_primary();
    let at = answers
        .variables
        .columns
        .iter()
        .position(|name| name == "gtid_executed")
        .unwrap();
    let text =
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4ac38c9a-e7ca-11f1-bc93-02fc00000001:1-13";
    answers.variables.rows[0][at] = Some(text.into());
    assert_eq!(facts(&answers, beside()).unwrap().executed, mysql(text));
}

/// Whatever is cut off, doubled or replaced, the answer is facts or a refusal.
#[test]
fn garbage_is_never_fatal() {
    let originals = [
        mariadb_primary(),
        mariadb_replica(),
        mysql_primary(),
        mysql_replica(),
        old_replica(),
        two_channels(),
    ];
    let values = [
        None,
        Some(""),
        Some("-1"),
        Some("99999999999999999999999"),
        Some("\u{1F980}\0'"),
        Some("NaN"),
        Some("1e400"),
    ];
    for original in originals {
        for value in values {
            for table in 0..9 {
                let mut broken = original.clone();
                let tables = tables(&mut broken);
                let cells: usize = tables[table].rows.iter().map(Vec::len).sum();
                for cell in 0..cells {
                    let mut broken = original.clone();
                    let target = nth(tables_of(&mut broken, table), cell);
                    *target = value.map(str::to_owned);
                    let _either = facts(&broken, beside());
                }
            }
        }
        for table in 0..9 {
            let mut broken = original.clone();
            for row in &mut tables_of(&mut broken, table).rows {
                row.truncate(2);
            }
            let _either = facts(&broken, beside());
            tables_of(&mut broken, table).rows.push(Vec::new());
            let _either = facts(&broken, beside());
            *tables_of(&mut broken, table) = Table::default();
            let _either = facts(&broken, beside());
        }
    }
}

fn tables(answers: &mut Answers) -> [&mut Table; 9] {
    [
        &mut answers.fixed,
        &mut answers.variables,
        &mut answers.status,
        &mut answers.channels,
        &mut answers.heartbeats,
        &mut answers.binlog,
        &mut answers.registered,
        &mut answers.dump_threads,
        &mut answers.lag,
    ]
}

fn tables_of(answers: &mut Answers, at: usize) -> &mut Table {
    tables(answers).into_iter().nth(at).unwrap()
}

fn nth(table: &mut Table, at: usize) -> &mut Option<String> {
    table.rows.iter_mut().flatten().nth(at).unwrap()
}

/// As MySQL 9.7 and MariaDB 10.11 show the same three.
#[test]
fn prepared_transactions_have_the_names_that_xa_commit_takes() {
    let row = |format: &str, global: &str, branch: &str, data: &str| {
        [format, global, branch, data]
            .map(|cell| Some(cell.to_owned()))
            .to_vec()
    };
    let table = |rows| Table {
        columns: ["formatID", "gtrid_length", "bqual_length", "data"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    };
    let mysql = table(vec![
        row("1", "3", "2", "0x612D626331"),
        row("7", "3", "3", "0x00FF27622771"),
        row("1", "4", "0", "0x6C697665"),
    ]);
    let mariadb = table(vec![
        row("1", "3", "2", "'a-b','c1'"),
        row("1", "4", "0", "'live'"),
        row("7", "3", "3", "X'00ff27',X'622771',7"),
    ]);
    let expected = ["'a-b','c1'", "'live'", "X'00ff27',X'622771',7"];
    for table in [mysql, mariadb] {
        let names: Vec<_> = prepared::names(&table).into_iter().collect();
        assert_eq!(names, expected);
    }
}
