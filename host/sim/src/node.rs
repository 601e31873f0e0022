//! A Baton node in the simulation: the real one, on a runtime and a clock of its own. A frozen node
//! gets no time; a killed one loses its runtime with everything in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_control::{Control, ControlSettings, Handle, Node, Ports};
use baton_core::ids::NodeName;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::Clock;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::link::SimStore;
use crate::network::NodeId;
use crate::peers::{Mirror, SimPeers};
use crate::policies::SimPolicies;
use crate::server::Process;
use crate::sessions::SimServers;
use crate::world::World;

/// So often a node's tasks are polled in each millisecond before time goes on.
const ROUNDS: u32 = 4;
/// A node's report is renewed each so many milliseconds.
const SHOW_EVERY: u32 = 5;

/// A node's clock: runs at its own pace, stands still while the node is frozen (nobody reads it
/// then), and jumps when it goes on.
#[derive(Debug)]
pub(crate) struct NodeClock {
    micros: AtomicU64,
    wall_offset_ms: u64,
}

impl NodeClock {
    fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::Relaxed))
    }

    fn wall(&self) -> WallTime {
        let millis = self.micros.load(Ordering::Relaxed) / 1000;
        WallTime::from_millis(1_700_000_000_000 + self.wall_offset_ms + millis)
    }
}

pub(crate) type HandleSlot = Arc<Mutex<Option<Arc<Handle>>>>;

/// A node.
pub(crate) struct SimNode {
    pub(crate) id: NodeId,
    world: Arc<World>,
    settings: ControlSettings,
    clock: Arc<NodeClock>,
    /// Microseconds of its own for each millisecond of the world.
    pace: u64,
    process: Process,
    runtime: Option<Runtime>,
    handle: HandleSlot,
    /// Time that has to be made up after a freeze.
    owed: Duration,
    steps: u32,
}

impl SimNode {
    /// A node that does not run yet.
    pub(crate) fn new(
        id: NodeId,
        world: &Arc<World>,
        settings: ControlSettings,
        pace: u64,
    ) -> Self {
        Self {
            id,
            world: Arc::clone(world),
            settings,
            clock: Arc::new(NodeClock {
                // Not zero: an instant before anything happened would look like "never". And clocks
                // of machines differ.
                micros: AtomicU64::new(1 + u64::from(id.0) * 777_000),
                wall_offset_ms: u64::from(id.0) * 3_600_000,
            }),
            pace,
            process: Process::Dead,
            runtime: None,
            handle: Arc::default(),
            owed: Duration::ZERO,
            steps: 0,
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process
    }

    pub(crate) fn handle(&self) -> Option<Arc<Handle>> {
        let slot = self.handle.lock();
        slot.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the process.
    ///
    /// # Panics
    /// If the runtime cannot be built.
    pub(crate) fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        #[expect(
            clippy::expect_used,
            reason = "without a runtime there is no simulation"
        )]
        let runtime = runtime.expect("a current-thread runtime");
        let ports = Ports {
            servers: Arc::new(SimServers {
                world: Arc::clone(&self.world),
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                node: self.id,
            }),
            store: Arc::new(SimStore {
                world: Arc::clone(&self.world),
                node: self.id,
            }),
            policies: Arc::new(SimPolicies),
            peers: Arc::new(SimPeers::new(Arc::clone(&self.world), self.id)),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        };
        let (settings, slot) = (self.settings.clone(), Arc::clone(&self.handle));
        self.watch_backend(&runtime);
        runtime.spawn(live(ports, settings, slot));
        self.runtime = Some(runtime);
        self.process = Process::Up;
        self.owed = Duration::ZERO;
        self.show();
    }

    /// Starts the watch over the nodes of the backend, where there is one.
    fn watch_backend(&self, runtime: &Runtime) {
        if !self.world.lock().backend.databases.watched {
            return;
        }
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let slot = Arc::clone(&self.handle);
        let watch = crate::backend::watch::start(runtime, (&self.world, self.id), clock, slot);
        let mut state = self.world.lock();
        state.backend.databases.set_watch(self.id, Some(watch));
    }

    /// The process ends: its sessions are closed, its tasks are gone.
    pub(crate) fn kill(&mut self) {
        self.process = Process::Dead;
        drop(self.runtime.take());
        // What the handle shares has sessions in it; their end locks the world, which must not be
        // locked here.
        let slot = self.handle.lock();
        let own = slot.unwrap_or_else(PoisonError::into_inner).take();
        let shown = self.mirror(|mirror| mirror.handle.take());
        drop((own, shown));
        let mut state = self.world.lock();
        state.backend.databases.set_watch(self.id, None);
        drop(state);
        self.show();
    }

    /// It gets no time until it is thawed.
    pub(crate) fn freeze(&mut self) {
        if self.process == Process::Up {
            self.process = Process::Frozen;
            self.show();
        }
    }

    /// It goes on; all its timers are due.
    pub(crate) fn thaw(&mut self) {
        if self.process == Process::Frozen {
            self.process = Process::Up;
            self.show();
        }
    }

    /// Runs a future on the node.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(future);
        }
    }

    /// Gives it a millisecond.
    pub(crate) fn step(&mut self) {
        self.owed += Duration::from_micros(self.pace);
        if self.process != Process::Up {
            return;
        }
        let Some(runtime) = &self.runtime else { return };
        let passed = std::mem::take(&mut self.owed);
        self.clock.advance(passed);
        runtime.block_on(async {
            tokio::time::advance(passed).await;
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(SHOW_EVERY) {
            self.show();
        }
    }

    fn mirror<T>(&self, change: impl FnOnce(&mut Mirror) -> T) -> T {
        change(self.world.lock().mirrors.entry(self.id).or_default())
    }

    /// Lets the others see how it stands.
    fn show(&self) {
        let handle = self.handle();
        let report = handle.as_ref().map(|handle| handle.peer_report());
        let mut state = self.world.lock();
        let mirror: &mut Mirror = state.mirrors.entry(self.id).or_default();
        mirror.process = Some(self.process);
        mirror.handle = handle;
        if let Some(report) = report.as_ref().filter(|report| report.acts) {
            mirror.epoch = report.epoch;
        }
        if mirror.report != report {
            mirror.report = report;
            mirror.version += 1;
        }
    }
}

/// A node's life. One that cannot read its store at the start tries again, as a service manager
/// would let it.
async fn live(ports: Ports, settings: ControlSettings, slot: HandleSlot) {
    loop {
        match Node::prepare(ports.clone(), settings.clone()).await {
            Ok(node) => {
                let handle = node.handle();
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
                // Never stopped cleanly; the sender lives as long as the node.
                let (stop, stopped) = watch::channel(false);
                node.run(stopped).await;
                drop(stop);
                return;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// The name of a node.
pub(crate) fn name(id: NodeId) -> NodeName {
    NodeName::new(id.to_string())
}
