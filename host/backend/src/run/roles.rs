//! The roles of the nodes of each pair, followed through time; changes run as tasks of their own.

use std::sync::Arc;

use baton_core::model::ThreadState;
use baton_core::policy::Reach;
use baton_core::time::Timestamp;
use baton_ports::{BackendNodes, Clock};
use std::time::Duration;
use tokio::task::JoinSet;

use crate::facts::channel;
use crate::judging::{Judging, Node};
use crate::progress::Standing;
use crate::promoter::{Member, Promoter, PromotionError};
use crate::promotion::{self, Before, Decision, Side};
use crate::question::PeerKnowledge;
use crate::rules::pair::{is_writable, pair_facts};
use crate::spec::BackendSpec;

/// A peer's view older than this says nothing.
const PEER_VIEW_AGE: Duration = Duration::from_secs(2);

/// After a change that failed, the next one waits.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A change that has ended.
pub(super) struct Role {
    cluster: usize,
    nodes: [usize; 2],
    outcome: Result<(), PromotionError>,
}

impl Role {
    pub(super) fn nodes(&self) -> [usize; 2] {
        self.nodes
    }
}

/// All pairs whose roles Baton may change.
pub(super) struct Roles {
    pairs: Vec<Pair>,
    changes: JoinSet<Role>,
    clock: Arc<dyn Clock>,
}

struct Pair {
    cluster: usize,
    promoter: Promoter,
    followed: [Option<Timestamp>; 2],
    answered: [Option<Timestamp>; 2],
    closed_since: Option<Timestamp>,
    running: bool,
    not_before: Option<Timestamp>,
    says: Option<String>,
}

impl Roles {
    pub(super) fn new(
        spec: &BackendSpec,
        nodes: &Arc<dyn BackendNodes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let clusters = spec.clusters.iter().enumerate();
        let pairs = clusters.filter(|(_, cluster)| cluster.nodes.len() == 2);
        let pairs = pairs.filter_map(|(at, cluster)| {
            let promotion = cluster.promotion.clone()?;
            Some(Pair {
                cluster: at,
                promoter: Promoter {
                    nodes: Arc::clone(nodes),
                    timing: cluster.timing,
                    spec: promotion,
                    lock: format!("baton-backend:{}", cluster.name),
                },
                followed: [None; 2],
                answered: [None; 2],
                closed_since: None,
                running: false,
                not_before: None,
                says: None,
            })
        });
        Self {
            pairs: pairs.collect(),
            changes: JoinSet::new(),
            clock,
        }
    }

    /// What is being done about the roles of a pair, or why nothing is.
    pub(super) fn describe(&self, cluster: usize) -> Option<String> {
        let pair = self.pairs.iter().find(|pair| pair.cluster == cluster)?;
        pair.says.clone()
    }

    /// True while a change runs.
    pub(super) fn is_busy(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next change that ends; never, if none runs.
    pub(super) async fn finished(&mut self) -> Role {
        while let Some(done) = self.changes.join_next().await {
            if let Ok(role) = done {
                return self.note(role);
            }
        }
        std::future::pending().await
    }

    fn note(&mut self, role: Role) -> Role {
        let Some(pair) = self
            .pairs
            .iter_mut()
            .find(|pair| pair.cluster == role.cluster)
        else {
            return role;
        };
        pair.running = false;
        match &role.outcome {
            Ok(()) => tracing::info!(backend = pair.promoter.lock, "roles of the pair changed"),
            Err(error) => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "roles of the pair not changed"
                );
                pair.says = Some(format!("the last attempt failed: {error}"));
                pair.not_before = Some(self.clock.now().plus(RETRY_AFTER));
            }
        }
        role
    }

    /// Looks at every pair, starts what has to be done, and says which nodes should be read at
    /// once.
    pub(super) fn review(
        &mut self,
        judging: &Judging,
        (used, peers): (Option<usize>, &PeerKnowledge),
        now: Timestamp,
    ) -> Vec<usize> {
        let mut ask = Vec::new();
        for pair in &mut self.pairs {
            let members: Vec<(usize, &Node)> = judging.members(pair.cluster).collect();
            let [(one_at, one), (two_at, two)] = members.as_slice() else {
                continue;
            };
            pair.observe([one, two], now);
            if pair.running || pair.not_before.is_some_and(|at| now < at) {
                continue;
            }
            let before = Before {
                used: used.and_then(|used| [*one_at, *two_at].iter().position(|at| *at == used)),
                closed_since: pair.closed_since,
                patience: pair.promoter.spec.patience,
            };
            let sides = [pair.side(0, one, peers), pair.side(1, two, peers)];
            let decision = promotion::decide(sides, before, now);
            ask.extend(stale([(*one_at, *one), (*two_at, *two)]));
            pair.act(
                decision,
                [(*one_at, one), (*two_at, two)],
                &mut self.changes,
            );
        }
        ask
    }
}

/// The other node of one that was lost, as long as what it said last is older than the loss.
fn stale(nodes: [(usize, &Node); 2]) -> Option<usize> {
    let [one, two] = nodes;
    [(one, two), (two, one)]
        .into_iter()
        .find_map(|((at, node), (_, other))| {
            let since = other.progress.failing_since?;
            let (read, _) = node.progress.reading.as_ref()?;
            let is_lost = other.progress.standing() == Standing::Lost;
            (is_lost && node.progress.standing() == Standing::Answering && *read < since)
                .then_some(at)
        })
}

fn member(place: usize, node: &Node) -> Member {
    Member {
        place,
        address: node.spec.url.address.clone(),
    }
}

impl Pair {
    fn observe(&mut self, nodes: [&Node; 2], now: Timestamp) {
        let mut closed = true;
        for ((node, followed), answered) in
            nodes.iter().zip(&mut self.followed).zip(&mut self.answered)
        {
            let Some(facts) = pair_facts(node.subject()) else {
                closed = false;
                continue;
            };
            let at = node.progress.reading.as_ref().map(|(at, _)| *at);
            *answered = at;
            if channel(facts).is_some_and(|channel| channel.receiver == ThreadState::Running) {
                *followed = at;
            }
            closed &= !is_writable(facts);
        }
        self.closed_since = if closed {
            self.closed_since.or(Some(now))
        } else {
            None
        };
    }

    fn side<'a>(&self, at: usize, node: &'a Node, peers: &PeerKnowledge) -> Side<'a> {
        let known = peers.of(&node.id);
        let seen_by_peers = known.is_some_and(|known| {
            known.used_by > 0
                || known.views.iter().any(|view| {
                    let age = Duration::from_millis(u64::from(view.age));
                    view.probe.state == Reach::Answering && age < PEER_VIEW_AGE
                })
        });
        Side {
            address: &node.address,
            progress: &node.progress,
            facts: pair_facts(node.subject()),
            followed: self.followed.get(at).copied().flatten(),
            answered: self.answered.get(at).copied().flatten(),
            seen_by_peers,
        }
    }

    fn act(&mut self, decision: Decision, nodes: [(usize, &Node); 2], changes: &mut JoinSet<Role>) {
        let [(one_at, one), (two_at, two)] = nodes;
        let (cluster, nodes, promoter) = (self.cluster, [one_at, two_at], self.promoter.clone());
        let (one, two) = (member(one_at, one), member(two_at, two));
        match decision {
            Decision::Nothing => self.says = None,
            Decision::Hold(why) => self.say(why),
            Decision::Promote {
                candidate,
                reconnect,
                why,
            } => {
                tracing::warn!(
                    reason = why,
                    "opening the passive node of the pair; what the other had not sent yet may be lost"
                );
                self.say(format!(
                    "opening {}: {why}",
                    if candidate == 0 {
                        &one.address
                    } else {
                        &two.address
                    }
                ));
                self.running = true;
                changes.spawn(async move {
                    let (candidate, other) = if candidate == 0 {
                        (&one, &two)
                    } else {
                        (&two, &one)
                    };
                    let outcome = promoter.promote(candidate, other, reconnect).await;
                    Role {
                        cluster,
                        nodes,
                        outcome,
                    }
                });
            }
            Decision::Fence { node, why } => {
                tracing::warn!(reason = why, "closing the stale node of the pair");
                self.say(format!(
                    "closing {}: {why}",
                    if node == 0 {
                        &one.address
                    } else {
                        &two.address
                    }
                ));
                self.running = true;
                changes.spawn(async move {
                    let outcome = promoter.fence(if node == 0 { &one } else { &two }).await;
                    Role {
                        cluster,
                        nodes,
                        outcome,
                    }
                });
            }
        }
    }

    fn say(&mut self, text: String) {
        if self.says.as_ref() != Some(&text) {
            tracing::debug!(reason = text, "roles of the pair");
            self.says = Some(text);
        }
    }
}
