//! One simulated story: a topology, clients, a fault, perhaps another one in the middle of the recovery, and the time to heal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use baton_control::{Control, ControlSettings, Handle, Node, Ports};
use baton_core::ids::{Address, NodeName};
use baton_core::model::RecoveryOutcome;
use baton_ports::{Clock, RecoveryRow, Store};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::write_on;
use crate::faults::{Fault, Moment, Trap};
use crate::invariants::{Violation, check_acknowledged, check_healed};
use crate::network::{BATON, SECOND_NAME};
use crate::policies::SimPolicies;
use crate::replication;
use crate::server::{Process, SimChannel, SimServer};
use crate::sessions::{SimClock, SimServers};
use crate::store::SimStore;
use crate::world::World;

/// What happens to the cluster first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The primary is killed.
    KillPrimary,
    /// The primary freezes.
    FreezePrimary,
    /// The primary is cut off from Baton and its replicas.
    CutPrimary,
    /// The primary is cut off from Baton only: its replicas still hear it. Nothing may happen.
    CutFromBaton,
    /// The intermediate source is killed.
    KillIntermediate,
    /// A person orders a switchover.
    Switchover,
}

impl First {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KillPrimary,
        Self::FreezePrimary,
        Self::CutPrimary,
        Self::CutFromBaton,
        Self::KillIntermediate,
        Self::Switchover,
    ];
}

/// A story.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed of everything random in it.
    pub seed: u64,
    /// Replicas directly below the primary.
    pub replicas: u32,
    /// Replicas below the first replica.
    pub below: u32,
    /// What happens first.
    pub first: First,
    /// What happens in the middle of the recovery.
    pub trap: Option<Trap>,
}

impl Scenario {
    /// A story from a seed alone.
    pub fn from_seed(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let faults = [
            Fault::KillBaton,
            Fault::KillServer,
            Fault::LoseReply,
            Fault::ReviveOld,
            Fault::StoreAway,
        ];
        let first = pick(&mut random, &First::ALL, First::KillPrimary);
        let trap = random.random_bool(0.8).then(|| Trap {
            nth: random.random_range(1..=12),
            moment: if random.random_bool(0.5) {
                Moment::Before
            } else {
                Moment::After
            },
            fault: pick(&mut random, &faults, Fault::KillBaton),
        });
        Self {
            seed,
            replicas: random.random_range(2..=4),
            below: random.random_range(1..=2),
            first,
            trap,
        }
    }
}

fn pick<T: Copy>(random: &mut SmallRng, all: &[T], otherwise: T) -> T {
    all.get(random.random_range(0..all.len()))
        .copied()
        .unwrap_or(otherwise)
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The story.
    pub scenario: Scenario,
    /// Broken invariants; empty = well.
    pub violations: Vec<Violation>,
    /// Recoveries that Baton recorded.
    pub recoveries: Vec<RecoveryRow>,
    /// Acknowledged transactions.
    pub acknowledged: usize,
    /// Changes that Baton sent after the first fault.
    pub changes: u32,
    /// Longest time without a server that takes writes, milliseconds, at the resolution of the simulation.
    pub gap_ms: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.scenario)?;
        for violation in &self.violations {
            writeln!(f, "  broken: {violation}")?;
        }
        for row in &self.recoveries {
            let kind = row.kind.word();
            writeln!(
                f,
                "  {kind} of {}: {} {:?}",
                row.failed,
                row.outcome.word(),
                row.errors
            )?;
        }
        write!(
            f,
            "  {} acknowledged, gap {} ms",
            self.acknowledged, self.gap_ms
        )
    }
}

struct Run {
    world: Arc<World>,
    store: Arc<SimStore>,
    clock: Arc<dyn Clock>,
    node: Option<(JoinHandle<()>, watch::Sender<bool>, Arc<Handle>)>,
}

/// Runs a story under virtual time.
///
/// # Panics
/// If the runtime cannot be built.
pub fn run(scenario: &Scenario) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    #[expect(
        clippy::expect_used,
        reason = "without a runtime there is no simulation"
    )]
    let runtime = runtime.expect("a current-thread runtime");
    runtime.block_on(tell(scenario))
}

fn address(number: u32) -> Address {
    Address {
        host: format!("s{number}"),
        port: 3306,
    }
}

fn build(world: &World, scenario: &Scenario) {
    world.change(|state| {
        let mut primary = SimServer::new(1, address(1));
        primary.read_only = false;
        // The dangerous configuration: a server that starts writable.
        primary.starts_read_only = !scenario.seed.is_multiple_of(2);
        state.first_primary = Some(primary.address.clone());
        state.servers.insert(primary.address.clone(), primary);
        for i in 0..scenario.replicas + scenario.below {
            let mut server = SimServer::new(i + 2, address(i + 2));
            let source = if i < scenario.replicas {
                address(1)
            } else {
                address(2)
            };
            server.channel = Some(SimChannel {
                source,
                receiver_on: true,
                connected: true,
                applier_on: true,
                heartbeats: 0,
                cursor: 0,
            });
            state.servers.insert(server.address.clone(), server);
        }
    });
}

impl Run {
    async fn start_node(&mut self) -> Result<(), Violation> {
        let ports = Ports {
            servers: Arc::new(SimServers {
                world: Arc::clone(&self.world),
                clock: Arc::clone(&self.clock),
            }),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            policies: Arc::new(SimPolicies),
            peers: Arc::new(baton_control::NoPeers),
            clock: Arc::clone(&self.clock),
        };
        let mut settings = ControlSettings::new(NodeName::new("baton-1"));
        let second_name = Address {
            host: SECOND_NAME.to_owned(),
            port: 3306,
        };
        settings.seeds = vec![address(2), second_name];
        settings.automatic = vec!["*".to_owned()];
        let failed = |what: String| Violation::NotHealed { what };
        let node = Node::prepare(ports, settings)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let handle = node.handle();
        let (stop, stopped) = watch::channel(false);
        self.node = Some((tokio::spawn(node.run(stopped)), stop, handle));
        Ok(())
    }

    async fn kill_node(&mut self) {
        if let Some((task, _, _)) = self.node.take() {
            task.abort();
            // An aborted task ends with an error by design.
            drop(task.await);
        }
    }

    /// Lets `duration` pass, a millisecond at a time, and serves kills of Baton and absences of the store.
    async fn pass(&mut self, duration: Duration, gap: &mut Gap) -> Result<(), Violation> {
        let mut store_back: Option<u64> = None;
        let end = self.clock.now().plus(duration);
        while self.clock.now() < end {
            sleep(Duration::from_millis(1)).await;
            let now_ms = self.clock.now().micros() / 1000;
            let (kill, away) = self.world.change(|state| {
                replication::tick(state, now_ms);
                gap.note(state.servers.values().any(SimServer::takes_writes));
                (std::mem::take(&mut state.kill_baton), state.store_away)
            });
            if kill {
                self.kill_node().await;
                sleep(Duration::from_millis(200)).await;
                self.start_node().await?;
            }
            if away {
                let back = *store_back.get_or_insert(now_ms + 300);
                if now_ms >= back {
                    self.world.change(|state| state.store_away = false);
                    store_back = None;
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Gap {
    now: u64,
    longest: u64,
}

impl Gap {
    fn note(&mut self, writable: bool) {
        self.now = if writable { 0 } else { self.now + 1 };
        self.longest = self.longest.max(self.now);
    }
}

async fn tell(scenario: &Scenario) -> Outcome {
    let world = Arc::new(World::default());
    build(&world, scenario);
    let mut run = Run {
        store: Arc::new(SimStore::new(Arc::clone(&world))),
        clock: Arc::new(SimClock::new()),
        world,
        node: None,
    };
    let mut gap = Gap::default();
    let told = tell_on(&mut run, scenario, &mut gap).await;
    run.kill_node().await;
    let recoveries = run.store.recoveries(None, 0, 100).await.unwrap_or_default();
    let state = run.world.lock();
    let mut violations = state.violations.clone();
    violations.extend(told.err());
    violations.extend(check_acknowledged(&state));
    violations.extend(check_healed(&state));
    violations.extend(
        recoveries
            .iter()
            .filter(|row| row.outcome == RecoveryOutcome::Running)
            .map(|row| Violation::OpenRecovery {
                what: row.id.to_string(),
            }),
    );
    if scenario.first == First::CutFromBaton {
        violations.extend(
            recoveries
                .iter()
                .filter(|row| row.failed.as_str() == "s1:3306")
                .map(|row| Violation::NotHealed {
                    what: format!("{} of a primary that its replicas hear", row.kind.word()),
                }),
        );
    }
    Outcome {
        scenario: scenario.clone(),
        violations,
        recoveries,
        acknowledged: state.acknowledged.len(),
        changes: state.changes,
        gap_ms: gap.longest,
    }
}

async fn tell_on(run: &mut Run, scenario: &Scenario, gap: &mut Gap) -> Result<(), Violation> {
    let mut random = SmallRng::seed_from_u64(scenario.seed ^ 0x5eed);
    let client = tokio::spawn(write_on(Arc::clone(&run.world)));
    run.start_node().await?;
    run.pass(
        Duration::from_millis(5_000 + random.random_range(0..1000)),
        gap,
    )
    .await?;
    let slowest = random.random_range(0..=scenario.replicas);
    run.world.change(|state| {
        state.trap = scenario.trap;
        state.changes = 0;
        // One replica applies slowly, so that draining matters.
        if let Some(server) = state.servers.get_mut(&address(2 + slowest)) {
            server.apply_rate = 1;
        }
    });
    let order = begin(run, scenario.first);
    run.pass(Duration::from_millis(15_000), gap).await?;
    // Faults stop: what was cut, frozen or killed comes back, and the cluster must heal.
    run.world.change(|state| {
        state.trap = None;
        state.network.heal();
        state.store_away = false;
        for server in state.servers.values_mut() {
            match server.process {
                Process::Dead => server.start(),
                Process::Frozen => server.process = Process::Up,
                Process::Up => {}
            }
        }
    });
    run.pass(Duration::from_millis(90_000), gap).await?;
    client.abort();
    run.pass(Duration::from_millis(2_000), gap).await?;
    if let Some(order) = order {
        order.abort();
    }
    check_known(run)
}

/// Each server is known once, under whatever names it has.
fn check_known(run: &Run) -> Result<(), Violation> {
    let Some((_, _, handle)) = run.node.as_ref() else {
        return Ok(());
    };
    let clusters = handle.clusters();
    let known: Vec<String> = clusters
        .iter()
        .flat_map(|view| view.snapshot.servers.keys().map(ToString::to_string))
        .collect();
    if clusters.len() == 1 && known.len() == run.world.lock().servers.len() {
        return Ok(());
    }
    Err(Violation::NotHealed {
        what: format!("{} clusters, servers {known:?}", clusters.len()),
    })
}

fn begin(run: &Run, first: First) -> Option<JoinHandle<()>> {
    let primary = address(1);
    let replicas: Vec<Address> = run
        .world
        .lock()
        .servers
        .keys()
        .filter(|address| **address != primary)
        .cloned()
        .collect();
    match first {
        First::KillPrimary => run.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&primary) {
                server.die();
            }
        }),
        First::KillIntermediate => run.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&address(2)) {
                server.die();
            }
        }),
        First::FreezePrimary => run.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&primary) {
                server.process = Process::Frozen;
            }
        }),
        First::CutPrimary => run.world.change(|state| {
            state.network.cut(BATON, &primary.to_string());
            for replica in &replicas {
                state
                    .network
                    .cut(&replica.to_string(), &primary.to_string());
            }
        }),
        First::CutFromBaton => run
            .world
            .change(|state| state.network.cut(BATON, &primary.to_string())),
        First::Switchover => return order_switchover(run),
    }
    None
}

fn order_switchover(run: &Run) -> Option<JoinHandle<()>> {
    use baton_control::ChangePrimary;
    let (_, _, handle) = run.node.as_ref()?;
    let handle = Arc::clone(handle);
    Some(tokio::spawn(async move {
        let Some(view) = handle.clusters().first().cloned() else {
            return;
        };
        let request = ChangePrimary {
            cluster: view.snapshot.cluster.id.clone(),
            to: None,
            by: "simulation".to_owned(),
            deadline: Some(Duration::from_secs(5)),
        };
        // A refusal or failure is an outcome that the invariants judge.
        drop(handle.switchover(request).await);
    }))
}
