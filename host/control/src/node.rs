//! A node: everything that runs, started in one place and stopped in a written order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::ClusterId;
use baton_core::time::WallTime;
use baton_ports::{Clock, Peers, Policies, Servers, Store, StoreError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::clusters::{ClusterFactory, ClusterTable};
use crate::counters::Counters;
use crate::handle::Handle;
use crate::inventory::{Histories, Observer, Operators, Registry, Started};
use crate::leadership::GUARD_MARGIN;
use crate::leadership::Leadership;
use crate::leadership::PeerTable;
use crate::leadership::VoterRegistry;
use crate::leadership::{LEASE, LeaseKeeper, LeaseSettings};
use crate::leading::{LeaseRelay, follow_reported_primaries};
use crate::settings::ControlSettings;

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

/// A node, ready to run.
pub struct Node {
    ports: Ports,
    registry: Arc<Registry>,
    operators: Arc<Operators>,
    histories: Arc<Histories>,
    lease: Arc<LeaseKeeper>,
    peers: Arc<PeerTable>,
    voters: Arc<VoterRegistry>,
    leadership: Arc<Leadership>,
    observer: Arc<Observer>,
    factory: ClusterFactory,
    clusters: Arc<ClusterTable>,
    counters: Arc<Counters>,
    started_at: WallTime,
    started: mpsc::UnboundedReceiver<Started>,
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
        let lease = Arc::new(keeper(&ports, &registry.settings, &peers, &start));
        // Standing in after a restart, it must exceed what an earlier process of this node acted
        // under.
        lease.raise_epoch(ports.store.highest_epoch(LEASE).await?);
        let operators = Arc::new(Operators {
            registry: Arc::clone(&registry),
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            counters: Arc::clone(&counters),
        });
        Ok(Self {
            histories: Arc::new(Histories {
                registry: Arc::clone(&registry),
                store: Arc::clone(&ports.store),
                clock: Arc::clone(&ports.clock),
                lease: LEASE,
                written: Mutex::default(),
            }),
            voters: Arc::new(VoterRegistry {
                registry: Arc::clone(&registry),
                store: Arc::clone(&ports.store),
                lease: Arc::clone(&lease),
                start: start.clone(),
            }),
            leadership: Arc::new(Leadership {
                registry: Arc::clone(&registry),
                lease: Arc::clone(&lease),
                peers: Arc::clone(&peers),
                store: Arc::clone(&ports.store),
                clock: Arc::clone(&ports.clock),
                backend_node: Mutex::default(),
                token: format!("{}-{start}", registry.settings.node),
            }),
            observer: Arc::new(observer(&ports, &registry, &counters)),
            factory: ClusterFactory {
                registry: Arc::clone(&registry),
                operators: Arc::clone(&operators),
                lease: Arc::clone(&lease),
                peers: Arc::clone(&peers),
                servers: Arc::clone(&ports.servers),
                store: Arc::clone(&ports.store),
                policies: Arc::clone(&ports.policies),
                clock: Arc::clone(&ports.clock),
                counters: Arc::clone(&counters),
            },
            clusters: Arc::default(),
            started_at: wall,
            ports,
            registry,
            operators,
            lease,
            peers,
            counters,
            started,
        })
    }

    /// What the outside can ask of this node.
    pub fn handle(&self) -> Arc<Handle> {
        Arc::new(Handle {
            ports: self.ports.clone(),
            registry: Arc::clone(&self.registry),
            operators: Arc::clone(&self.operators),
            lease: Arc::clone(&self.lease),
            leadership: Arc::clone(&self.leadership),
            clusters: Arc::clone(&self.clusters),
            counters: Arc::clone(&self.counters),
            started: self.started_at,
        })
    }

    /// Runs until `stop` says so, then stops in this order: loops (a recovery under way is left to
    /// the journal), sessions, watchers, and last the lease, so that nobody takes over while
    /// something of this node still acts.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut loops = JoinSet::new();
        let mut watchers = JoinSet::new();
        let mut keepers = JoinSet::new();
        self.operators.read().await;
        self.histories.recall().await;
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
                    // A keeper never ends by itself. Without its lease or its switch this node must
                    // not act.
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
        self.clusters.clear();
        watchers.shutdown().await;
        keepers.shutdown().await;
        self.operators.write().await;
        self.histories.write(Duration::ZERO).await;
        self.lease.release().await;
    }

    fn spawn_keepers(&self, keepers: &mut JoinSet<()>) {
        let lease = Arc::clone(&self.lease);
        keepers.spawn(async move { lease.keep().await });
        keepers.spawn(Arc::clone(&self.peers).keep());
        let operators = Arc::clone(&self.operators);
        keepers.spawn(async move { operators.keep().await });
        let histories = Arc::clone(&self.histories);
        keepers.spawn(async move { histories.keep().await });
        let relay = LeaseRelay {
            registry: Arc::clone(&self.registry),
            lease: Arc::clone(&self.lease),
            operators: Arc::clone(&self.operators),
            histories: Arc::clone(&self.histories),
            voters: Arc::clone(&self.voters),
        };
        keepers.spawn(async move { relay.keep().await });
        if self.registry.settings.shared_store {
            let voters = Arc::clone(&self.voters);
            keepers.spawn(async move { voters.keep().await });
            let (registry, peers) = (Arc::clone(&self.registry), Arc::clone(&self.peers));
            keepers.spawn(follow_reported_primaries(registry, peers));
        }
    }

    fn start_cluster(&self, id: ClusterId, loops: &mut JoinSet<()>) {
        if let Some((cluster, handle)) = self.factory.build(&id) {
            self.clusters.insert(id, handle);
            loops.spawn(cluster.run());
        }
    }
}

fn keeper(
    ports: &Ports,
    settings: &ControlSettings,
    peers: &Arc<PeerTable>,
    start: &str,
) -> LeaseKeeper {
    LeaseKeeper::new(
        Arc::clone(&ports.store),
        Arc::clone(&ports.clock),
        Arc::clone(peers),
        LeaseSettings {
            node: settings.node.clone(),
            ttl: settings.lease_ttl,
            guard: settings.plan.guard + GUARD_MARGIN,
            shared: settings.shared_store,
            without_store: settings.shared_store && settings.without_backend,
        },
        start,
    )
}

fn observer(ports: &Ports, registry: &Arc<Registry>, counters: &Arc<Counters>) -> Observer {
    Observer {
        registry: Arc::clone(registry),
        servers: Arc::clone(&ports.servers),
        clock: Arc::clone(&ports.clock),
        counters: Arc::clone(counters),
        healthy: Semaphore::new(registry.settings.concurrency),
        silent: Semaphore::new(registry.settings.silent_concurrency),
    }
}
