//! Channels, from `SHOW REPLICA STATUS`, `SHOW SLAVE STATUS` and `SHOW ALL SLAVES STATUS`.

use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::{Channel, Flavor, ReplicationError, ThreadState};
use std::time::Duration;

use super::{Garbled, mysql_set};
use crate::commands::LIFTED;
use crate::rows::{Record, Table};

/// Columns that are empty unless something is not replicated, or under another name.
const FILTERS: [&str; 11] = [
    "Replicate_Do_DB",
    "Replicate_Ignore_DB",
    "Replicate_Do_Table",
    "Replicate_Ignore_Table",
    "Replicate_Wild_Do_Table",
    "Replicate_Wild_Ignore_Table",
    "Replicate_Ignore_Server_Ids",
    "Replicate_Do_Domain_Ids",
    "Replicate_Ignore_Domain_Ids",
    "Replicate_Rewrite_DB",
    "Replicate_Events_Marked_For_Skip",
];

/// All channels, by name.
pub(super) fn channels(
    table: &Table,
    heartbeats: &Table,
    flavor: Flavor,
) -> Result<Vec<Channel>, Garbled> {
    let mut channels = Vec::with_capacity(table.rows.len());
    for record in table.records() {
        channels.push(channel(&record, heartbeats, flavor)?);
    }
    channels.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(channels)
}

/// Replaces the lag by what the configured query says, where the applier runs.
pub(super) fn set_lag(channels: &mut [Channel], lag: &Table) {
    let seconds = lag
        .first()
        .and_then(|record| record.first()?.trim().parse::<f64>().ok());
    let Some(lag) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
    else {
        return;
    };
    for channel in channels
        .iter_mut()
        .filter(|channel| channel.applier == ThreadState::Running)
    {
        channel.lag = Some(lag);
    }
}

fn channel(record: &Record<'_>, heartbeats: &Table, flavor: Flavor) -> Result<Channel, Garbled> {
    let name = record.owned(&["Channel_Name", "Connection_name"]);
    let port = record.number(&["Source_Port", "Master_Port"]).unwrap_or(0);
    let host = record
        .text(&["Source_Host", "Master_Host"])
        .unwrap_or_default();
    let beats = heartbeats
        .records()
        .find(|row| row.text(&["CHANNEL_NAME"]).unwrap_or_default() == name);
    let position =
        |file: &[&str], at: &[&str]| (record.owned(file), record.number(at).unwrap_or(0));
    let period = ["Slave_heartbeat_period"];
    Ok(Channel {
        source: Address::new(host, port).ok(),
        source_uid: record
            .filled(&["Source_UUID", "Master_UUID"])
            .map(str::to_ascii_lowercase),
        source_server_id: record
            .number(&["Source_Server_Id", "Master_Server_Id"])
            .filter(|&id| id != 0),
        user: record.owned(&["Source_User", "Master_User"]),
        receiver: thread(record.text(&["Replica_IO_Running", "Slave_IO_Running"])),
        applier: thread(record.text(&["Replica_SQL_Running", "Slave_SQL_Running"])),
        receiver_error: error(record, "Last_IO_Errno", "Last_IO_Error"),
        applier_error: error(record, "Last_SQL_Errno", "Last_SQL_Error"),
        received: received(record, flavor)?,
        auto_position: auto_position(record),
        lag: record
            .number(&["Seconds_Behind_Source", "Seconds_Behind_Master"])
            .map(Duration::from_secs),
        delay: Duration::from_secs(record.number(&["SQL_Delay"]).unwrap_or(0)),
        filtered: FILTERS
            .iter()
            .any(|filter| record.filled(&[filter]).is_some_and(|text| text != "0")),
        read_position: position(
            &["Source_Log_File", "Master_Log_File"],
            &["Read_Source_Log_Pos", "Read_Master_Log_Pos"],
        ),
        applied_position: position(
            &["Relay_Source_Log_File", "Relay_Master_Log_File"],
            &["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"],
        ),
        relay_position: position(&["Relay_Log_File"], &["Relay_Log_Pos"]),
        heartbeats: record
            .number(&["Slave_received_heartbeats"])
            .or_else(|| beats?.number(&["COUNT_RECEIVED_HEARTBEATS"])),
        heartbeat_period: seconds(
            record
                .text(&period)
                .or_else(|| beats?.text(&["HEARTBEAT_INTERVAL"])),
        ),
        tls: record
            .flag(&["Source_SSL_Allowed", "Master_SSL_Allowed"])
            .unwrap_or(false),
        name,
    })
}

fn thread(state: Option<&str>) -> ThreadState {
    match state {
        Some("Yes") => ThreadState::Running,
        // MariaDB's `Preparing` is a receiver that has not connected yet.
        Some("Connecting" | "Preparing") => ThreadState::Connecting,
        Some("No") => ThreadState::Stopped,
        Some(_) | None => ThreadState::Unknown,
    }
}

fn error(record: &Record<'_>, number: &str, message: &str) -> Option<ReplicationError> {
    let number = record.number(&[number]).filter(|&number| number != 0)?;
    Some(ReplicationError {
        number,
        message: record.owned(&[message]),
    })
}

fn received(record: &Record<'_>, flavor: Flavor) -> Result<GtidSet, Garbled> {
    match flavor {
        Flavor::Mariadb => {
            let text = record.text(&["Gtid_IO_Pos"]).unwrap_or_default();
            GtidSet::parse_mariadb(text).map_err(|_| Garbled {
                what: "Gtid_IO_Pos",
                text: text.to_owned(),
            })
        }
        Flavor::Mysql | Flavor::Percona | Flavor::Other => mysql_set(
            record.text(&["Retrieved_Gtid_Set"]).unwrap_or_default(),
            "Retrieved_Gtid_Set",
        ),
    }
}

fn auto_position(record: &Record<'_>) -> bool {
    let mariadb = record
        .text(&["Using_Gtid"])
        .is_some_and(|mode| !mode.eq_ignore_ascii_case("No"));
    // One whose delay is lifted will again, once that is set back.
    let lifted = record.text(&["Source_Log_File", "Master_Log_File"]) == Some(LIFTED);
    mariadb || lifted || record.flag(&["Auto_Position"]).unwrap_or(false)
}

fn seconds(text: Option<&str>) -> Option<Duration> {
    Duration::try_from_secs_f64(text?.trim().parse().ok()?)
        .ok()
        .filter(|period| !period.is_zero())
}
