//! Refuses to forget a server that is in use.

use baton_core::ids::{ClusterId, ServerId};

use crate::api::{Control as _, RequestError};
use crate::handle::Handle;

impl Handle {
    /// Refuses for a primary that answers and for a replica that replicates.
    pub(crate) fn refuse_in_use(
        &self,
        cluster: Option<&ClusterId>,
        server: &ServerId,
    ) -> Result<(), RequestError> {
        let Some(in_use) = cluster.and_then(|cluster| self.in_use(cluster, server)) else {
            return Ok(());
        };
        Err(RequestError::refused(&format!(
            "{server} {in_use}: to forget it all the same, say so (`baton forget --yes`, or `?force=true`)"
        )))
    }

    fn in_use(&self, cluster: &ClusterId, server: &ServerId) -> Option<String> {
        let views = self.clusters();
        let view = views
            .iter()
            .find(|view| view.snapshot.cluster.id == *cluster)?;
        let found = view.snapshot.servers.get(server)?;
        if !found.answers() {
            return None;
        }
        if view.snapshot.cluster.primary.as_ref() == Some(server) {
            return Some("is the cluster's primary, and answers".to_owned());
        }
        let mut edges = view.topology.channels_of(server).iter();
        let source = edges.find_map(|edge| {
            let source = edge.source.as_ref()?;
            edge.channel.is_replicating().then_some(source)
        });
        source.map(|source| format!("replicates from {source}"))
    }
}
