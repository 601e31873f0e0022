//! A prepared fence for a cluster's primary.
//!
//! If the primary hangs and is replaced, the fence is sent and stays in its socket buffers: it is
//! the first statement that the server executes when it goes on.

use std::sync::Mutex;
use std::time::Duration;

use baton_core::ids::{ClusterId, ServerId};
use baton_core::time::Timestamp;
use baton_ports::{Servers, StandbyFence};

use crate::inventory::Registry;
use crate::locking::lock;

/// How long a fence is kept before a new one replaces it. A fence is never tested, because a
/// statement without an answer would make it useless. So it is renewed before a firewall or a proxy
/// forgets its connection.
const RENEW: Duration = Duration::from_mins(1);
/// How long a fence waits for a server that hangs. A silent connection does not live much longer.
const WAIT: Duration = Duration::from_mins(10);

/// The prepared fence of one cluster.
pub(crate) struct PreparedFence {
    cluster: ClusterId,
    lock_name: String,
    ready: Mutex<Option<Ready>>,
}

struct Ready {
    server: ServerId,
    since: Timestamp,
    fence: Box<dyn StandbyFence>,
}

impl PreparedFence {
    pub(crate) fn new(cluster: ClusterId, lock_name: String) -> Self {
        Self {
            cluster,
            lock_name,
            ready: Mutex::new(None),
        }
    }

    /// Opens a fence for `server` if it is the primary and has no fresh one. The old fence stays
    /// ready until the new one is.
    pub(crate) async fn refresh(
        &self,
        server: &ServerId,
        (registry, servers): (&Registry, &dyn Servers),
        now: Timestamp,
    ) {
        let is_primary = {
            let inventory = registry.latest();
            let cluster = inventory.clusters.get(&self.cluster);
            cluster.is_some_and(|cluster| cluster.row.primary.as_ref() == Some(server))
        };
        let is_fresh = lock(&self.ready)
            .as_ref()
            .is_some_and(|ready| ready.server == *server && now.since(ready.since) < RENEW);
        let Some(address) = registry.address(server).filter(|_| is_primary && !is_fresh) else {
            return;
        };
        let limit = registry.settings.connect_limit;
        // Without a prepared fence the server is fenced when it answers again.
        if let Ok(fence) = servers.standby(&address, &self.lock_name, limit).await {
            *lock(&self.ready) = Some(Ready {
                server: server.clone(),
                since: now,
                fence,
            });
        }
    }

    /// Sends the fence for `server`, which hangs, and waits for it in the background.
    pub(crate) fn leave(&self, server: &ServerId) -> bool {
        let mut ready = lock(&self.ready);
        let Some(found) = ready.take_if(|ready| ready.server == *server) else {
            return false;
        };
        drop(ready);
        let server = server.clone();
        tokio::spawn(async move {
            match found.fence.fence(WAIT).await {
                Ok(()) => {
                    tracing::warn!(%server, "a replaced primary went on, and was fenced at once");
                }
                Err(error) => {
                    tracing::warn!(
                        %server, %error, "the fence left for a replaced primary is gone"
                    );
                }
            }
        });
        true
    }

    pub(crate) fn close(&self) {
        *lock(&self.ready) = None;
    }
}
