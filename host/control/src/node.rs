//! A node: everything that runs, started in one place and stopped in a written order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::ids::ClusterId;
use baton_core::time::WallTime;
use baton_ports::{Clock, Peers, Policies, Servers, Store, StoreError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::counters::Counters;
use crate::decide::{ClusterLoop, Published, Request};
use crate::handle::Handle;
use crate::histories::Histories;
use crate::lease::{Keeper, LEASE, LeaseSettings};
use crate::observe::Observer;
use crate::operators::Operators;
use crate::peers::PeerTable;
use crate::recover::{Journaled, Means};
use crate::registry::{Registry, Started};
use crate::right::{GUARD_MARGIN, Right};
use crate::sessions::Sessions;
use crate::settings::ControlSettings;
use crate::voters::VoterRegistry;

/// Requests waiting for one cluster; a person's orders, so a few are plenty.
const REQUESTS: usize = 16;
/// How long whoever came to lead tries to read what the last leader recorded, before it acts on what it knows.
const CATCH_UP: Duration = Duration::from_millis(500);

/// The ports a node works through.
#[derive(Clone)]
pub struct Ports {
    /// Managed servers.
    pub servers: Arc<dyn Servers>,
    /// State store.
    pub store: Arc<dyn Store>,
    /// Policies.
    pub policies: Arc<dyn Policies>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// The other nodes.
    pub peers: Arc<dyn Peers>,
}

/// What is known of each cluster's loop.
pub(crate) struct ClusterHandle {
    pub(crate) published: Arc<Published>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) means: Arc<Means>,
}

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) registry: Arc<Registry>,
    pub(crate) lease: Arc<Keeper>,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) operators: Operators,
    pub(crate) histories: Histories,
    pub(crate) voters: VoterRegistry,
    pub(crate) clusters: Mutex<BTreeMap<ClusterId, ClusterHandle>>,
    /// Which node of its backend this node uses, for the others to know.
    pub(crate) backend_node: Mutex<Option<String>>,
    pub(crate) token: String,
    pub(crate) started: WallTime,
}

/// A node, ready to run.
pub struct Node {
    shared: Arc<Shared>,
    started: mpsc::UnboundedReceiver<Started>,
    observer: Arc<Observer>,
}

impl Shared {
    /// Tells the loops who may act, for ever. Whoever comes to lead first reads what the last leader recorded; so does one whose epoch
    /// changed, since another node may have led in between.
    async fn pass_lease_on(&self) {
        let mut held = self.lease.subscribe();
        loop {
            let epoch = held.borrow_and_update().as_ref().map(|held| held.epoch);
            let led = self.registry.lock().lease;
            if led != epoch {
                self.registry.lock().lease = None;
                if epoch.is_some() && self.registry.settings.shared_store {
                    self.catch_up().await;
                }
                self.registry.lock().lease = epoch;
            }
            self.registry.wake_all();
            self.registry.unrecorded.notify_one();
            if held.changed().await.is_err() {
                return;
            }
        }
    }

    async fn catch_up(&self) {
        let reading = async {
            let caught_up = self.operators.catch_up().await;
            self.histories.recall().await;
            caught_up.and(self.voters.read().await)
        };
        match timeout(CATCH_UP, reading).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = error.with_causes(),
                    "what the last leader recorded cannot be read"
                );
            }
            Err(_) => {
                tracing::warn!("what the last leader recorded could not be read in time");
            }
        }
    }

    /// A primary that another node recorded under a later epoch is the primary, even if the store cannot be read now.
    async fn hear_of_primaries(&self) {
        let mut changes = self.peers.subscribe();
        loop {
            for report in self.peers.living() {
                for (cluster, server, epoch) in &report.primaries {
                    self.registry.hear_of_primary(cluster, server, *epoch);
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Node {
    /// Prepares a node: reads from the store what is known.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn prepare(ports: Ports, settings: ControlSettings) -> Result<Self, StoreError> {
        let (registry, started) = Registry::new(settings);
        let counters = Arc::new(Counters::default());
        registry.load(ports.store.servers().await?, ports.store.clusters().await?);
        for seed in &registry.settings.seeds {
            registry.learn(seed);
        }
        let wall = ports.clock.wall();
        let start = format!("{:x}-{:x}", wall.millis(), std::process::id());
        let peers = Arc::new(PeerTable::new(
            Arc::clone(&ports.peers),
            Arc::clone(&ports.clock),
            &registry.settings.peers,
        ));
        let lease = Arc::new(Keeper::new(
            Arc::clone(&ports.store),
            Arc::clone(&ports.clock),
            Arc::clone(&peers),
            LeaseSettings {
                node: registry.settings.node.clone(),
                ttl: registry.settings.lease_ttl,
                guard: registry.settings.plan.guard + GUARD_MARGIN,
                shared: registry.settings.shared_store,
                stand_in: registry.settings.shared_store && registry.settings.without_backend,
            },
            &start,
        ));
        // Standing in after a restart, it must exceed what an earlier process of this node acted under.
        lease.see_epoch(ports.store.highest_epoch(LEASE).await?);
        let observer = Arc::new(Observer {
            registry: Arc::clone(&registry),
            servers: Arc::clone(&ports.servers),
            clock: Arc::clone(&ports.clock),
            counters: Arc::clone(&counters),
            healthy: Semaphore::new(registry.settings.concurrency),
            silent: Semaphore::new(registry.settings.silent_concurrency),
        });
        let operators = Operators {
            registry: Arc::clone(&registry),
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            counters: Arc::clone(&counters),
        };
        let histories = Histories {
            registry: Arc::clone(&registry),
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            written: Mutex::default(),
        };
        let voters = VoterRegistry {
            registry: Arc::clone(&registry),
            store: Arc::clone(&ports.store),
            lease: Arc::clone(&lease),
            start: start.clone(),
        };
        let token = format!("{}-{start}", registry.settings.node);
        let shared = Arc::new(Shared {
            registry,
            lease,
            peers,
            counters,
            operators,
            histories,
            voters,
            clusters: Mutex::default(),
            backend_node: Mutex::default(),
            token,
            started: wall,
            ports,
        });
        Ok(Self {
            shared,
            started,
            observer,
        })
    }

    /// What the outside can ask of this node.
    pub fn handle(&self) -> Arc<Handle> {
        Arc::new(Handle::new(Arc::clone(&self.shared)))
    }

    /// Runs until `stop` says so, then stops in this order: loops (a recovery under way is left to the journal), sessions,
    /// watchers, and last the lease, so that nobody takes over while something of this node still acts.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut loops = JoinSet::new();
        let mut watchers = JoinSet::new();
        let mut keepers = JoinSet::new();
        self.shared.operators.read().await;
        self.shared.histories.recall().await;
        self.spawn_keepers(&mut keepers);
        loop {
            tokio::select! {
                biased;
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        break;
                    }
                }
                started = self.started.recv() => match started {
                    Some(Started::Server(id)) => {
                        watchers.spawn(Arc::clone(&self.observer).watch(id));
                    }
                    Some(Started::Cluster(id)) => self.start_cluster(id, &mut loops),
                    None => break,
                },
                Some(ended) = keepers.join_next() => {
                    // A keeper never ends by itself. Without its lease or its switch this node must not act.
                    tracing::error!(failed = ended.is_err(), "a keeper task ended; the node stops");
                    break;
                }
                Some(ended) = loops.join_next(), if !loops.is_empty() => {
                    if ended.is_err() {
                        tracing::error!("the loop of a cluster failed; its automation is stopped");
                    }
                }
                Some(_) = watchers.join_next(), if !watchers.is_empty() => {}
            }
        }
        loops.shutdown().await;
        self.shared
            .clusters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        watchers.shutdown().await;
        keepers.shutdown().await;
        self.shared.operators.write().await;
        self.shared.histories.write(Duration::ZERO).await;
        self.shared.lease.release().await;
    }

    fn spawn_keepers(&self, keepers: &mut JoinSet<()>) {
        let shared = Arc::clone(&self.shared);
        keepers.spawn(async move { shared.lease.keep().await });
        keepers.spawn(Arc::clone(&self.shared.peers).keep());
        let shared = Arc::clone(&self.shared);
        keepers.spawn(async move { shared.operators.keep().await });
        let shared = Arc::clone(&self.shared);
        keepers.spawn(async move { shared.histories.keep().await });
        let shared = Arc::clone(&self.shared);
        keepers.spawn(async move { shared.pass_lease_on().await });
        if self.shared.registry.settings.shared_store {
            let shared = Arc::clone(&self.shared);
            keepers.spawn(async move { shared.voters.keep().await });
            let shared = Arc::clone(&self.shared);
            keepers.spawn(async move { shared.hear_of_primaries().await });
        }
    }

    fn start_cluster(&self, id: ClusterId, loops: &mut JoinSet<()>) {
        let shared = &self.shared;
        let Some(wake) = shared
            .registry
            .lock()
            .clusters
            .get(&id)
            .map(|entry| Arc::clone(&entry.wake))
        else {
            return;
        };
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&shared.registry),
            Arc::clone(&shared.ports.servers),
            (Arc::clone(&shared.lease), Arc::clone(&shared.ports.clock)),
            &id,
        ));
        let means = Arc::new(Means {
            registry: Arc::clone(&shared.registry),
            store: Arc::clone(&shared.ports.store),
            policies: Arc::clone(&shared.ports.policies),
            clock: Arc::clone(&shared.ports.clock),
            lease: Arc::clone(&shared.lease),
            counters: Arc::clone(&shared.counters),
            sessions,
            right: Right::default(),
            peers: Arc::clone(&shared.peers),
            cluster: id.clone(),
            repairs: Journaled::default(),
        });
        let published = Arc::new(Published::default());
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let handle = ClusterHandle {
            published: Arc::clone(&published),
            requests,
            means: Arc::clone(&means),
        };
        shared
            .clusters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, handle);
        loops.spawn(ClusterLoop::new(means, published, wake, receiver).run());
    }
}
