//! What the store has, taken into memory, and what it is to get.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryOutcome, Switch};
use baton_core::planning::Highest;
use baton_core::time::Timestamp;
use baton_ports::{ClusterRecord, RecoveryRecord, ServerRecord};

use super::entry::Entry;
use super::{ClusterEntry, Registry, Started};
use crate::inventory::past::{PAST_MAX, left_behind, past};

impl Registry {
    /// Takes over what the store knows.
    pub(crate) fn load(&self, servers: Vec<ServerRecord>, clusters: Vec<ClusterRecord>) {
        let mut inner = self.lock();
        for row in clusters {
            let id = row.id.clone();
            inner.clusters.insert(id.clone(), ClusterEntry::new(row));
            self.announce(Started::Cluster(id));
        }
        for row in servers {
            let entry = Entry::stored(&row);
            inner.addresses.insert(row.address.clone(), row.id.clone());
            for alias in &row.aliases {
                inner.addresses.insert(alias.clone(), row.id.clone());
            }
            inner.servers.insert(row.id.clone(), entry);
            self.announce(Started::Server(row.id));
        }
    }

    /// Takes over what the node that leads has recorded since: new clusters and servers, who
    /// belongs where, who is primary. Only for a node that does not lead: what the leader has in
    /// memory is newer than what it has recorded.
    pub(crate) fn follow(&self, servers: &[ServerRecord], clusters: &[ClusterRecord]) {
        let mut inner = self.lock();
        for row in clusters {
            let Some(entry) = inner.clusters.get_mut(&row.id) else {
                let entry = ClusterEntry::new(row.clone());
                inner.clusters.insert(row.id.clone(), entry);
                self.announce(Started::Cluster(row.id.clone()));
                continue;
            };
            let changed = entry.row != *row && entry.row.primary_epoch <= row.primary_epoch;
            if changed {
                entry.row.clone_from(row);
                entry.wake.notify_one();
            }
        }
        for row in servers {
            inner.follow_server(row, |started| self.announce(started));
        }
    }

    /// Takes over primaries that an earlier leader recorded on its own disk and that reached the
    /// store after this node began to lead. Records of the present epoch are this node's own;
    /// memory is newer.
    pub(crate) fn learn_primaries(&self, clusters: &[ClusterRecord]) {
        let mut inner = self.lock();
        let Some(present) = inner.lease else {
            return;
        };
        for row in clusters.iter().filter(|row| row.primary_epoch < present) {
            let Some(entry) = inner.clusters.get_mut(&row.id) else {
                continue;
            };
            let is_later = entry.row.primary_epoch <= row.primary_epoch;
            if let Some(primary) = &row.primary
                && is_later
                && entry.row.primary.as_ref() != Some(primary)
            {
                entry.set_primary(primary, row.primary_epoch);
            }
        }
    }

    /// Takes over the primary that another node reports, if it was recorded under a later epoch. A
    /// server that is not known here is not taken over from a report.
    pub(crate) fn hear_of_primary(
        &self,
        cluster: &ClusterId,
        server: &ServerId,
        epoch: LeaseEpoch,
    ) {
        let mut inner = self.lock();
        let is_member = inner
            .servers
            .get(server)
            .is_some_and(|entry| entry.cluster.as_ref() == Some(cluster));
        let Some(entry) = inner.clusters.get_mut(cluster).filter(|_| is_member) else {
            return;
        };
        if epoch > entry.row.primary_epoch {
            entry.set_primary(server, epoch);
        }
    }

    /// Takes over the recorded histories of the clusters, as seen now. A primary that is read after
    /// this and lacks a part of its history has lost it.
    pub(crate) fn recall(&self, recorded: Vec<(ClusterId, GtidSet)>, now: Timestamp) {
        let mut inner = self.lock();
        for (cluster, set) in recorded {
            if let Some(entry) = inner.clusters.get_mut(&cluster) {
                let set = match &entry.highest {
                    Some(known) => known.set.union(&set),
                    None => set,
                };
                entry.highest = Some(Highest {
                    set,
                    raised_at: now,
                });
            }
        }
    }

    /// Takes over the operators' settings from the store.
    pub(crate) fn set_operators(
        &self,
        downtimes: &BTreeMap<ServerId, Downtime>,
        rules: &BTreeMap<ServerId, (PromotionRule, bool)>,
        switch: Switch,
    ) {
        let mut inner = self.lock();
        inner.switch = Some(switch);
        let hints = &self.settings.hints;
        for (id, entry) in inner.servers.iter_mut() {
            entry.downtime = downtimes.get(id).cloned();
            let configured = hints.get(&entry.address).and_then(|hint| hint.promotion);
            let (stored, quarantined) = rules.get(id).copied().unwrap_or_default();
            entry.promotion = match stored {
                PromotionRule::Neutral => configured.unwrap_or_default(),
                set => set,
            };
            entry.quarantined = quarantined;
        }
    }

    /// Takes over the newest recorded recoveries.
    pub(crate) fn set_past(&self, all: &[RecoveryRecord]) {
        let mut inner = self.lock();
        for (id, entry) in inner.clusters.iter_mut() {
            let of_cluster = || all.iter().filter(|row| row.cluster == *id);
            let ended = of_cluster().filter(|row| row.ended.is_some());
            entry.past = ended.take(PAST_MAX).map(past).collect();
            entry.left = left_behind(of_cluster());
            let own = entry.active.as_ref().map(|active| &active.id);
            entry.unfinished = of_cluster()
                .any(|row| row.outcome == RecoveryOutcome::Running && own != Some(&row.id));
            if entry.unfinished {
                entry.wake.notify_one();
            }
        }
    }

    /// Rows changed since the last call, to be written to the store.
    pub(crate) fn take_dirty(&self) -> (Vec<ServerRecord>, Vec<(ClusterId, String)>) {
        let mut inner = self.lock();
        let dirty = std::mem::take(&mut inner.dirty);
        let clusters = std::mem::take(&mut inner.dirty_clusters);
        let rows = dirty
            .iter()
            .filter_map(|id| inner.servers.get(id).map(|e| e.row(&inner.addresses)));
        let rows = rows.collect();
        let named = clusters
            .iter()
            .filter_map(|id| {
                inner
                    .clusters
                    .get(id)
                    .map(|entry| (id.clone(), entry.row.name.clone()))
            })
            .collect();
        (rows, named)
    }

    /// Entries that were folded into others since the last call: to be removed from the store.
    pub(crate) fn take_folded(&self) -> BTreeSet<ServerId> {
        std::mem::take(&mut self.lock().folded)
    }

    /// Marks entries as still to be removed from the store.
    pub(crate) fn put_back_folded(&self, folded: BTreeSet<ServerId>) {
        self.lock().folded.extend(folded);
    }

    /// Marks rows as still to be written.
    pub(crate) fn put_back(&self, servers: &[ServerRecord], clusters: &[(ClusterId, String)]) {
        let mut inner = self.lock();
        inner.dirty.extend(servers.iter().map(|row| row.id.clone()));
        inner
            .dirty_clusters
            .extend(clusters.iter().map(|(id, _)| id.clone()));
    }

    /// Marks every row, so that last-seen times reach the store.
    pub(crate) fn mark_all_dirty(&self) {
        let mut inner = self.lock();
        let all: Vec<ServerId> = inner.servers.keys().cloned().collect();
        inner.dirty.extend(all);
    }
}
