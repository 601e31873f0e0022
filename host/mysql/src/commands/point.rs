//! Pointing a channel at another source.

use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::Flavor;
use baton_ports::StatementError;

use super::Performer;
use super::replication::{Threads, statement};
use crate::channel_options::ChannelOptions;
use crate::dialect::{Dialect, Wording};
use crate::failure::number;
use crate::rows::{Record, Table};
use crate::settings::Account;
use crate::text::quote;

/// Parameters of the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct PointAt<'a> {
    pub(super) channel: &'a str,
    pub(super) source: &'a Address,
    pub(super) start: bool,
    /// Give it the configured account whatever it has.
    pub(super) account: bool,
}

/// Seconds between heartbeats of a channel that had none configured. The servers' own choice, 30,
/// is too long for a heartbeat to tell a living source from a dead one.
const HEARTBEAT_PERIOD: f64 = 1.0;

/// Seconds between attempts, and attempts of a MySQL receiver before it gives up (a day), of a
/// channel for which nobody chose them. The servers' own choices are a minute, and on newer servers
/// ten attempts.
const CONNECT_RETRY: u32 = 1;
const RETRY_COUNT: u32 = 86_400;

impl Performer<'_> {
    /// Received and unapplied transactions are dropped with the relay log and fetched again from
    /// the new source, which must have them; the planner sees to that.
    pub(super) async fn point_at(&mut self, at: PointAt<'_>) -> Result<(), StatementError> {
        let dialect = self.reader.dialect().clone();
        let shown = self.run(dialect.wording.show()).await?;
        let table = shown.first().cloned().unwrap_or_default();
        let present = find(&table, at.channel);
        let has_user =
            present.is_some_and(|record| record.filled(&["Source_User", "Master_User"]).is_some());
        let account = self.account(at.account || !has_user)?;
        if present.is_some() {
            let stop = statement(dialect.wording, "STOP", Threads::Both, Some(at.channel));
            self.stop_with_short_farewell(&stop, "").await?;
        }
        let follows = present.is_some_and(|record| {
            record
                .text(&["Using_Gtid"])
                .is_some_and(|mode| mode.eq_ignore_ascii_case("Slave_Pos"))
        });
        if dialect.flavor == Flavor::Mariadb && !follows {
            self.adopt_own_history().await?;
        }
        let options = self.options_of_new_channel(&at);
        let link = match present {
            Some(record) => Link {
                heartbeat: self.heartbeat(&dialect, &record, at.channel).await?,
                // What the statement does not mention, the channel keeps.
                kept: true,
                options: ChannelOptions::read(&record, None),
            },
            None => Link {
                heartbeat: options.heartbeat.unwrap_or(HEARTBEAT_PERIOD),
                kept: false,
                options,
            },
        };
        let change = |naming| change(&dialect, naming, at, &link, account.as_ref());
        match self.run(&change(Naming::Source)).await {
            // 8.0.22 says REPLICA, but not yet SOURCE.
            Err(StatementError::Refused {
                number: number::SYNTAX,
                ..
            }) if dialect.wording == Wording::Replica => {
                self.run(&change(Naming::Master))
                    .await
                    .map_err(|error| scrub(error, account.as_ref()))?;
            }
            result => {
                result.map_err(|error| scrub(error, account.as_ref()))?;
            }
        }
        if at.start {
            self.run(&statement(
                dialect.wording,
                "START",
                Threads::Both,
                Some(at.channel),
            ))
            .await?;
        }
        Ok(())
    }

    /// The channel's period, which falls back to the server's default unless it is said again.
    pub(super) async fn heartbeat(
        &mut self,
        dialect: &Dialect,
        channel: &Record<'_>,
        name: &str,
    ) -> Result<f64, StatementError> {
        let mut period = channel.number::<f64>(&["Slave_heartbeat_period"]);
        if let (None, Some(sql)) = (period, dialect.heartbeats) {
            let tables = self.run(sql).await?;
            let mut rows = tables.first().into_iter().flat_map(Table::records);
            period = rows
                .find(|row| row.owned(&["CHANNEL_NAME"]) == name)
                .and_then(|row| row.number(&["HEARTBEAT_INTERVAL"]));
        }
        Ok(period
            .filter(|&period| period > 0.0)
            .unwrap_or(HEARTBEAT_PERIOD))
    }

    /// What a channel is given that is not there yet: what others have to the same source, and what
    /// the configuration says.
    fn options_of_new_channel(&self, at: &PointAt<'_>) -> ChannelOptions {
        let mariadb = self.reader.dialect().wording == Wording::Connections;
        let seen = &self.access.channels;
        let model = match seen.model(self.address, at.source, at.channel) {
            Some(model) if mariadb => model.for_mariadb(),
            Some(model) => model,
            None if mariadb => ChannelOptions::preferring_tls(),
            None => ChannelOptions::default(),
        };
        match &self.access.settings.replication_tls {
            Some(tls) => model.with_tls(tls),
            None => model,
        }
    }

    fn account(&self, needed: bool) -> Result<Option<Account>, StatementError> {
        if !needed {
            return Ok(None);
        }
        let account = self.access.settings.replication.clone();
        account.map(Some).ok_or_else(|| {
            self.refused(
                number::NOT_A_REPLICA,
                "the channel has no account and none is configured",
            )
        })
    }

    /// MariaDB: a server that wrote itself has its last transactions in `gtid_binlog_pos` only,
    /// while a replica asks its source for what follows `gtid_slave_pos`.
    /// (`MASTER_USE_GTID=current_pos` joins the two at each connect, which is deprecated and sends
    /// a replica with a single local write out of step.) So the join is made once, here.
    async fn adopt_own_history(&mut self) -> Result<(), StatementError> {
        let sql =
            "SELECT @@global.gtid_slave_pos AS slave_pos, @@global.gtid_binlog_pos AS binlog_pos";
        let tables = self.run(sql).await?;
        let Some(record) = tables.first().and_then(Table::first) else {
            return Err(self.refused(0, "the server gave no position"));
        };
        let position =
            |name: &str| GtidSet::parse_mariadb(record.text(&[name]).unwrap_or_default());
        let (Ok(GtidSet::Mariadb(followed)), Ok(GtidSet::Mariadb(written))) =
            (position("slave_pos"), position("binlog_pos"))
        else {
            return Err(self.refused(0, "the server gave no position that can be read"));
        };
        let joined = followed.union(&written).position();
        if joined == followed {
            return Ok(());
        }
        self.run(&format!(
            "SET GLOBAL gtid_slave_pos={}",
            quote(&joined.to_string())
        ))
        .await
        .map(|_| ())
    }
}

pub(super) fn find<'a>(table: &'a Table, channel: &str) -> Option<Record<'a>> {
    table
        .records()
        .find(|record| record.owned(&["Channel_Name", "Connection_name"]) == channel)
}

/// How the options are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// `SOURCE_HOST`, where the wording allows.
    Source,
    /// `MASTER_HOST`.
    Master,
}

/// How the channel is to reach its source.
struct Link {
    heartbeat: f64,
    /// The channel has the options already.
    kept: bool,
    options: ChannelOptions,
}

fn change(
    dialect: &Dialect,
    naming: Naming,
    at: PointAt<'_>,
    link: &Link,
    account: Option<&Account>,
) -> String {
    let modern = dialect.wording == Wording::Replica && naming == Naming::Source;
    let prefix = if modern { "SOURCE" } else { "MASTER" };
    let mut options = vec![
        format!("{prefix}_HOST={}", quote(&at.source.host)),
        format!("{prefix}_PORT={}", at.source.port),
        format!(
            "{prefix}_CONNECT_RETRY={}",
            link.options.connect_retry.unwrap_or(CONNECT_RETRY)
        ),
    ];
    if !link.kept {
        options.extend(link.options.clauses(prefix));
    }
    if let Some(account) = account {
        options.push(format!("{prefix}_USER={}", quote(&account.user)));
        options.push(format!(
            "{prefix}_PASSWORD={}",
            quote(account.password.reveal())
        ));
    }
    options.push(format!("{prefix}_HEARTBEAT_PERIOD={}", link.heartbeat));
    let columns = &dialect.channel_columns;
    match dialect.wording {
        Wording::Connections => options.push("MASTER_USE_GTID=slave_pos".to_owned()),
        Wording::Replica | Wording::Slave => {
            options.push(format!("{prefix}_AUTO_POSITION=1"));
            let attempts = link.options.retry_count.unwrap_or(RETRY_COUNT);
            options.push(format!("{prefix}_RETRY_COUNT={attempts}"));
            let can_ask = columns.has_column("Get_Source_public_key")
                || columns.has_column("Get_master_public_key");
            if can_ask && link.options.asks_for_public_key() {
                // Without TLS an account with caching_sha2_password cannot log in for the first
                // time otherwise.
                options.push(format!("GET_{prefix}_PUBLIC_KEY=1"));
            }
        }
    }
    let options = options.join(", ");
    let channel = quote(at.channel);
    match dialect.wording {
        Wording::Connections => format!("CHANGE MASTER {channel} TO {options}"),
        Wording::Replica | Wording::Slave if modern => {
            format!("CHANGE REPLICATION SOURCE TO {options} FOR CHANNEL {channel}")
        }
        Wording::Replica | Wording::Slave => {
            format!("CHANGE MASTER TO {options} FOR CHANNEL {channel}")
        }
    }
}

/// A server quotes the statement it does not understand, the password with it.
fn scrub(error: StatementError, account: Option<&Account>) -> StatementError {
    match (error, account) {
        (
            StatementError::Refused {
                command,
                number,
                message,
            },
            Some(account),
        ) => {
            let secret = account.password.reveal();
            let safe = number != number::SYNTAX && (secret.is_empty() || !message.contains(secret));
            let message = if safe {
                message
            } else {
                "<redacted>".to_owned()
            };
            StatementError::Refused {
                command,
                number,
                message,
            }
        }
        (error, _) => error,
    }
}
