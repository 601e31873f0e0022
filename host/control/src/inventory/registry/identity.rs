//! Which addresses lead to the same server: one entry, one watcher, the other addresses are
//! aliases.

use baton_core::ids::{Address, ServerId};
use baton_core::model::{Flavor, Reach, ServerFacts, ThreadState};
use baton_core::time::{Observed, Timestamp};
use baton_ports::WatchAnswer;

use super::Inventory;
use super::entry::Entry;

/// How it is known that an address leads to a server that has an entry already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The server answered there.
    Answering,
    /// That address was not asked: names or another server say so.
    Unasked,
}

impl Inventory {
    /// Another entry that is the same server as the one just read at `id`'s address. Marks `id` if
    /// another entry has the same identity without being the same server.
    pub(super) fn duplicate_of(&mut self, id: &ServerId, answer: &WatchAnswer) -> Option<ServerId> {
        let facts = &answer.facts;
        let entry = self.servers.get(id)?;
        // What this entry itself was before (perhaps in an earlier run), it still is.
        if entry.uid.is_some() && entry.same_uid_since.is_none() {
            return None;
        }
        let since = entry.same_uid_since.unwrap_or(answer.began);
        let resolved = entry.resolved.clone();
        let alike: Vec<&Entry> = self
            .servers
            .values()
            .filter(|other| other.id != *id && other.uid.as_deref() == Some(facts.uid.as_str()))
            .collect();
        let same = alike
            .iter()
            .find(|other| is_same(other, facts, &resolved, since))
            .map(|other| other.id.clone());
        let is_copy = same.is_none() && !alike.is_empty();
        if let Some(entry) = self.servers.get_mut(id) {
            if is_copy && entry.same_uid_since.is_none() {
                tracing::warn!(server = %id, uid = facts.uid, "two servers answer with one identity");
            }
            entry.same_uid_since = is_copy.then_some(since);
        }
        same
    }

    /// Two entries whose addresses lead to the same IP addresses and port, of which one never
    /// answered: (it, the other).
    pub(super) fn same_endpoint(&self, id: &ServerId) -> Option<(ServerId, ServerId)> {
        let entry = self.servers.get(id)?;
        if entry.resolved.is_empty() {
            return None;
        }
        let other = self.servers.values().find(|other| {
            other.id != *id
                && other.address.port == entry.address.port
                && other.resolved == entry.resolved
                && (other.uid.is_none() || entry.uid.is_none())
        })?;
        if entry.uid.is_none() {
            Some((id.clone(), other.id.clone()))
        } else {
            Some((other.id.clone(), id.clone()))
        }
    }

    /// Folds entry `gone` into `kept`: its addresses become aliases. If the server answers at
    /// `gone`'s address and not at its own any more, it moved, and keeps its id.
    pub(super) fn merge(&mut self, gone: &ServerId, kept: &ServerId, seen: Seen) {
        let Some(old) = self.servers.remove(gone) else {
            return;
        };
        for owner in self.addresses.values_mut().filter(|owner| *owner == gone) {
            *owner = kept.clone();
        }
        old.stop.notify_waiters();
        if let Some(entry) = self.servers.get_mut(kept) {
            if seen == Seen::Answering && entry.probe.reach() != Reach::Answering {
                tracing::info!(server = %kept, from = %entry.address, to = %old.address, "server moved");
                entry.address = old.address;
                entry.resolved = old.resolved;
            }
            entry.unconfirmed &= old.unconfirmed;
            if entry.cluster.is_none() {
                entry.cluster.clone_from(&old.cluster);
            }
        }
        self.dirty.insert(kept.clone());
        self.dirty.remove(gone);
        self.folded.insert(gone.clone());
        self.wake_cluster_of(kept);
        if let Some(cluster) = &old.cluster {
            self.drop_if_empty(cluster);
        }
    }

    /// A connected receiver knows who its source is, whatever name it uses for it: the name need
    /// not mean anything to this node.
    pub(super) fn recognise_sources(&mut self, id: &ServerId) {
        let Some(facts) = self.servers.get(id).and_then(|entry| entry.facts.as_ref()) else {
            return;
        };
        let sources: Vec<(Address, String)> = facts
            .value
            .channels
            .iter()
            .filter(|channel| channel.receiver == ThreadState::Running)
            .filter_map(|channel| channel.source.clone().zip(channel.source_uid.clone()))
            .collect();
        for (address, uid) in sources {
            self.recognise(&address, &uid);
        }
    }

    fn recognise(&mut self, address: &Address, uid: &str) {
        let owner = self
            .addresses
            .get(address)
            .and_then(|id| self.servers.get(id));
        if owner.is_some_and(|owner| owner.uid.as_deref() == Some(uid)) {
            return;
        }
        let alike: Vec<&ServerId> = self
            .servers
            .values()
            .filter(|entry| entry.uid.as_deref() == Some(uid))
            .map(|entry| &entry.id)
            .collect();
        let [known] = alike.as_slice() else {
            return;
        };
        let known = (*known).clone();
        match owner.map(|owner| (owner.id.clone(), owner.uid.is_none())) {
            Some((owner, true)) => self.merge(&owner, &known, Seen::Unasked),
            // That address is another server's own: a virtual one, perhaps. What answers there
            // decides.
            Some((owner, false)) if self.lives_at(&owner, address) => {}
            Some((owner, false)) => {
                self.addresses.insert(address.clone(), known.clone());
                self.dirty.extend([owner, known]);
            }
            None => {
                self.addresses.insert(address.clone(), known.clone());
                self.dirty.insert(known);
            }
        }
    }

    fn lives_at(&self, id: &ServerId, address: &Address) -> bool {
        self.servers
            .get(id)
            .is_some_and(|entry| entry.address == *address)
    }

    /// True if a server with that identity answers at an address known already.
    pub(super) fn answers_elsewhere(&self, uid: Option<&str>) -> bool {
        uid.is_some()
            && self
                .servers
                .values()
                .any(|entry| entry.uid.as_deref() == uid && entry.probe.reach() == Reach::Answering)
    }
}

/// True if `known`, which has the identity of the server just read, is that server. A copied
/// identity (two servers started from one data directory) differs in server id, port or host name
/// while both answer; a server that moved never answers at its old address again once it answers at
/// the new one, which it does since `since`. MariaDB's identity is weak: there the host name or the
/// IP address must be the same, too.
fn is_same(known: &Entry, facts: &ServerFacts, resolved: &[String], since: Timestamp) -> bool {
    let strong = facts.flavor != Flavor::Mariadb;
    let Some(Observed { at, value: old }) = &known.facts else {
        // Not asked yet since the start of this process: what answers there first decides.
        return known.probe.reach() == Reach::Silent && strong;
    };
    if old.server_id != facts.server_id {
        return false;
    }
    let same_host = old.hostname == facts.hostname && old.port == facts.port;
    let same_endpoint =
        !resolved.is_empty() && known.resolved == resolved && old.port == facts.port;
    match known.probe.reach() {
        Reach::Answering => same_host || same_endpoint,
        Reach::Silent if strong && *at < since => true,
        Reach::Silent | Reach::Partial | Reach::NotProbed => same_host,
    }
}

#[cfg(test)]
mod tests;
