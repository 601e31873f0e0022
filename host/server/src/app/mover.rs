//! Moves the state from one backend to another while nodes run: holds this node's writes, copies,
//! ends the old store, opens the new one. What each step leaves behind when it is the last one,
//! `baton_store` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use baton_backend::{BackendHandle, ClusterSpec};
use baton_control::{Control as _, Handle, HeldLease, LEASE, RequestError};
use baton_failsafe::FailsafeStore;
use baton_http::{Backends, HttpPeers, MoveRequest, StateMove, StateStatus};
use baton_ports::prelude::*;
use baton_ports::{AuditRecord, BackendClusterStatus, Clock, Target};
use baton_store::{
    HalfCopies, Move, MoveError, MoveLimits, MovedLease, MySqlOptions, MySqlStore, Relocation,
};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::databases::{is_fit, why_not};
use super::peers;
use crate::causes::chain;

/// What was begun before the move may take this long to come to its end.
const QUIET_WITHIN: Duration = Duration::from_secs(3);
/// How long the watch may take to see the opened copy.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks for a move that nobody finished.
const LOOK: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// The databases behind the store, and what moves the state between them.
pub(super) struct Mover {
    /// In words, without secrets.
    pub(super) described: String,
    pub(super) watch: BackendHandle,
    pub(super) store: Arc<MySqlStore>,
    /// What goes on while the databases are away.
    pub(super) journal: Option<Arc<FailsafeStore>>,
    pub(super) clusters: Vec<ClusterSpec>,
    pub(super) control: Arc<Handle>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peers: Arc<HttpPeers>,
    /// Base URLs of the other nodes' APIs.
    pub(super) peer_urls: Vec<String>,
    /// One move at a time.
    pub(super) turn: Mutex<()>,
}

#[async_trait]
impl Backends for Mover {
    fn status(&self) -> StateStatus {
        let status = self.watch.status().borrow().clone();
        StateStatus {
            store: self.described.clone(),
            databases: Some((*status).clone()),
        }
    }

    async fn move_to(&self, request: MoveRequest) -> Result<StateMove, RequestError> {
        let Ok(_turn) = self.turn.try_lock() else {
            return Err(refused(vec!["another move is under way".to_owned()]));
        };
        let Some(lease) = self.control.lease() else {
            return Err(RequestError::NotLeader {
                leader: self.control.node().leader,
            });
        };
        let (from, to) = self.check(&request).await?;
        let of = Move {
            from: from
                .node_id
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            to: request.to.clone(),
            epoch: lease.epoch,
        };
        let moved = self.carry_out(&of, &lease, from, to).await?;
        self.note(&request, &moved).await;
        Ok(moved)
    }
}

impl Mover {
    /// The node that holds the state and the one that is to get it, or everything that stands
    /// against the move.
    async fn check(&self, request: &MoveRequest) -> Result<(Target, Target), RequestError> {
        let to = &request.to;
        if !self.clusters.iter().any(|cluster| cluster.name == *to) {
            return Err(RequestError::NotFound {
                what: "backend",
                name: to.clone(),
            });
        }
        let status = self.watch.status().borrow().clone();
        let mut reasons = Vec::new();
        let used = self.watch.targets().borrow().clone();
        if status.holder.is_none() || used.is_none() {
            reasons.push("no database node that holds the state is in use now".to_owned());
        }
        if status.holder.as_ref() == Some(to) {
            reasons.push(format!("{to} holds the state already"));
        }
        let there = status.clusters.iter().find(|cluster| cluster.name == *to);
        let node = there.and_then(|cluster| cluster.nodes.iter().find(|node| is_fit(node)));
        match (node, there) {
            (Some(node), Some(cluster)) => reasons.extend(occupied(cluster, node.epoch)),
            (None, Some(cluster)) => reasons.extend(cluster.nodes.iter().map(why_not)),
            (_, None) => reasons.push(format!("{to} was not probed yet")),
        }
        let busy = self.control.clusters().into_iter();
        let busy = busy.filter(|view| view.snapshot.control.active.is_some());
        reasons.extend(busy.map(|view| {
            let name = &view.snapshot.cluster.name;
            format!("a recovery of {name} runs: wait for its end")
        }));
        reasons.extend(self.unsent());
        let silent = request.without_peers;
        reasons.extend(peers::against(&self.peers, &self.peer_urls, to, silent).await);
        let target = node.and_then(|node| self.target(&node.id));
        match (used, target) {
            (Some(used), Some(target)) if reasons.is_empty() => Ok((used, target)),
            _ => Err(refused(reasons)),
        }
    }

    /// What the local journal holds that the databases lack goes to those that hold the state now.
    fn unsent(&self) -> Option<String> {
        let status = self.journal.as_ref()?.status();
        let waits = status.unsent_intents || status.unsent_recoveries > 0;
        waits.then(|| {
            "recoveries that went on without the databases are not handed over to them yet: wait"
                .to_owned()
        })
    }

    async fn carry_out(
        &self,
        of: &Move,
        lease: &HeldLease,
        from: Target,
        to: Target,
    ) -> Result<StateMove, RequestError> {
        let (old, new) = (fixed(from), fixed(to));
        let begun = Instant::now();
        let Some(hold) = self.store.hold(QUIET_WITHIN).await else {
            let why = format!(
                "writes begun before were still under way after {} s",
                QUIET_WITHIN.as_secs()
            );
            return Err(refused(vec![why]));
        };
        let lease = MovedLease {
            name: LEASE.to_owned(),
            holder: Some(lease.holder.clone()),
            ttl: lease.ttl,
        };
        let before = self.clock.now();
        let relocation = Relocation {
            old: &old,
            new: &new,
            limits: MoveLimits::default(),
        };
        let moved = relocation.carry_out(of, &lease).await;
        let (rows, state) = moved.map_err(why_not_moved)?;
        let node = self.wait_for(&of.to).await?;
        let kept = self.control.lease_moved(&state, before);
        drop(hold);
        tracing::info!(
            from = of.from,
            to = of.to,
            rows,
            kept,
            lease_epoch = state.epoch.0,
            "the state was moved"
        );
        Ok(StateMove {
            from: of.from.clone(),
            to: of.to.clone(),
            node,
            rows,
            held: begun.elapsed(),
            lease_epoch: state.epoch,
        })
    }

    /// Until the watch has chosen a node of the backend.
    async fn wait_for(&self, backend: &str) -> Result<String, RequestError> {
        let mut targets = self.watch.targets();
        let prefix = format!("{backend}/");
        let is_there = |target: &Option<Target>| {
            target
                .as_ref()
                .is_some_and(|t| t.node_id.starts_with(&prefix))
        };
        let seen = async {
            loop {
                self.watch.look();
                let next = timeout(PAUSE, targets.wait_for(is_there)).await;
                if let Ok(Ok(target)) = next {
                    return target.as_ref().map(|target| target.node_id.clone());
                }
            }
        };
        match timeout(SEEN_WITHIN, seen).await {
            Ok(Some(node)) => Ok(node),
            Ok(None) | Err(_) => Err(RequestError::Store(format!(
                "the state was moved to {backend}, but no node there was chosen within {} s: see `baton backend status`",
                SEEN_WITHIN.as_secs()
            ))),
        }
    }

    async fn note(&self, request: &MoveRequest, moved: &StateMove) {
        let StateMove {
            from,
            to,
            rows,
            held,
            ..
        } = moved;
        let record = AuditRecord {
            at: self.clock.wall(),
            kind: "move-backend".to_owned(),
            server: None,
            cluster: None,
            by: request.by.clone(),
            text: format!(
                "state moved from {from} to {to}: {rows} rows, writes held for {} ms",
                held.as_millis()
            ),
        };
        if let Err(error) = self.store.audit(&record).await {
            tracing::warn!(error = chain(&error), "audit not written");
        }
    }

    fn target(&self, node_id: &str) -> Option<Target> {
        let all = self
            .clusters
            .iter()
            .flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)));
        let mut all = all.filter(|(cluster, node)| cluster.node_id(node) == node_id);
        let (cluster, node) = all.next()?;
        Some(Target {
            node_id: node_id.to_owned(),
            url: node.url.reveal().to_owned(),
            kind: cluster.kind,
            generation: 1,
        })
    }

    /// Finishes, for ever, the moves whose maker died between the end of the old store and the
    /// opening of the new one.
    pub(super) async fn settle(self: Arc<Self>) {
        let mut found_before = None;
        loop {
            sleep(LOOK).await;
            let found = self.unfinished();
            if found.is_some() && found == found_before {
                self.finish(found.as_ref()).await;
            }
            found_before = found;
        }
    }

    /// Nodes of the two backends between which a move stands still, if one does.
    fn unfinished(&self) -> Option<(String, String)> {
        let status = self.watch.status().borrow().clone();
        if status.selection.node.is_some() {
            return None;
        }
        status.clusters.iter().find_map(|old| {
            let to = old.moved_to.as_ref()?;
            let new = status.clusters.iter().find(|cluster| cluster.name == *to)?;
            let old = old.nodes.iter().find(|node| is_fit(node))?;
            let new = new.nodes.iter().find(|node| is_fit(node))?;
            Some((old.id.clone(), new.id.clone()))
        })
    }

    async fn finish(&self, between: Option<&(String, String)>) {
        let targets = between.and_then(|(old, new)| Some((self.target(old)?, self.target(new)?)));
        let Some((from, to)) = targets else { return };
        let name = |target: &Target| {
            target
                .node_id
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let (from_name, to_name) = (name(&from), name(&to));
        let (old, new) = (fixed(from), fixed(to));
        let relocation = Relocation {
            old: &old,
            new: &new,
            limits: MoveLimits::default(),
        };
        let finished = relocation.finish((&from_name, &to_name), LEASE);
        match finished.await {
            Ok(Some(state)) => {
                tracing::warn!(
                    lease_epoch = state.epoch.0,
                    "a move of the state that stood still was finished"
                );
                self.watch.look();
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(
                error = chain(&error),
                "a move of the state that stands still cannot be finished"
            ),
        }
    }
}

/// What the target holds already. A closed copy or what was left behind by an earlier move is
/// nobody's.
fn occupied(cluster: &BackendClusterStatus, epoch: Option<u64>) -> Option<String> {
    let epoch = epoch.filter(|_| cluster.moved_to.is_none())?;
    let nodes: Vec<&str> = cluster.nodes.iter().map(|n| n.address.as_str()).collect();
    Some(format!(
        "{} ({}) holds a state of its own (lease epoch {epoch}): drop Baton's tables there first",
        cluster.name,
        nodes.join(", ")
    ))
}

/// A store on one node, whatever is selected, that can open half a copy.
fn fixed(target: Target) -> MySqlStore {
    let (keep, targets) = watch::channel(Some(target));
    // Nobody changes it: a closed channel reads as unchanged.
    drop(keep);
    let options = MySqlOptions {
        half_copies: HalfCopies::Use,
        ..MySqlOptions::default()
    };
    MySqlStore::follow(targets, Arc::new(()), options)
}

fn refused(reasons: Vec<String>) -> RequestError {
    RequestError::Refused {
        message: "the state is not moved".to_owned(),
        reasons,
    }
}

fn why_not_moved(error: MoveError) -> RequestError {
    match error {
        MoveError::Late(_) => refused(vec![error.to_string()]),
        MoveError::Unmoved(error) => refused(vec![chain(&error)]),
        MoveError::Unopened { from, to, source } => RequestError::Store(format!(
            "the state in {from} has ended and its copy in {to} could not be opened yet ({}); every node goes on trying",
            chain(&source)
        )),
    }
}
