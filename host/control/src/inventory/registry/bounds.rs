//! Where clusters end: by which of its sources a server belongs to a cluster, and which servers are
//! only read from beside that.

use baton_core::ids::{ClusterId, ServerId};
use baton_core::model::{Reach, ServerFacts};

use super::Inventory;

impl Inventory {
    /// The source by which a server belongs to a cluster, whatever the state of the channel is: the
    /// recorded primary, then another member of the cluster it is in, then the first. Its other
    /// sources are clusters of their own.
    ///
    /// A primary that takes writes belongs to its cluster by itself: what it reads from elsewhere
    /// is imported.
    pub(super) fn main_source(&self, id: &ServerId) -> Option<ServerId> {
        let sources = self.sources_of(id);
        let own = self.servers.get(id)?.cluster.as_ref();
        let row = own.and_then(|own| self.clusters.get(own));
        let primary = row.and_then(|cluster| cluster.row.primary.as_ref());
        let is_member = |source: &&ServerId| {
            own.is_some()
                && self
                    .servers
                    .get(*source)
                    .is_some_and(|e| e.cluster.as_ref() == own)
        };
        let of_cluster = || {
            let mut sources = sources.iter();
            sources.find(|source| Some(*source) == primary).cloned()
        };
        let found = of_cluster().or_else(|| sources.iter().find(is_member).cloned());
        if found.is_some() {
            return found;
        }
        let imports = primary == Some(id) && self.takes_writes(id);
        sources.into_iter().next().filter(|_| !imports)
    }

    /// The replicas that belong to a cluster by what they read from `id`.
    pub(super) fn followers_of(&self, id: &ServerId) -> Vec<ServerId> {
        let others = self.servers.keys().filter(|other| *other != id);
        let follow = others.filter(|other| self.main_source(other).as_ref() == Some(id));
        follow.cloned().collect()
    }

    /// No server changes its cluster while a recovery of that cluster changes what it reads from.
    pub(super) fn is_recovering(&self, cluster: &ClusterId) -> bool {
        let entry = self.clusters.get(cluster);
        entry.is_some_and(|entry| entry.active.is_some() || entry.unfinished)
    }

    /// Takes a server out of a cluster into which an older version drew it: it takes writes,
    /// follows nobody, was never its primary as far as anything is on record, and is read from only
    /// by replicas that follow the cluster by another source.
    pub(super) fn set_apart(&mut self, id: &ServerId) {
        if self.lease.is_none() || !self.is_apart(id) {
            return;
        }
        if let Some(entry) = self.servers.get_mut(id) {
            tracing::info!(server = %id, "a source of another cluster's replica is a cluster of its own");
            entry.cluster = None;
            self.dirty.insert(id.clone());
        }
    }

    fn is_apart(&self, id: &ServerId) -> bool {
        let own = self
            .servers
            .get(id)
            .and_then(|entry| entry.cluster.as_ref());
        let Some((own, cluster)) = own.and_then(|own| Some((own, self.clusters.get(own)?))) else {
            return false;
        };
        let is_named = cluster
            .past
            .iter()
            .any(|past| past.subject == *id || past.successor.as_ref() == Some(id));
        let has_primary = cluster
            .row
            .primary
            .as_ref()
            .is_some_and(|primary| primary != id);
        if is_named || !has_primary || self.is_recovering(own) {
            return false;
        }
        let readers: Vec<&ServerId> = self
            .servers
            .values()
            .filter(|entry| entry.cluster.as_ref() == Some(own) && entry.id != *id)
            .map(|entry| &entry.id)
            .filter(|reader| self.sources_of(reader).contains(id))
            .collect();
        let follows_another = |reader: &&ServerId| {
            let main = self.main_source(reader);
            main.is_some_and(|main| {
                main != *id
                    && self
                        .servers
                        .get(&main)
                        .is_some_and(|e| e.cluster.as_ref() == Some(own))
            })
        };
        self.takes_writes(id)
            && self.sources_of(id).is_empty()
            && !readers.is_empty()
            && readers.iter().all(follows_another)
    }

    fn takes_writes(&self, id: &ServerId) -> bool {
        let entry = self.servers.get(id);
        entry.is_some_and(|entry| {
            entry.probe.reach() == Reach::Answering
                && entry
                    .facts
                    .as_ref()
                    .is_some_and(|facts| ServerFacts::is_writable(&facts.value))
        })
    }
}
