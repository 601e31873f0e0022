//! Changes that leadership, operators and recoveries make.

use std::collections::BTreeSet;

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_core::leadership::voter_records::{VoterRecords, adopt};
use baton_core::model::{ActiveRecovery, RecoveryKind, Switch};
use baton_core::planning::Highest;
use baton_core::time::WallTime;
use baton_ports::RecoveryRecord;

use super::{Inventory, Registry};
use crate::inventory::past::{PAST_MAX, past};

impl Registry {
    /// True if this node holds the lease, as far as the loops were told.
    pub(crate) fn leads(&self) -> bool {
        self.latest().lease.is_some()
    }

    /// Tells the loops under which epoch this node leads.
    pub(crate) fn set_lease(&self, epoch: Option<LeaseEpoch>) {
        self.lock().lease = epoch;
    }

    /// The global switch could not be read.
    pub(crate) fn note_unreadable_switch(&self) {
        self.lock().switch = Some(Switch::Unreadable);
    }

    /// Takes over the name that an operator gave to a cluster.
    pub(crate) fn rename(&self, cluster: &ClusterId, name: &str) {
        if let Some(entry) = self.lock().clusters.get_mut(cluster) {
            name.clone_into(&mut entry.row.name);
            entry.wake.notify_one();
        }
    }

    /// Marks a server as quarantined, ahead of the next reading of the store.
    pub(crate) fn quarantine(&self, server: &ServerId) {
        if let Some(entry) = self.lock().servers.get_mut(server) {
            entry.quarantined = true;
        }
    }

    /// Records the most that was seen of a cluster's history.
    pub(crate) fn set_highest(&self, cluster: &ClusterId, highest: Option<Highest>) {
        if let Some(entry) = self.lock().clusters.get_mut(cluster) {
            entry.highest = highest;
        }
    }

    /// Records which findings a cluster has, for the other clusters' policies.
    pub(crate) fn set_findings(&self, cluster: &ClusterId, codes: BTreeSet<String>) {
        let mut inner = self.lock();
        let known = inner.clusters.get(cluster);
        // Each round sets them, and they seldom change.
        if known.is_some_and(|entry| entry.findings != codes)
            && let Some(entry) = inner.clusters.get_mut(cluster)
        {
            entry.findings = codes;
        }
    }

    /// A recovery of the cluster has begun, or is resumed.
    pub(crate) fn begin_recovery(&self, cluster: &ClusterId, row: &RecoveryRecord) {
        if let Some(entry) = self.lock().clusters.get_mut(cluster) {
            entry.active = Some(ActiveRecovery {
                id: row.id.clone(),
                kind: row.kind,
                subject: row.subject.clone(),
            });
        }
    }

    /// Takes over an ended recovery at once: the cooldown must not wait for the next reading of the
    /// store, and a reading that began before the end was recorded must not undo this.
    pub(crate) fn end_recovery(&self, cluster: &ClusterId, row: &RecoveryRecord) {
        let _outdating = self.readings.outdate();
        let mut inner = self.lock();
        let Some(entry) = inner.clusters.get_mut(cluster) else {
            return;
        };
        entry.active = None;
        entry.past.retain(|known| known.id != row.id);
        entry.past.insert(0, past(row));
        entry.past.truncate(PAST_MAX);
        entry.left.extend(row.lost.iter().cloned());
        if row.kind == RecoveryKind::Rejoin {
            entry.left.remove(&row.subject);
        }
        entry.wake.notify_one();
    }

    /// Whether an open recovery has turned up since this was asked last.
    pub(crate) fn take_unfinished(&self, cluster: &ClusterId) -> bool {
        let mut inner = self.lock();
        let known = inner.clusters.get(cluster);
        if !known.is_some_and(|entry| entry.unfinished) {
            return false;
        }
        let entry = inner.clusters.get_mut(cluster);
        entry.is_some_and(|entry| std::mem::take(&mut entry.unfinished))
    }

    /// Takes over recorded voters. Of two records of one cluster the later one counts, wherever it
    /// is known from. Gives what is known now.
    pub(crate) fn adopt_voters(&self, recorded: &VoterRecords) -> VoterRecords {
        let mut inner = self.lock();
        adopt(&mut inner.voters, recorded);
        inner.voters.clone()
    }

    /// Takes over the voters that this node has just recorded.
    pub(crate) fn set_voters(&self, cluster: &ClusterId, voters: Voters) {
        self.lock().voters.insert(cluster.clone(), voters);
    }
}

impl Inventory {
    /// Servers that do not answer and were last seen longer ago than `limit`; never a cluster's
    /// primary.
    pub(crate) fn unseen_since(&self, now: WallTime, limit: std::time::Duration) -> Vec<ServerId> {
        let primaries: BTreeSet<&ServerId> = self
            .clusters
            .values()
            .filter_map(|cluster| cluster.row.primary.as_ref())
            .collect();
        self.servers
            .values()
            .filter(|entry| entry.probe.failures > 0 && !primaries.contains(&entry.id))
            .filter(|entry| entry.last_seen.is_some_and(|seen| now.since(seen) > limit))
            .map(|entry| entry.id.clone())
            .collect()
    }
}
