//! What the servers of a story are like beyond the usual, and what happens to them before the first
//! fault: servers that are replaced, delayed or restarted, partitions, people, writers that no
//! `read_only` binds, and a second cluster that shares a replica.

use baton_core::ids::Address;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::network::NodeId;
use crate::run::{Run, address, channel};
use crate::scenario::Scenario;
use crate::server::{Process, SimChannel, SimServer};
use crate::world::State;

/// How long somebody writes whatever `read_only` says, milliseconds.
const PRIVILEGED: u64 = 4_000;

/// Number of the primary of the second cluster.
pub(crate) const OTHER: u32 = 90;

/// How the servers of a story differ from the usual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazards {
    /// Acknowledgements that a commit waits for.
    pub wait_for: u32,
    /// The last replica applies so much later, milliseconds; 0 = at once.
    pub delay: u64,
    /// The second replica also reads from the primary of another cluster.
    pub shared: bool,
    /// What happens shortly before the first fault.
    pub twist: Option<Twist>,
    /// Milliseconds between the two.
    pub pause: u64,
    /// Nothing that was acknowledged may be lost, however many servers are out of reach.
    pub strict: bool,
    /// The real watch over the backend selects the node that each Baton node uses.
    pub watched: bool,
}

impl Default for Hazards {
    fn default() -> Self {
        Self {
            wait_for: 1,
            delay: 0,
            shared: false,
            twist: None,
            pause: 0,
            strict: false,
            watched: false,
        }
    }
}

/// What happens before the first fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// A replica is restarted, and throws its relay log away.
    RelayLogLost,
    /// A replica is killed.
    ReplicaKilled,
    /// Two replicas are killed.
    TwoReplicasKilled,
    /// Two replicas fall silent.
    TwoReplicasFrozen,
    /// A replica is replaced by an empty server, which a person has follow the primary.
    ReplicaReplaced,
    /// A replica is replaced by an empty server that follows nobody.
    ReplicaEmptied,
    /// A person opens a replica.
    ReplicaOpened,
    /// A person stops a replica.
    ReplicaStopped,
    /// A person has a replica forget its source.
    ReplicaReset,
    /// A replica gets a row of its own.
    ErrantRow,
    /// Somebody writes on the primary, whatever `read_only` says.
    PrivilegedWriter,
    /// Baton and the first replica are cut off from everybody else.
    SmallSide,
    /// The primary and its replicas are cut off from each other; Baton reaches all.
    ReplicationCut,
}

impl Twist {
    /// All.
    pub const ALL: [Self; 13] = [
        Self::RelayLogLost,
        Self::ReplicaKilled,
        Self::TwoReplicasKilled,
        Self::TwoReplicasFrozen,
        Self::ReplicaReplaced,
        Self::ReplicaEmptied,
        Self::ReplicaOpened,
        Self::ReplicaStopped,
        Self::ReplicaReset,
        Self::ErrantRow,
        Self::PrivilegedWriter,
        Self::SmallSide,
        Self::ReplicationCut,
    ];
}

impl Hazards {
    /// Drawn by lot for a cluster of so many replicas.
    pub(crate) fn draw(random: &mut SmallRng, replicas: u32) -> Self {
        let turn = random.random_range(0..=Twist::ALL.len());
        Self {
            wait_for: random.random_range(1..=replicas.min(3)),
            delay: if random.random_bool(0.25) { 3_000 } else { 0 },
            shared: random.random_bool(0.25),
            twist: Twist::ALL.get(turn).copied(),
            pause: match random.random_range(0..4) {
                0 => 0,
                1 => 40,
                2 => 400,
                _ => 2_500,
            },
            strict: true,
            watched: false,
        }
    }

    /// The world as it is before anything happens.
    pub(crate) fn build(&self, state: &mut State, scenario: &Scenario) {
        for server in state.servers.values_mut() {
            server.wait_for = self.wait_for;
        }
        let last = address(1 + scenario.replicas);
        if let Some(server) = state.servers.get_mut(&last) {
            server.delay = self.delay;
        }
        if self.shared {
            let mut other = SimServer::new(OTHER, other_address());
            (other.read_only, other.starts_read_only) = (false, false);
            (other.waits, other.acknowledges) = (false, false);
            other.foreign = true;
            state.servers.insert(other.address.clone(), other);
            if let Some(server) = state.servers.get_mut(&address(3)) {
                server.second = Some(channel(other_address(), scenario));
            }
        }
    }
}

/// The primary of the second cluster.
pub(crate) fn other_address() -> Address {
    Address {
        host: "x1".to_owned(),
        port: 3306,
    }
}

/// Lets the twist of a story happen, and so much time pass.
pub(crate) fn happen(run: &mut Run, scenario: &Scenario) {
    let Some(twist) = scenario.hazards.twist else {
        return;
    };
    let replica =
        address(2 + u32::try_from(scenario.seed % u64::from(scenario.replicas)).unwrap_or(0));
    let next =
        address(2 + u32::try_from((scenario.seed + 1) % u64::from(scenario.replicas)).unwrap_or(0));
    let nodes: Vec<NodeId> = run.nodes.iter().map(|node| node.id).collect();
    run.world.change(|state| {
        state.tell(|| format!("{twist:?} of {replica}"));
        twist_servers(state, twist, (&replica, &next));
        cut(state, twist, &nodes);
    });
    run.pass(scenario.hazards.pause);
}

fn twist_servers(state: &mut State, twist: Twist, (replica, next): (&Address, &Address)) {
    let now = state.now;
    if twist == Twist::PrivilegedWriter {
        state.client.privileged_until = now + PRIVILEGED;
        return;
    }
    let mut touched = vec![replica];
    if matches!(twist, Twist::TwoReplicasKilled | Twist::TwoReplicasFrozen) {
        touched.push(next);
    }
    for address in touched {
        let Some(server) = state.servers.get_mut(address) else {
            continue;
        };
        match twist {
            Twist::RelayLogLost => {
                server.die();
                server.lose_relay(now);
                server.start(now);
            }
            Twist::ReplicaKilled | Twist::TwoReplicasKilled => server.die(),
            Twist::TwoReplicasFrozen => server.process = Process::Frozen,
            Twist::ReplicaReplaced => server.be_replaced(now, true),
            Twist::ReplicaEmptied => server.be_replaced(now, false),
            Twist::ReplicaOpened => {
                server.read_only = false;
                server.opened_by_hand = true;
            }
            Twist::ReplicaStopped => server.stop_by_hand(),
            Twist::ReplicaReset => {
                server.channel = None;
                server.relay.clear();
                server.reset_by_hand = true;
            }
            Twist::ErrantRow => drop(server.commit()),
            Twist::PrivilegedWriter | Twist::SmallSide | Twist::ReplicationCut => {}
        }
    }
}

fn cut(state: &mut State, twist: Twist, nodes: &[NodeId]) {
    let servers: Vec<Address> = state.servers.keys().cloned().collect();
    match twist {
        Twist::SmallSide => {
            let kept = address(2);
            for other in servers.iter().filter(|other| **other != kept) {
                state.network.cut(&kept.to_string(), &other.to_string());
                for node in nodes {
                    state.network.cut(&node.to_string(), &other.to_string());
                }
            }
        }
        Twist::ReplicationCut => {
            for other in &servers {
                state
                    .network
                    .cut(&address(1).to_string(), &other.to_string());
            }
        }
        _ => {}
    }
}

impl SimServer {
    /// What was received and not applied is gone, except on the disk of whoever sent it.
    pub(crate) fn lose_relay(&mut self, now: u64) {
        self.relay.clear();
        self.relay_lost_at = Some(now);
    }

    /// Another server is at its address: empty, and with an identity of its own.
    fn be_replaced(&mut self, now: u64, follows: bool) {
        let channel = self.channel.take().filter(|_| follows);
        let fresh = Self::new(self.number + 40, self.address.clone());
        *self = Self {
            incarnation: self.incarnation + 1,
            started: now,
            wait_for: self.wait_for,
            replaced_at: Some(now),
            channel: channel.map(|channel| SimChannel {
                connected: false,
                cursor: 0,
                ..channel
            }),
            ..fresh
        };
    }

    fn stop_by_hand(&mut self) {
        self.stopped_by_hand = true;
        if let Some(channel) = &mut self.channel {
            (channel.receiver_on, channel.applier_on, channel.connected) = (false, false, false);
        }
    }
}
