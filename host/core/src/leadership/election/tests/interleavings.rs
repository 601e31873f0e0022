//! Two nodes, one store and the network between the nodes, in a small world: every way in which a
//! limited number of disturbances can hit them.
//!
//! Time passes in steps of a second. In each step the store executes what was sent, and the answers
//! arrive. A disturbance is an operator's order, a lost request, a store that executes or answers
//! late, a stopped process, or a cut network; it ends at any later step. The checks:
//!
//! - The lease is half a vote for at most one node at any time.
//! - The store grants no epoch to two nodes.
//! - When the disturbances have ended, exactly one node leads after a while.

#![expect(
    clippy::disallowed_types,
    reason = "asked for membership only, so its order decides nothing"
)]

use std::collections::HashSet;
use std::time::Duration;

use super::play::{peer, settings};
use crate::ids::{LeaseEpoch, NodeName};
use crate::leadership::{
    Answer, Contact, Election, ElectionSettings, Event, LeaseState, Order, Peer, Peers, Request,
    Role, View,
};
use crate::time::Timestamp;

const NODES: usize = 2;
const NAMES: [&str; NODES] = ["n1", "n2"];
const TTL: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_secs(1);

/// How the store serves a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Service {
    Prompt,
    /// Requests wait.
    ExecutesLate,
    /// Requests are executed; their answers wait.
    AnswersLate,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    election: Election,
    /// The process does not run.
    stopped: bool,
    service: Service,
    /// A request on its way to the store.
    request: Option<Request>,
    /// An answer on its way back.
    answer: Option<Answer>,
    /// A release on its way to the store.
    release: Option<LeaseEpoch>,
    /// What it heard last of the other node.
    heard: Peer,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    now: Timestamp,
    row: LeaseState,
    nodes: [Node; NODES],
    /// The nodes do not hear each other since then.
    cut: Option<Timestamp>,
    /// Disturbances that may still happen.
    budget: u8,
}

fn node_settings(x: usize) -> ElectionSettings {
    ElectionSettings {
        guard: STEP,
        ..settings(NAMES[x], TTL)
    }
}

fn start(budget: u8) -> World {
    // Late enough that a node which never heard of a leader may lead without the store.
    let now = Timestamp::from_millis(60_000);
    let node = |x: usize| Node {
        election: Election::new(node_settings(x), now),
        stopped: false,
        service: Service::Prompt,
        request: None,
        answer: None,
        release: None,
        heard: peer(NAMES[1 - x]),
    };
    let mut world = World {
        now,
        row: LeaseState {
            holder: None,
            epoch: LeaseEpoch(1),
            renewals: 1,
            ttl: TTL,
        },
        nodes: [node(0), node(1)],
        cut: None,
        budget,
    };
    for x in 0..NODES {
        world.tell(x, Event::Started);
    }
    world
}

impl World {
    fn tell(&mut self, x: usize, event: Event) {
        let node = &mut self.nodes[x];
        let peers = Peers(vec![node.heard.clone()]);
        let view = View {
            now: self.now,
            peers: &peers,
            busy: false,
        };
        let turn = node.election.advance(&view, event);
        if turn.request.is_some() {
            assert!(node.request.is_none() && node.answer.is_none());
            node.request = turn.request;
        }
        node.release = turn.release.or(node.release);
    }

    /// What the other node says now.
    fn report(&self, x: usize) -> Peer {
        let election = &self.nodes[x].election;
        let epoch = election.epoch_for(self.now, Duration::ZERO);
        Peer {
            leads: epoch.is_some(),
            granted: epoch.is_some() && !election.role().is_self_appointed(),
            epoch: epoch.unwrap_or_else(|| election.highest()),
            hears: vec![NodeName::new(NAMES[1 - x])],
            ..peer(NAMES[x])
        }
    }

    /// The nodes that run hear each other, unless the network is cut.
    fn hear(&mut self) {
        for x in 0..NODES {
            let other = &self.nodes[1 - x];
            let heard = if self.cut.is_none() && !other.stopped {
                self.report(1 - x)
            } else {
                let since = match self.nodes[x].heard.contact {
                    Contact::Silent(since) => since,
                    Contact::Answers | Contact::Gone(_) => self.now,
                };
                Peer {
                    contact: Contact::Silent(since),
                    ..self.nodes[x].heard.clone()
                }
            };
            let changed = self.nodes[x].heard != heard;
            self.nodes[x].heard = heard;
            if changed && !self.nodes[x].stopped {
                self.tell(x, Event::PeersChanged);
            }
        }
    }

    fn pass(&mut self) {
        self.now = self.now.plus(STEP);
        for x in 0..NODES {
            if !self.nodes[x].stopped {
                self.tell(x, Event::Timer);
            }
        }
        self.hear();
    }

    /// The store executes the request of a node.
    fn execute(&mut self, x: usize) {
        let Some(request) = self.nodes[x].request.take() else {
            return;
        };
        let own = node_settings(x).holder;
        let is_own = self.row.holder.as_ref() == Some(&own);
        let granted = match request {
            Request::Renew { epoch } => {
                let granted = is_own && self.row.epoch == epoch;
                self.row.renewals += u64::from(granted);
                granted
            }
            Request::Claim { expected, highest } => {
                let seen = Some((self.row.epoch, self.row.renewals));
                let granted = self.row.holder.is_none() || is_own || expected == seen;
                if granted {
                    let epoch = self.row.epoch.max(highest);
                    self.row.epoch = LeaseEpoch(epoch.0 + 1);
                    self.row.renewals = 1;
                    self.row.holder = Some(own);
                }
                granted
            }
        };
        let row = self.row.clone();
        self.nodes[x].answer = Some(if granted {
            Answer::Granted(row)
        } else {
            Answer::Denied(row)
        });
    }

    fn execute_release(&mut self, x: usize) {
        let own = node_settings(x).holder;
        if let Some(epoch) = self.nodes[x].release.take()
            && self.row.holder == Some(own)
            && self.row.epoch == epoch
        {
            self.row.holder = None;
        }
    }

    fn deliver(&mut self, x: usize) {
        if let Some(answer) = self.nodes[x].answer.take() {
            self.tell(x, Event::Answered(answer));
            self.hear();
        }
    }

    /// The store executes and answers what it does not do late.
    fn settle(&mut self) {
        for x in 0..NODES {
            if self.nodes[x].service != Service::ExecutesLate {
                self.execute_release(x);
                self.execute(x);
            }
            if self.nodes[x].service == Service::Prompt && !self.nodes[x].stopped {
                self.deliver(x);
            }
        }
    }

    fn step(&mut self) {
        self.settle();
        self.pass();
    }

    /// All worlds that may follow.
    fn next(&self) -> Vec<World> {
        let mut next = Vec::new();
        let mut add = |cost: u8, change: &dyn Fn(&mut World)| {
            if cost <= self.budget {
                let mut world = self.clone();
                world.budget -= cost;
                change(&mut world);
                next.push(world);
            }
        };
        add(0, &World::step);
        for x in 0..NODES {
            let node = &self.nodes[x];
            if node.stopped {
                add(0, &|world| world.nodes[x].stopped = false);
            } else {
                add(1, &|world| world.nodes[x].stopped = true);
                add(1, &|world| world.tell(x, Event::Ordered(Order::Lead)));
                add(1, &|world| world.tell(x, Event::Ordered(Order::StepDown)));
            }
            if node.request.is_some() && !node.stopped {
                add(1, &|world| {
                    world.nodes[x].request = None;
                    world.tell(x, Event::Answered(Answer::Failed));
                });
            }
            if node.service == Service::Prompt {
                add(1, &|world| world.nodes[x].service = Service::ExecutesLate);
                add(1, &|world| world.nodes[x].service = Service::AnswersLate);
            } else {
                add(0, &|world| world.nodes[x].service = Service::Prompt);
            }
        }
        if self.cut.is_none() {
            add(1, &|world| world.cut = Some(world.now));
        } else {
            add(0, &|world| world.cut = None);
        }
        next
    }

    fn check(&self) -> Result<(), String> {
        let counts = |node: &Node| node.election.lease_counts(self.now, Duration::ZERO);
        let votes = self.nodes.iter().filter(|node| counts(node)).count();
        if votes > 1 {
            return Err(format!("{votes} nodes count the lease at {}", self.now));
        }
        let granted = |node: &Node| match node.election.role() {
            Role::Leader { epoch, .. }
            | Role::LeaderWithoutStore {
                epoch,
                granted: true,
            } => Some(epoch),
            Role::Follower | Role::LeaderWithoutStore { granted: false, .. } => None,
        };
        let [first, second] = self.nodes.each_ref().map(granted);
        if first.is_some() && first == second {
            return Err(format!("both nodes were granted epoch {first:?}"));
        }
        Ok(())
    }

    /// True if one node leads, and one only, after the disturbances have ended.
    fn heals(mut self) -> bool {
        self.cut = None;
        for node in &mut self.nodes {
            node.stopped = false;
            node.service = Service::Prompt;
        }
        self.hear();
        for _ in 0..30 {
            self.step();
        }
        self.settle();
        let leads = |node: &&Node| matches!(node.election.role(), Role::Leader { .. });
        self.nodes.iter().filter(leads).count() == 1
    }
}

/// Number of states within `steps` seconds and with at most `budget` disturbances, or what is
/// wrong.
fn explore(steps: u32, budget: u8) -> Result<usize, String> {
    let first = start(budget);
    let end = first.now.plus(STEP * steps);
    let mut seen = HashSet::from([first.clone()]);
    let mut todo = vec![first];
    while let Some(world) = todo.pop() {
        world.check()?;
        if world.now >= end {
            if !world.heals() {
                return Err("nobody leads, or two do, after the disturbances".to_owned());
            }
            continue;
        }
        for next in world.next() {
            if seen.insert(next.clone()) {
                todo.push(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn the_lease_is_half_a_vote_for_at_most_one_node() {
    for (steps, budget) in [(6, 2), (3, 3)] {
        let states = explore(steps, budget);
        assert!(
            states.as_ref().is_ok_and(|states| *states > 1_000),
            "{steps} steps, {budget} disturbances: {states:?}"
        );
    }
}
