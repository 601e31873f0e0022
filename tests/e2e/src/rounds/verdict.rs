//! What must hold after a round.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_sandbox::{Flavor, Server, wait_until};

use super::Ground;

/// For a server to follow the primary, or to be set aside, after all is healed.
const FOLLOW_LIMIT: Duration = Duration::from_secs(40);

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Acknowledged rows are not on the final primary.
    Lost(Vec<u64>),
    /// Two servers took writes at once, neither of them the one that was out of reach.
    OpenTogether(String, String),
    /// A server acknowledged rows, then another, then the first again, with fewer recoveries.
    Interleaved(Vec<String>),
    /// A server that was no primary has transactions of its own.
    Diverged(String, String),
    /// The primary changed although nothing had happened to it.
    Spurious(String, String),
    /// Nobody took writes, for so long.
    NotRecovered(Duration),
    /// After all was healed, not exactly one node leads.
    Leaders(String),
    /// After all was healed, a recovery did not end.
    Unended(String),
    /// After all was healed, not exactly one server takes writes.
    Writable(Vec<String>),
    /// After all was healed, a server neither follows the primary nor was set aside.
    NotFollowing(String, String),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(rows) => {
                let first: Vec<&u64> = rows.iter().take(5).collect();
                write!(
                    formatter,
                    "{} acknowledged rows lost: {first:?}",
                    rows.len()
                )
            }
            Self::OpenTogether(one, two) => write!(formatter, "{one} and {two} open at once"),
            Self::Interleaved(names) => write!(formatter, "acknowledged by {names:?} in turn"),
            Self::Diverged(name, own) => write!(formatter, "{name} has {own} of its own"),
            Self::Spurious(from, to) => write!(formatter, "{from} replaced by {to} without cause"),
            Self::NotRecovered(limit) => write!(formatter, "nobody took writes for {limit:?}"),
            Self::Leaders(why) => write!(formatter, "not one leader: {why}"),
            Self::Unended(why) => write!(formatter, "a recovery did not end: {why}"),
            Self::Writable(names) => write!(formatter, "{names:?} take writes, not one"),
            Self::NotFollowing(name, why) => write!(formatter, "{name} follows nobody: {why}"),
        }
    }
}

/// How a server stands to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Follows,
    /// Closed, and with transactions that the primary lacks: left to a person.
    SetAside,
}

/// Waits until a server stands to the primary in one of the ways it may.
pub(crate) fn wait_for_standing(server: &Server, primary: &Server) -> Result<Standing, Violation> {
    let mut found = None;
    let waited = wait_until("it follows or was set aside", FOLLOW_LIMIT, || {
        found = stand(server, primary)?;
        Ok(found.is_some())
    });
    found.ok_or_else(|| {
        let status = server
            .replica_status()
            .map(|rows| format!("{rows:?}"))
            .unwrap_or_default();
        let open = server.is_writable();
        let why = waited.err().map(|error| format!("{error:#}"));
        Violation::NotFollowing(
            server.name().to_owned(),
            format!("{} (open: {open:?}) {status}", why.unwrap_or_default()),
        )
    })
}

fn stand(server: &Server, primary: &Server) -> Result<Option<Standing>> {
    if server.is_replicating()? && source_of(server)? == Some(primary.address().to_string()) {
        return Ok(Some(Standing::Follows));
    }
    let own = errant(server, primary)?;
    Ok((!own.is_empty() && !server.is_writable()?).then_some(Standing::SetAside))
}

fn source_of(server: &Server) -> Result<Option<String>> {
    let rows = server.replica_status()?;
    let word = match server.flavor() {
        Flavor::MariaDb => "Master",
        Flavor::MySql => "Source",
    };
    Ok(rows.first().and_then(|row| {
        let host = row.get(&format!("{word}_Host"))?;
        let port = row.get(&format!("{word}_Port"))?;
        Some(format!("{host}:{port}"))
    }))
}

/// Transactions that a server has and the primary lacks; empty if none.
pub(crate) fn errant(server: &Server, primary: &Server) -> Result<String> {
    // In this order: what the primary executes in between is no difference.
    let own = server.executed()?;
    let other = primary.executed()?;
    match server.flavor() {
        Flavor::MySql => primary.scalar(&format!("SELECT GTID_SUBTRACT('{own}', '{other}')")),
        Flavor::MariaDb => {
            let known = last_numbers(&other);
            let is_ahead = |(origin, number): &(&(&str, &str), &u64)| {
                known.get(*origin).is_none_or(|reached| reached < number)
            };
            let own = last_numbers(&own);
            let ahead = own.iter().filter(is_ahead);
            let told: Vec<String> = ahead
                .map(|((domain, origin), number)| format!("{domain}-{origin}-{number}"))
                .collect();
            Ok(told.join(","))
        }
    }
}

/// The last number of each domain and origin in a MariaDB state, `0-1-12,0-2-14`.
fn last_numbers(state: &str) -> BTreeMap<(&str, &str), u64> {
    state.split(',').filter_map(split).collect()
}

fn split(gtid: &str) -> Option<((&str, &str), u64)> {
    let mut parts = gtid.trim().split('-');
    let origin = (parts.next()?, parts.next()?);
    Some((origin, parts.next()?.parse().ok()?))
}

impl Ground {
    /// Waits until everything is in order again after it was healed.
    pub(super) fn settle(&self) -> Result<usize, Violation> {
        let limit = super::ground::SETTLE_LIMIT;
        let told = |error: anyhow::Error| format!("{error:#}");
        let leader = self
            .wait_for_leader()
            .map_err(|error| Violation::Leaders(told(error)))?;
        wait_until("one server takes writes", limit, || {
            // One that wakes up may take writes before it answers.
            for server in self.topology.servers() {
                server.is_writable()?;
            }
            self.primary().map(|_| true)
        })
        .map_err(|_| Violation::Writable(self.open_names()))?;
        // Whoever led when this began may have handed over since.
        wait_until("no recovery is under way", limit, || {
            let leader = self.fleet.leaders();
            let leader = leader.first().context("nobody leads")?;
            self.is_quiet(*leader)
        })
        .map_err(|error| Violation::Unended(told(error)))?;
        Ok(self.fleet.leaders().first().copied().unwrap_or(leader))
    }

    fn open_names(&self) -> Vec<String> {
        let open = self.topology.writable();
        open.iter().map(|server| server.name().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::last_numbers;

    #[test]
    fn a_state_has_a_number_for_each_origin() {
        let state = last_numbers("0-1-12,0-2-14");
        assert_eq!(state.get(&("0", "1")), Some(&12));
        assert_eq!(state.get(&("0", "2")), Some(&14));
    }
}
