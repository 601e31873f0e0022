//! One server as the registry keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::ids::{Address, ClusterId, ServerId};
use baton_core::model::{
    Channel, Closed, Downtime, Outage, Probe, PromotionRule, ServerFacts, ThreadState,
};
use baton_core::time::{Observed, Timestamp, WallTime};
use baton_ports::{ServerRecord, WatchAnswer};
use tokio::sync::Notify;

use super::progress;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: ServerId,
    pub(crate) address: Address,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) uid: Option<String>,
    pub(crate) last_seen: Option<WallTime>,
    pub(crate) probe: Probe,
    pub(crate) facts: Option<Observed<ServerFacts>>,
    pub(crate) heartbeat_moved: Vec<(String, Timestamp)>,
    pub(crate) reconnected: Vec<(String, Timestamp)>,
    pub(crate) reconnect_failed: Vec<(String, Timestamp)>,
    pub(crate) severed: Vec<(String, Timestamp)>,
    pub(crate) lifted: Vec<(String, Duration)>,
    pub(crate) receiver_ran: Vec<(String, Timestamp)>,
    pub(crate) acknowledged: Vec<(String, Timestamp)>,
    pub(crate) closed: Closed,
    pub(crate) outages: Vec<Outage>,
    pub(crate) starving: Vec<(String, Timestamp)>,
    pub(crate) progressed_at: Option<Timestamp>,
    pub(crate) commits_wait_since: Option<Timestamp>,
    pub(crate) space_awaited_since: Option<Timestamp>,
    pub(crate) prepared_since: BTreeMap<String, Timestamp>,
    pub(crate) errant: Option<GtidSet>,
    /// Its history with what it has from before it was restored; `None` if its own history is the
    /// whole one.
    restored: Option<GtidSet>,
    pub(crate) promotion: PromotionRule,
    pub(crate) downtime: Option<Downtime>,
    pub(crate) quarantined: bool,
    /// Known from a neighbour only, and never answered. Dropped if it does not answer for long.
    pub(crate) unconfirmed: bool,
    /// Where its address leads to, as IP literals; empty until that is known.
    pub(crate) resolved: Vec<String>,
    /// Since when it answers with the `server_uuid` of another entry that is a different server.
    pub(crate) same_uid_since: Option<Timestamp>,
    /// Notified when the server is forgotten or merged, so that its watcher ends.
    pub(crate) stop: Arc<Notify>,
}

impl Entry {
    pub(crate) fn learned(id: ServerId, address: Address) -> Self {
        Self {
            id,
            address,
            cluster: None,
            uid: None,
            last_seen: None,
            probe: Probe::default(),
            facts: None,
            heartbeat_moved: Vec::new(),
            reconnected: Vec::new(),
            reconnect_failed: Vec::new(),
            severed: Vec::new(),
            lifted: Vec::new(),
            receiver_ran: Vec::new(),
            acknowledged: Vec::new(),
            closed: Closed::Unknown,
            outages: Vec::new(),
            starving: Vec::new(),
            progressed_at: None,
            commits_wait_since: None,
            space_awaited_since: None,
            prepared_since: BTreeMap::new(),
            errant: None,
            restored: None,
            promotion: PromotionRule::default(),
            downtime: None,
            quarantined: false,
            unconfirmed: false,
            resolved: Vec::new(),
            same_uid_since: None,
            stop: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn stored(row: &ServerRecord) -> Self {
        Self {
            cluster: row.cluster.clone(),
            uid: row.uid.clone(),
            last_seen: row.last_seen,
            promotion: row.promotion,
            quarantined: row.quarantine.is_some(),
            ..Self::learned(row.id.clone(), row.address.clone())
        }
    }

    pub(crate) fn row(&self, addresses: &BTreeMap<Address, ServerId>) -> ServerRecord {
        let aliases = addresses
            .iter()
            .filter(|(a, id)| **id == self.id && **a != self.address);
        ServerRecord {
            id: self.id.clone(),
            address: self.address.clone(),
            uid: self.uid.clone(),
            cluster: self.cluster.clone(),
            last_seen: self.last_seen,
            aliases: aliases.map(|(address, _)| address.clone()).collect(),
            promotion: self.promotion,
            promotion_expires: None,
            quarantine: None,
        }
    }

    /// Takes a full answer in; true if something changed that the store keeps.
    pub(crate) fn answered(
        &mut self,
        answer: WatchAnswer,
        ended: Timestamp,
        wall: WallTime,
    ) -> bool {
        let WatchAnswer {
            began,
            round_trip,
            facts,
        } = answer;
        // Two sessions read the same server (the watcher and an act session): an older reading
        // never replaces a younger one.
        if self.facts.as_ref().is_some_and(|old| old.at > began) {
            return false;
        }
        let was_lost = self.probe.failing_since.is_some();
        self.probe.answered(began, ended, round_trip);
        let facts = self.with_restored(facts);
        let old = self.facts.as_ref();
        let at_work = |channel: &Channel| match channel.receiver {
            ThreadState::Running | ThreadState::Connecting => true,
            ThreadState::Stopped | ThreadState::Unknown => false,
        };
        note(&mut self.receiver_ran, old, &facts, began, at_work);
        let acknowledges = |channel: &Channel| facts.acknowledges_on(channel);
        note(&mut self.acknowledged, old, &facts, began, acknowledges);
        self.closed = closed(self.closed, old, (&facts, began), was_lost);
        progress::note_outages(&mut self.outages, old, &facts, began);
        progress::note_stillness(&mut self.starving, old, &facts);
        progress::note_wait(&mut self.commits_wait_since, old, &facts, began);
        progress::note_space(&mut self.space_awaited_since, old, &facts, began);
        progress::note_prepared(&mut self.prepared_since, &facts, began);
        if let Some(old) = &self.facts {
            note_movement(&mut self.heartbeat_moved, old, &facts);
            if old.value.executed != facts.executed {
                self.progressed_at = Some(began);
            }
        }
        let changed = self.uid.as_deref() != Some(facts.uid.as_str()) || self.last_seen.is_none();
        self.uid = Some(facts.uid.clone());
        self.last_seen = Some(wall);
        self.unconfirmed = false;
        self.facts = Some(Observed {
            at: began,
            value: facts,
        });
        changed
    }
}

impl Entry {
    /// A reading of the server, its history with what was before it was restored. That is forgotten
    /// once the server is another one, or lacks what it had.
    pub(crate) fn with_restored(&mut self, mut facts: ServerFacts) -> ServerFacts {
        let Some(before) = &self.restored else {
            return facts;
        };
        let old = self.facts.as_ref().map(|facts| &facts.value);
        let whole = facts.executed.union(before);
        let is_same = old.is_some_and(|old| old.uid == facts.uid);
        if is_same && facts.executed.with_history_of(before, &BTreeSet::new()) == whole {
            facts.executed = whole;
        } else {
            self.restored = None;
        }
        facts
    }

    /// Notes what of `history`, its cluster's, the server has from before it was restored.
    pub(super) fn has_before(&mut self, history: &GtidSet) {
        let Some(facts) = &mut self.facts else { return };
        let own = &facts.value.executed;
        let whole = own.with_history_of(history, &BTreeSet::new());
        if whole != *own {
            facts.value.executed = whole.clone();
            self.restored = Some(whole);
        }
    }
}

/// A server that started so short a time before it was read first was not closed by a person since,
/// as far as anybody can tell.
const JUST_STARTED: Duration = Duration::from_mins(10);

/// Why a server is read-only, if it is. `was_lost`: it did not answer since the last reading.
fn closed(
    before: Closed,
    old: Option<&Observed<ServerFacts>>,
    (new, began): (&ServerFacts, Timestamp),
    was_lost: bool,
) -> Closed {
    if new.is_writable() {
        return Closed::Unknown;
    }
    match old {
        None if new
            .vitals
            .uptime
            .is_some_and(|uptime| uptime < JUST_STARTED) =>
        {
            Closed::AtStart
        }
        None => Closed::Unknown,
        Some(old) if old.value.is_writable() => {
            if was_restarted(old, (new, began), was_lost) {
                Closed::ByRestart
            } else {
                Closed::WhileRunning
            }
        }
        Some(_) => before,
    }
}

/// True if the server was restarted between two readings. Uptimes are whole seconds. If a server
/// dies in its first second and is back in the next, they show nothing. Then a lost connection
/// does, if the process can have started since: an operator who sets `read_only` does not end
/// Baton's connections.
fn was_restarted(
    old: &Observed<ServerFacts>,
    (new, began): (&ServerFacts, Timestamp),
    was_lost: bool,
) -> bool {
    let uptimes = old.value.vitals.uptime.zip(new.vitals.uptime);
    uptimes.is_some_and(|(before, now)| {
        let second = Duration::from_secs(1);
        let between = began.since(old.at);
        let can_have_started = now <= between.saturating_add(second);
        now < before || between > now.saturating_add(second) || was_lost && can_have_started
    })
}

/// Notes when something happened to a channel; only the last time is kept.
pub(super) fn stamp(times: &mut Vec<(String, Timestamp)>, channel: &str, at: Timestamp) {
    times.retain(|(name, _)| name != channel);
    times.push((channel.to_owned(), at));
}

/// Notes for which channels something holds. What is known about a channel's receiver ends when it
/// is pointed elsewhere.
fn note(
    times: &mut Vec<(String, Timestamp)>,
    old: Option<&Observed<ServerFacts>>,
    new: &ServerFacts,
    at: Timestamp,
    holds: impl Fn(&Channel) -> bool,
) {
    times.retain(|(name, _)| {
        let source = |facts: &ServerFacts| {
            let mut channels = facts.channels.iter();
            channels
                .find(|channel| channel.name == *name)
                .map(|channel| channel.source.clone())
        };
        source(new).is_some_and(|now| old.and_then(|old| source(&old.value)) == Some(now))
    });
    for channel in new.channels.iter().filter(|channel| holds(channel)) {
        stamp(times, &channel.name, at);
    }
}

/// Notes for each channel when its receiver showed life: a heartbeat, or something received. The
/// instant is that of the earlier reading: what arrived came after it, and a lower bound never
/// takes what came before a loss for a sign of life.
fn note_movement(
    moved: &mut Vec<(String, Timestamp)>,
    old: &Observed<ServerFacts>,
    new: &ServerFacts,
) {
    for channel in &new.channels {
        let Some(before) = old.value.channels.iter().find(|c| c.name == channel.name) else {
            continue;
        };
        let same_source = before.source == channel.source;
        let heartbeat = channel.heartbeats > before.heartbeats && channel.heartbeats.is_some();
        let received =
            before.received != channel.received && channel.received.contains(&before.received);
        if same_source && (heartbeat || received) {
            stamp(moved, &channel.name, old.at);
        }
    }
    moved.retain(|(name, _)| new.channels.iter().any(|channel| channel.name == *name));
}
