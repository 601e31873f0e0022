//! All nodes with their past and the host's opinion of each.

use baton_core::policy::backend::BackendKind;
use baton_core::time::Timestamp;
use baton_ports::{BackendCondition, BackendProof, ConditionWord};

use crate::progress::{Probe, Progress, Standing};
use crate::rules::{self, Memory, Subject, Verdict};
use crate::spec::{BackendSpec, ClusterSpec, NodeSpec};

/// One node of the flat list, in configured order.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) cluster: usize,
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) backend: String,
    pub(crate) kind: BackendKind,
    pub(crate) spec: NodeSpec,
    pub(crate) progress: Progress,
    pub(crate) verdict: Verdict,
    pub(crate) ready_since: Option<Timestamp>,
}

/// What a selector could see of a node, ages left out: when it changes, the selector is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    standing: Standing,
    ready: Option<bool>,
    words: Vec<ConditionWord>,
    notes: Vec<ConditionWord>,
    proof_ok: Option<bool>,
    epoch_behind: Option<u32>,
    members: (Option<u32>, Option<u32>),
}

/// All nodes.
#[derive(Debug)]
pub(crate) struct Judging {
    pub(crate) nodes: Vec<Node>,
    /// Identity of each cluster that was used once.
    identities: Vec<Option<String>>,
    /// Highest lease epoch ever seen, and when it was seen first.
    epoch: Option<(u64, Timestamp)>,
    /// Highest lease epoch read in each cluster.
    epochs: Vec<Option<u64>>,
    schema_version: u32,
}

impl Judging {
    pub(crate) fn new(spec: &BackendSpec) -> Self {
        let nodes = spec
            .clusters
            .iter()
            .enumerate()
            .flat_map(|(at, cluster)| {
                cluster
                    .nodes
                    .iter()
                    .map(move |node| new_node(at, cluster, node))
            })
            .collect();
        Self {
            nodes,
            identities: vec![None; spec.clusters.len()],
            epoch: None,
            epochs: vec![None; spec.clusters.len()],
            schema_version: spec.schema_version,
        }
    }

    /// Takes in a probe and judges the node's cluster anew.
    pub(crate) fn take(&mut self, node: usize, probe: Probe, now: Timestamp) {
        let Some(found) = self.nodes.get_mut(node) else {
            return;
        };
        found.progress.take(probe);
        let cluster = found.cluster;
        let seen = found
            .progress
            .content
            .as_ref()
            .and_then(|(_, content)| content.epoch);
        self.judge(cluster, now);
        // An epoch counts only if the node's word counts: one of a foreign cluster must not age all
        // others.
        let trusted = self.is_ready(node);
        if let Some(seen) = seen.filter(|_| trusted) {
            if let Some(highest) = self.epochs.get_mut(cluster) {
                *highest = (*highest).max(Some(seen));
            }
            self.note_epoch(seen, now);
        }
    }

    /// An epoch that was seen.
    pub(crate) fn note_epoch(&mut self, epoch: u64, now: Timestamp) {
        if epoch > self.highest_epoch().unwrap_or(0) {
            self.epoch = Some((epoch, now));
            self.judge_all(now);
        }
    }

    /// Highest lease epoch ever seen.
    pub(crate) fn highest_epoch(&self) -> Option<u64> {
        self.epoch.map(|(epoch, _)| epoch)
    }

    /// A person accepts that what was seen is gone.
    pub(crate) fn accept_history(&mut self, now: Timestamp) {
        self.epoch = None;
        self.epochs.fill(None);
        self.identities.fill(None);
        self.judge_all(now);
    }

    /// The cluster that has shown the highest epoch: where the state is.
    pub(crate) fn holder(&self) -> Option<usize> {
        let highest = self.epochs.iter().copied().max().flatten()?;
        self.epochs.iter().position(|epoch| *epoch == Some(highest))
    }

    /// Where the state went from a cluster, as the nodes say that show it.
    pub(crate) fn moved_to(&self, cluster: usize) -> Option<String> {
        let contents = self.members(cluster).filter_map(|(_, node)| {
            let (_, content) = node.progress.content.as_ref()?;
            content.moved_to.clone()
        });
        contents.into_iter().next()
    }

    /// The cluster of this node is in use from now on: no other may stand in for it.
    pub(crate) fn remember(&mut self, node: usize) {
        let Some(node) = self.nodes.get(node) else {
            return;
        };
        let identity = node.progress.facts().and_then(rules::identity);
        if let (Some(identity), Some(slot)) = (identity, self.identities.get_mut(node.cluster)) {
            *slot = Some(identity.to_owned());
        }
    }

    fn judge_all(&mut self, now: Timestamp) {
        for cluster in 0..self.identities.len() {
            self.judge(cluster, now);
        }
    }

    fn judge(&mut self, cluster: usize, now: Timestamp) {
        let memory = Memory {
            identity: self.identities.get(cluster).and_then(Option::as_deref),
            epoch: self.epoch,
            had_tables: self.epochs.len() == 1
                || self.epochs.get(cluster).is_some_and(Option::is_some),
            schema_version: self.schema_version,
        };
        let subjects: Vec<Subject<'_>> = self
            .members(cluster)
            .map(|(_, node)| node.subject())
            .collect();
        let verdicts = rules::judge(&subjects, memory);
        let members = self.nodes.iter_mut().filter(|node| node.cluster == cluster);
        for (node, verdict) in members.zip(verdicts) {
            node.ready_since = match verdict.ready {
                Some(true) => node.ready_since.or(Some(now)),
                Some(false) | None => None,
            };
            node.verdict = verdict;
        }
    }

    /// Nodes of a cluster with their places in the flat list.
    pub(crate) fn members(&self, cluster: usize) -> impl Iterator<Item = (usize, &Node)> {
        let all = self.nodes.iter().enumerate();
        all.filter(move |(_, node)| node.cluster == cluster)
    }

    pub(crate) fn outlines(&self) -> Vec<Outline> {
        self.nodes.iter().map(Node::outline).collect()
    }

    /// True if every node has been tried.
    pub(crate) fn all_tried(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.progress.standing() != Standing::NotProbed)
    }

    pub(crate) fn is_ready(&self, node: usize) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.verdict.ready == Some(true))
    }
}

fn new_node(cluster: usize, of: &ClusterSpec, node: &NodeSpec) -> Node {
    Node {
        cluster,
        id: of.node_id(node),
        address: node.url.address.to_string(),
        backend: of.name.clone(),
        kind: of.kind,
        spec: node.clone(),
        progress: Progress::default(),
        verdict: Verdict::default(),
        ready_since: None,
    }
}

impl Node {
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            address: &self.address,
            database: &self.spec.url.database,
            progress: &self.progress,
        }
    }

    /// Outcome of the last proof that was tried. `None` = none was.
    pub(crate) fn proof_ok(&self) -> Option<bool> {
        match self.progress.proof.as_ref()?.1 {
            BackendProof::Held => Some(true),
            BackendProof::Refused(_) | BackendProof::Late => Some(false),
            BackendProof::NotTried => None,
        }
    }

    fn outline(&self) -> Outline {
        let words = |conditions: &[BackendCondition]| {
            conditions.iter().map(|condition| condition.word).collect()
        };
        Outline {
            standing: self.progress.standing(),
            ready: self.verdict.ready,
            words: words(&self.verdict.against),
            notes: words(&self.verdict.notes),
            proof_ok: self.proof_ok(),
            epoch_behind: self.verdict.epoch_behind,
            members: self.members(),
        }
    }

    pub(crate) fn members(&self) -> (Option<u32>, Option<u32>) {
        match self.progress.facts() {
            Some(facts) => facts.members(),
            None => (None, None),
        }
    }
}
