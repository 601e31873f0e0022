//! Ends clients' sessions so that none of them is told that a commit is safe which no replica has.
//!
//! A MariaDB primary commits in groups. One session of the group, its leader, waits for the
//! acknowledgement; the others wait for their leader. If the leader is ended, the whole group is
//! told OK, except those who were ended before it. So sessions that wait for an acknowledgement are
//! ended last, after everybody else who can commit.

use std::time::Duration;

use baton_core::model::ProbeFailure;
use mysql_async::Error;

use crate::failure::{Stage, number, probe_failure};
use crate::rows::{Record, Table};
use crate::session::{Session, within};

/// What a session does that is no client's, or is being ended already.
const NO_WRITERS: [&str; 7] = [
    "Binlog Dump",
    "Binlog Dump GTID",
    "Daemon",
    "Killed",
    "Slave_IO",
    "Slave_SQL",
    "Slave_worker",
];

/// Users of the server's own threads, and of sessions that are not logged in yet.
const NO_USERS: [&str; 3] = ["system user", "event_scheduler", "unauthenticated user"];

/// How much of a statement every process list shows.
const SHOWN: usize = 100;

/// What Baton's own sessions look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    /// Baton's account.
    pub(super) user: &'a str,
    /// The account of replicas. One that is about to connect looks like a client until it asks for
    /// the binary log.
    pub(super) replication: Option<&'a str>,
    /// The commit probe: it is Baton's, and yet it writes.
    pub(super) probe: Option<&'a str>,
}

/// A session that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) id: u64,
    /// It is in the middle of a statement.
    pub(super) busy: bool,
    /// Its commit waits for an acknowledgement, with all of its group.
    pub(super) awaits: bool,
}

/// Sessions that may write and are not being ended yet: not the server's own threads, not replicas,
/// not ours. An event's session counts, under its definer's name.
pub(super) fn clients(sessions: Option<&Table>, own: Own<'_>) -> Vec<Client> {
    let records = sessions.into_iter().flat_map(Table::records);
    records
        .filter(|session| is_writer(session, own))
        .filter_map(|session| {
            Some(Client {
                id: session.number(&["Id"])?,
                busy: is_at_work(&session),
                awaits: state(&session).contains("semi-sync"),
            })
        })
        .collect()
}

fn is_writer(session: &Record<'_>, own: Own<'_>) -> bool {
    let user = session.text(&["User"]).unwrap_or_default();
    let command = session.text(&["Command"]).unwrap_or_default();
    if NO_USERS.contains(&user) || NO_WRITERS.contains(&command) {
        return false;
    }
    let stuck = state(session).starts_with("Waiting");
    if own.replication == Some(user) && user != own.user && !stuck {
        return false;
    }
    user != own.user || own.probe.is_some_and(|probe| runs(session, probe))
}

fn runs(session: &Record<'_>, statement: &str) -> bool {
    let shown = session.text(&["Info"]).unwrap_or_default();
    let start: String = statement.chars().take(SHOWN).collect();
    !start.is_empty() && shown.starts_with(&start)
}

fn state<'a>(session: &Record<'a>) -> &'a str {
    session.text(&["State"]).unwrap_or_default()
}

fn is_at_work(session: &Record<'_>) -> bool {
    session
        .text(&["Command"])
        .is_some_and(|command| command != "Sleep")
}

/// How far a session of ours has come with its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not at work.
    Idle,
    /// At work.
    Running,
    /// The server says that it waits.
    Waiting,
}

/// The progress of session `id`.
pub(super) fn progress(sessions: Option<&Table>, id: u64) -> Progress {
    let mut records = sessions.into_iter().flat_map(Table::records);
    let found = records.find(|session| session.number(&["Id"]) == Some(id));
    match found {
        Some(session) if is_at_work(&session) && state(&session).starts_with("Waiting") => {
            Progress::Waiting
        }
        Some(session) if is_at_work(&session) => Progress::Running,
        Some(_) | None => Progress::Idle,
    }
}

/// Ends sessions, those that await an acknowledgement last. Gives false if somebody is left who is
/// at work and may not be ended by our account: then nobody who awaits an acknowledgement was
/// ended, because that would tell the other one OK.
pub(super) async fn end_all(
    session: &mut Session,
    clients: &[Client],
    limit: Duration,
) -> Result<bool, ProbeFailure> {
    let (last, first): (Vec<Client>, Vec<Client>) =
        clients.iter().partition(|client| client.awaits);
    let kept = end(session, &first, limit).await?;
    if kept.iter().any(|client| client.busy) {
        return Ok(false);
    }
    let kept = end(session, &last, limit).await?;
    Ok(kept.is_empty())
}

/// Sends all in one text, so that no round trip lies between them. Gives those that may not be
/// ended.
async fn end(
    session: &mut Session,
    clients: &[Client],
    limit: Duration,
) -> Result<Vec<Client>, ProbeFailure> {
    let mut kept = Vec::new();
    let mut rest = clients;
    while !rest.is_empty() {
        let kills: Vec<String> = rest
            .iter()
            .map(|client| format!("KILL {}", client.id))
            .collect();
        let outcome = within(limit, session.send(&kills.join("; "), || {})).await?;
        let ended = outcome.tables.len();
        match outcome.error {
            None => break,
            // The first error ends the text: go on behind the session it was about.
            Some(Error::Server(error)) if error.code == number::NO_SUCH_THREAD => {}
            Some(Error::Server(error)) if error.code == number::KILL_DENIED => {
                kept.extend(rest.get(ended));
            }
            Some(error) => return Err(probe_failure(&error, Stage::Established)),
        }
        rest = rest.get(ended.saturating_add(1)..).unwrap_or_default();
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::recorded::vertical;

    const SHOWN: &str = "*** 1. row
Id: 5
User: system user
Command: Slave_IO
State: Waiting for master to send event
Info: NULL
*** 2. row
Id: 7
User: repl
Command: Binlog Dump
State: NULL
Info: NULL
*** 3. row
Id: 8
User: baton
Command: Query
State: Waiting for backup lock
Info: SET GLOBAL read_only=1
*** 4. row
Id: 9
User: app
Command: Sleep
State: NULL
Info: NULL
*** 5. row
Id: 10
User: app
Command: Killed
State: NULL
Info: NULL
*** 6. row
Id: eleven
User: app
Command: Query
State: NULL
Info: NULL
*** 7. row
Id: 12
User: unauthenticated user
Command: Connect
State: NULL
Info: NULL
*** 8. row
Id: 13
User: app
Command: Query
State: Waiting for semi-sync ACK from slave
Info: COMMIT
*** 9. row
Id: 14
User: baton
Command: Query
State: Commit
Info: UPDATE probe.p SET n=n+1
*** 10. row
Id: 16
User: repl
Command: Query
State: init
Info: SET @master_heartbeat_period=1000000000
*** 11. row
Id: 15
User: app
Command: Connect
State: Commit
Info: NULL";

    #[test]
    fn only_who_may_write_is_ended() {
        let sessions = vertical(SHOWN);
        let mut own = Own {
            user: "baton",
            replication: Some("repl"),
            probe: None,
        };
        let client = |id, busy, awaits| Client { id, busy, awaits };
        let expected = [
            client(9, false, false),
            client(13, true, true),
            client(15, true, false),
        ];
        assert_eq!(clients(Some(&sessions), own), expected);
        assert_eq!(clients(None, own), []);
        own.probe = Some("UPDATE probe.p SET n=n+1");
        assert!(clients(Some(&sessions), own).contains(&client(14, true, false)));
    }

    #[test]
    fn a_session_that_waits_is_told_from_one_at_work() {
        let sessions = vertical(SHOWN);
        assert_eq!(progress(Some(&sessions), 8), Progress::Waiting);
        assert_eq!(progress(Some(&sessions), 14), Progress::Running);
        assert_eq!(progress(Some(&sessions), 9), Progress::Idle);
        assert_eq!(progress(Some(&sessions), 99), Progress::Idle);
    }
}
