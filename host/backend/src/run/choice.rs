//! The choice, how long it has stood, and its publication.

use std::collections::VecDeque;
use std::time::Duration;

use baton_core::policy::backend::Selection;
use baton_core::policy::{Ms, ProbeView};
use baton_core::time::Timestamp;
use baton_ports::{BackendClusterStatus, BackendNodeStatus, PolicyReply, SelectionStatus, Target};
use tokio::sync::watch;

use super::Backend;
use crate::facts;
use crate::judging::{Judging, Node};
use crate::progress::ms;
use crate::question::PeerKnowledge;

/// Changes of the last hour are counted, but no more than this many are kept.
const CHANGES_MAX: usize = 1000;

const HOUR: Duration = Duration::from_hours(1);

/// The choice.
pub(super) struct Choice {
    current: Option<usize>,
    last: Option<usize>,
    since: Option<Timestamp>,
    changes: VecDeque<Timestamp>,
    generation: u64,
    reply: Option<PolicyReply<Selection>>,
    targets: watch::Sender<Option<Target>>,
}

impl Choice {
    pub(super) fn new() -> (Self, watch::Receiver<Option<Target>>) {
        let (targets, published) = watch::channel(None);
        let choice = Self {
            current: None,
            last: None,
            since: None,
            changes: VecDeque::new(),
            generation: 0,
            reply: None,
            targets,
        };
        (choice, published)
    }

    /// The node in use.
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    /// The node in use, or the last one that was.
    pub(super) fn last(&self) -> Option<usize> {
        self.last
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    pub(super) fn changed(&self) -> Option<Timestamp> {
        self.changes.back().copied()
    }

    pub(super) fn changes(&self, now: Timestamp) -> u32 {
        let recent = self.changes.iter().filter(|at| now.since(**at) < HOUR);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// The node in use, if that is still the one of this generation.
    pub(super) fn node_of(&self, generation: u64) -> Option<usize> {
        self.current.filter(|_| generation == self.generation)
    }

    /// Takes in an answer. Whatever it says, a node that is not ready is not used.
    pub(super) fn take(
        &mut self,
        reply: PolicyReply<Selection>,
        judging: &Judging,
        now: Timestamp,
    ) {
        let chosen = reply
            .answer
            .chosen
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| judging.is_ready(*at));
        self.reply = Some(reply);
        if chosen == self.current {
            return;
        }
        self.current = chosen;
        self.since = chosen.map(|_| now);
        let node = chosen.and_then(|at| judging.nodes.get(at));
        if chosen.is_some() {
            // The first choice is no change.
            if self.last.is_some() && self.last != chosen {
                self.changes.push_back(now);
                if self.changes.len() > CHANGES_MAX {
                    self.changes.pop_front();
                }
            }
            self.last = chosen;
            self.generation += 1;
        }
        if let Some(node) = node {
            let generation = self.generation;
            tracing::info!(node = node.id, generation, "backend node chosen");
        } else {
            tracing::warn!("no backend node is fit for use");
        }
        self.targets.send_replace(node.map(|node| Target {
            node_id: node.id.clone(),
            url: node.spec.url.reveal().to_owned(),
            kind: node.kind,
            generation: self.generation,
        }));
    }

    pub(super) fn status(&self, judging: &Judging, now: Timestamp) -> SelectionStatus {
        let id = |at: usize| judging.nodes.get(at).map(|node| node.id.clone());
        let answer = self.reply.as_ref();
        let usable = answer.map(|reply| reply.answer.usable.clone());
        SelectionStatus {
            node: self.current.and_then(id),
            generation: self.generation,
            since: self.since.map(|at| ms(now.since(at))),
            usable: usable
                .unwrap_or_default()
                .into_iter()
                .filter_map(|at| id(usize::try_from(at).ok()?))
                .collect(),
            reasons: answer
                .map(|reply| reply.answer.reasons.clone())
                .unwrap_or_default(),
            policy: answer.map(|reply| reply.policy.clone()).unwrap_or_default(),
            fallback: answer.and_then(|reply| Some(reply.fallback.as_ref()?.text.clone())),
            changes: self.changes(now),
        }
    }
}

impl Backend {
    pub(super) fn cluster_status(
        &self,
        peers: &PeerKnowledge,
        now: Timestamp,
    ) -> Vec<BackendClusterStatus> {
        let clusters = self.spec.clusters.iter().enumerate();
        clusters
            .map(|(at, cluster)| BackendClusterStatus {
                name: cluster.name.clone(),
                kind: cluster.kind,
                nodes: self
                    .judging
                    .members(at)
                    .map(|(place, node)| self.node_status(place, node, peers, now))
                    .collect(),
                moved_to: self.judging.moved_to(at),
                promotion: self.roles.describe(at),
            })
            .collect()
    }

    fn node_status(
        &self,
        place: usize,
        node: &Node,
        peers: &PeerKnowledge,
        now: Timestamp,
    ) -> BackendNodeStatus {
        let age = |at: Timestamp| -> Ms { ms(now.since(at)) };
        let (members, members_seen) = node.members();
        let content = node.progress.content.as_ref().map(|(_, content)| content);
        let probe: ProbeView = node.progress.view(now);
        BackendNodeStatus {
            id: node.id.clone(),
            address: node.address.clone(),
            in_use: self.choice.current() == Some(place),
            probe,
            ready: node.verdict.ready,
            against: node.verdict.against.clone(),
            notes: node.verdict.notes.clone(),
            ready_for: node.ready_since.map(age),
            proof_age: node.progress.proof.as_ref().map(|(at, _)| age(*at)),
            proof_ok: node.proof_ok(),
            members,
            members_seen,
            epoch: content.and_then(|content| content.epoch),
            epoch_behind: node.verdict.epoch_behind,
            schema: content.and_then(|content| content.schema),
            facts: node.progress.facts().map(facts::pairs).unwrap_or_default(),
            tags: node.spec.tags.clone(),
            used_by: peers.of(&node.id).map_or(0, |known| known.used_by),
        }
    }
}
