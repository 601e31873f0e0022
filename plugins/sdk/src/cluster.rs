//! Looking things up in the flat lists of a question.

use crate::{Channel, Cluster, Place, Server};

/// Lookups on a cluster. An index out of range gives `None`: the host never sends one, and a policy should not trap if it did.
pub trait ClusterFacts {
    /// The server of that index.
    fn server(&self, index: u32) -> Option<&Server>;
    /// Where that server stands; `None` if not known.
    fn place_of(&self, index: u32) -> Option<&Place>;
    /// The channels on which that server replicates.
    fn channels_of(&self, index: u32) -> &[Channel];
    /// The channels on which others replicate from that server.
    fn channels_from(&self, index: u32) -> impl Iterator<Item = &Channel>;
}

impl ClusterFacts for Cluster {
    fn server(&self, index: u32) -> Option<&Server> {
        self.servers.get(index as usize)
    }

    fn place_of(&self, index: u32) -> Option<&Place> {
        let place = self.server(index)?.place?;
        self.places.get(place as usize)
    }

    fn channels_of(&self, index: u32) -> &[Channel] {
        // The contract orders channels by replica, so a large cluster costs a search and not a scan.
        let start = self
            .channels
            .partition_point(|channel| channel.replica < index);
        let end = self
            .channels
            .partition_point(|channel| channel.replica <= index);
        self.channels.get(start..end).unwrap_or_default()
    }

    fn channels_from(&self, index: u32) -> impl Iterator<Item = &Channel> {
        self.channels
            .iter()
            .filter(move |channel| channel.source == Some(index))
    }
}
