//! From result sets to facts. Pure: what a server answered goes in, what it says comes out.

mod attached;
mod channel;
mod events;
mod identity;
mod prepared;
mod semi_sync;
mod space;

pub(crate) use events::{is_replica_disabled, name as event_name};
pub(crate) use identity::{flavor, version};
pub(crate) use space::is_receiver_stuck;

use baton_core::gtid::GtidSet;
use baton_core::model::{
    BinlogPosition, CommitProbe, Durability, Flavor, LogFormat, Place, ServerFacts, Space, Vitals,
};
use std::time::Duration;

use crate::rows::{Record, Table};

/// The answers of one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// One row: what cannot change while the server runs.
    pub(crate) fixed: Table,
    /// One row: variables that can.
    pub(crate) variables: Table,
    /// One row: status counters.
    pub(crate) status: Table,
    /// One row per channel.
    pub(crate) channels: Table,
    /// Heartbeats per channel, where they are not among the channels' columns.
    pub(crate) heartbeats: Table,
    /// Options of the channels, where they are not among the channels' columns.
    pub(crate) channel_options: Table,
    /// End of the binary log, where it is not among the counters.
    pub(crate) binlog: Table,
    /// Replicas that registered.
    pub(crate) registered: Table,
    /// Threads that send the binary log.
    pub(crate) dump_threads: Table,
    /// Scheduled events, if the account may read them.
    pub(crate) events: Option<Table>,
    /// Prepared XA transactions, if the account may see them.
    pub(crate) prepared: Option<Table>,
    /// Who waits for space on the disk, if that was asked this time.
    pub(crate) space: Option<Table>,
    /// What the configured query says about the lag.
    pub(crate) lag: Table,
}

/// What does not come from the server's own answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Last commit probe.
    pub(crate) commit: CommitProbe,
    /// Answers of the configured queries.
    pub(crate) place: Option<Place>,
    /// Answer of the configured query.
    pub(crate) cluster_hint: Option<String>,
    /// Accounts that `read_only` does not bind.
    pub(crate) privileged_writers: Option<Vec<String>>,
}

/// A value without which nothing can be said, and that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading {what}: {text:?} makes no sense")]
pub(crate) struct Garbled {
    /// Which value.
    pub(crate) what: &'static str,
    /// What the server wrote.
    pub(crate) text: String,
}

/// Puts a reading together.
///
/// # Errors
/// An unreadable GTID set is never taken for an empty one.
pub(crate) fn facts(answers: &Answers, beside: Beside) -> Result<ServerFacts, Garbled> {
    let (Some(fixed), Some(now)) = (answers.fixed.first(), answers.variables.first()) else {
        return Err(Garbled {
            what: "the variables",
            text: String::new(),
        });
    };
    let status = answers.status.first();
    let flavor = flavor(&answers.fixed);
    let version_text = fixed.owned(&["version"]);
    let log_bin = fixed.flag(&["log_bin"]).unwrap_or(false);
    let mut channels = channel::channels(&answers.channels, &answers.heartbeats, flavor)?;
    channel::set_lag(&mut channels, &answers.lag);
    Ok(ServerFacts {
        uid: identity::uid(&fixed, &now),
        server_id: now.number(&["server_id"]).unwrap_or(0),
        flavor,
        version: version(&version_text),
        version_text,
        version_comment: fixed.owned(&["version_comment"]),
        hostname: fixed.owned(&["hostname"]),
        port: fixed.number(&["port"]).unwrap_or(0),
        report_host: fixed.filled(&["report_host"]).map(str::to_owned),
        report_port: fixed.number(&["report_port"]).filter(|&port| port != 0),
        // Anything but a plain "off" is taken for read-only: newer servers have more than two
        // values.
        read_only: now.flag(&["read_only"]) != Some(false),
        super_read_only: now.flag(&["super_read_only"]),
        log_bin,
        log_updates: fixed
            .flag(&["log_replica_updates", "log_slave_updates"])
            .unwrap_or(false),
        log_format: log_format(&now),
        row_image: now.owned(&["binlog_row_image"]),
        gtid_mode: gtid_mode(&now, flavor),
        executed: executed(&now, flavor)?,
        purged: purged(&now)?,
        binlog: log_bin.then(|| binlog(answers, status)).flatten(),
        channels,
        replicas: attached::replicas(&answers.registered, &answers.dump_threads),
        semi_sync: semi_sync::semi_sync(&now, status),
        durability: durability(&fixed, &now),
        vitals: Vitals {
            commit: beside.commit,
            space: space::space(answers.space.as_ref()),
            ..vitals(&now, status)
        },
        events: answers
            .events
            .as_ref()
            .map(|table| events::events(table, &now)),
        prepared: answers.prepared.as_ref().map(prepared::names),
        place: beside.place,
        cluster_hint: beside.cluster_hint,
        privileged_writers: beside.privileged_writers,
    })
}

fn durability(fixed: &Record<'_>, now: &Record<'_>) -> Durability {
    Durability {
        sync_binlog: now.number(&["sync_binlog"]),
        flush_log_at_commit: now.number(&["innodb_flush_log_at_trx_commit"]),
        sync_relay_log: now.number(&["sync_relay_log"]),
        relay_log_recovery: fixed.flag(&["relay_log_recovery"]),
    }
}

/// What the server has executed, from its variables.
///
/// # Errors
/// If a text is no GTID set.
pub(crate) fn executed(now: &Record<'_>, flavor: Flavor) -> Result<GtidSet, Garbled> {
    match flavor {
        Flavor::Mariadb => {
            let state = now.text(&["gtid_binlog_state"]).unwrap_or_default();
            // A server that logs what it replicates has all of it in the state; one that does not
            // only has a position.
            let positions = ["gtid_slave_pos", "gtid_current_pos"];
            let mut all = history(state, "")?;
            for position in positions.iter().filter_map(|name| now.filled(&[name])) {
                all = all.union(&history("", position)?);
            }
            Ok(all)
        }
        Flavor::Mysql | Flavor::Percona | Flavor::Other => mysql_set(
            now.text(&["gtid_executed"]).unwrap_or_default(),
            "gtid_executed",
        ),
    }
}

fn history(state: &str, position: &str) -> Result<GtidSet, Garbled> {
    GtidSet::parse_mariadb_history(state, position).map_err(|_| Garbled {
        what: "gtid_binlog_state",
        text: format!("{state} {position}"),
    })
}

pub(crate) fn mysql_set(text: &str, what: &'static str) -> Result<GtidSet, Garbled> {
    GtidSet::parse_mysql(text).map_err(|_| Garbled {
        what,
        text: text.to_owned(),
    })
}

fn purged(now: &Record<'_>) -> Result<Option<GtidSet>, Garbled> {
    now.text(&["gtid_purged"])
        .map(|text| mysql_set(text, "gtid_purged"))
        .transpose()
}

fn gtid_mode(now: &Record<'_>, flavor: Flavor) -> String {
    match flavor {
        Flavor::Mariadb => "ON".to_owned(),
        Flavor::Mysql | Flavor::Percona | Flavor::Other => now.owned(&["gtid_mode"]),
    }
}

/// A server without the variable, or with a value nobody knew when this was written, logs rows: the
/// one format that stays.
fn log_format(now: &Record<'_>) -> LogFormat {
    match now.text(&["binlog_format"]) {
        Some(text) if text.eq_ignore_ascii_case("STATEMENT") => LogFormat::Statement,
        Some(text) if text.eq_ignore_ascii_case("MIXED") => LogFormat::Mixed,
        Some(_) | None => LogFormat::Row,
    }
}

fn binlog(answers: &Answers, status: Option<Record<'_>>) -> Option<BinlogPosition> {
    let of = |record: Record<'_>, file: &str, position: &str| {
        Some(BinlogPosition {
            file: record.filled(&[file])?.to_owned(),
            position: record.number(&[position])?,
        })
    };
    answers
        .binlog
        .first()
        .and_then(|record| of(record, "File", "Position"))
        .or_else(|| of(status?, "Binlog_snapshot_file", "Binlog_snapshot_position"))
}

fn vitals(now: &Record<'_>, status: Option<Record<'_>>) -> Vitals {
    let counter = |name: &str| status.and_then(|status| status.number::<u64>(&[name]));
    let small = |name: &str| counter(name).and_then(|count| u32::try_from(count).ok());
    Vitals {
        uptime: counter("Uptime").map(Duration::from_secs),
        connections: small("Threads_connected"),
        connections_max: now.number(&["max_connections"]),
        threads_running: small("Threads_running"),
        commit: CommitProbe::NotTried,
        space: Space::NoSign,
    }
}

#[cfg(test)]
mod tests;
