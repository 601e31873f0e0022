//! A fence that stands ready for a cluster's primary. When the primary hangs and is replaced, the
//! fence is left in its sockets: it is the first thing that the server does when it goes on.

use std::sync::Mutex;
use std::time::Duration;

use baton_core::ids::{ClusterId, ServerId};
use baton_core::time::Timestamp;
use baton_ports::{Servers, StandbyFence};

use crate::inventory::Registry;
use crate::locking::lock;

/// How long one stands ready before another takes its place. It is never tried out, because a
/// statement without an answer would make it useless; so it is renewed before something on the way
/// forgets the connection.
const RENEW: Duration = Duration::from_mins(1);
/// How long a server that hangs is waited for. Connections do not live much longer than this
/// without a word.
const WAIT: Duration = Duration::from_mins(10);

/// The fence of one cluster.
pub(crate) struct Standby {
    cluster: ClusterId,
    lock_name: String,
    ready: Mutex<Option<Ready>>,
}

struct Ready {
    server: ServerId,
    since: Timestamp,
    fence: Box<dyn StandbyFence>,
}

impl Standby {
    pub(crate) fn new(cluster: ClusterId, lock_name: String) -> Self {
        Self {
            cluster,
            lock_name,
            ready: Mutex::new(None),
        }
    }

    /// Opens a fence for `server` if it is the primary and none is fresh. The old one stays ready
    /// until the new one is.
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
        // Without one the server is fenced when it is seen again.
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
                    tracing::warn!(%server, %error, "the fence left for a replaced primary is gone");
                }
            }
        });
        true
    }

    pub(crate) fn close(&self) {
        *lock(&self.ready) = None;
    }
}
