//! One cluster at one instant.

use std::collections::BTreeMap;

use super::cluster::{ClusterRecord, Control, Fleet};
use super::server::{Server, ServerFacts};
use crate::gtid::GtidSet;
use crate::ids::{Address, ServerId};
use crate::time::{Timestamp, WallTime};

/// How long a finding has held, kept by the loop between analyses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// First analysis of the present, uninterrupted run.
    pub since: Timestamp,
    /// How often it came and went within the last hour.
    pub flaps: u32,
}

/// An immutable picture of one cluster. "Now" is `taken_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken: the "now" of everything derived from it.
    pub taken_at: Timestamp,
    /// The same instant by the wall clock, for people and calendars.
    pub wall: WallTime,
    /// What the store records.
    pub cluster: ClusterRecord,
    /// Members, by identity.
    pub servers: BTreeMap<ServerId, Server>,
    /// Every address by which a member is known (own, reported, resolved), to its identity.
    pub addresses: BTreeMap<Address, ServerId>,
    /// What some replica was seen to have, or the primary to have acknowledged, since this node
    /// began to watch. A relay log that is thrown away, a restored or a replaced server takes
    /// transactions back; this does not forget them. `None`: nothing was read yet.
    pub highest: Option<GtidSet>,
    /// Whether Baton may act.
    pub control: Control,
    /// The rest of the fleet.
    pub fleet: Fleet,
}

impl Snapshot {
    /// The member known by that address.
    pub fn server_at(&self, address: &Address) -> Option<&Server> {
        self.addresses
            .get(address)
            .and_then(|id| self.servers.get(id))
    }

    /// Last reading of a member, however old.
    pub fn facts(&self, id: &ServerId) -> Option<&ServerFacts> {
        self.servers.get(id).and_then(Server::last_facts)
    }

    /// Whether a server is a member and answers.
    pub fn answers(&self, id: &ServerId) -> bool {
        self.servers.get(id).is_some_and(Server::answers)
    }

    /// The recorded primary.
    pub fn primary(&self) -> Option<&Server> {
        self.cluster
            .primary
            .as_ref()
            .and_then(|id| self.servers.get(id))
    }
}
