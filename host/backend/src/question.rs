//! What the selector is asked.

use std::collections::BTreeMap;

use baton_core::policy::backend::{BackendNode, SelectQuestion};
use baton_core::policy::{Context, PeerView};
use baton_core::time::Timestamp;
use baton_ports::{BackendCondition, PeerReport};

use crate::facts;
use crate::judging::{Judging, Node};
use crate::progress::ms;

/// How other Baton nodes see and use the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerKnowledge {
    /// Names of the other Baton nodes.
    pub peers: Vec<String>,
    /// How many of them answered.
    pub answering: u32,
    /// By database node.
    pub nodes: Vec<NodePeers>,
}

/// How other Baton nodes see and use one database node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePeers {
    /// `<backend>/<host:port>`.
    pub node: String,
    /// Baton nodes that use it now.
    pub used_by: u32,
    /// Their probes.
    pub views: Vec<PeerView>,
}

impl PeerKnowledge {
    /// Which nodes the other Baton nodes use, as they say.
    pub fn of_reports(reports: &[PeerReport]) -> Self {
        let mut used: BTreeMap<&str, u32> = BTreeMap::new();
        let in_use = reports.iter().filter_map(|r| r.backend_node.as_deref());
        for node in in_use {
            let count = used.entry(node).or_default();
            *count = count.saturating_add(1);
        }
        let used_by = |(node, used_by): (&str, u32)| NodePeers {
            node: node.to_owned(),
            used_by,
            views: Vec::new(),
        };
        Self {
            peers: reports.iter().map(|r| r.name.to_string()).collect(),
            answering: u32::try_from(reports.len()).unwrap_or(u32::MAX),
            nodes: used.into_iter().map(used_by).collect(),
        }
    }

    pub(crate) fn of(&self, node: &str) -> Option<&NodePeers> {
        self.nodes.iter().find(|peers| peers.node == node)
    }
}

/// What the question needs beside the nodes.
pub(crate) struct Circumstances<'a> {
    pub(crate) context: Context,
    pub(crate) now: Timestamp,
    pub(crate) peers: &'a PeerKnowledge,
    pub(crate) current: Option<usize>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) changed: Option<Timestamp>,
    pub(crate) changes: u32,
    pub(crate) leader: bool,
    pub(crate) failures: Vec<(String, u32)>,
    pub(crate) zone: Option<&'a str>,
}

/// The question.
pub(crate) fn question(judging: &Judging, about: Circumstances<'_>) -> SelectQuestion {
    let now = about.now;
    let zone = about
        .zone
        .map(|zone| ("self-zone".to_owned(), zone.to_owned()));
    SelectQuestion {
        context: about.context,
        nodes: judging
            .nodes
            .iter()
            .map(|node| view(node, about.peers, now))
            .collect(),
        current: about.current.and_then(|at| u32::try_from(at).ok()),
        current_for: about.since.map(|at| ms(now.since(at))),
        changed_age: about.changed.map(|at| ms(now.since(at))),
        changes: about.changes,
        leader: about.leader,
        failures: about.failures,
        extra: zone.into_iter().collect(),
    }
}

fn view(node: &Node, peers: &PeerKnowledge, now: Timestamp) -> BackendNode {
    let known = peers.of(&node.id);
    let (members, members_seen) = node.members();
    let word = |condition: &BackendCondition| condition.word.as_str().to_owned();
    BackendNode {
        id: node.id.clone(),
        address: node.address.clone(),
        backend: node.backend.clone(),
        kind: node.kind,
        probe: node.progress.view(now),
        peers: known.map(|known| known.views.clone()).unwrap_or_default(),
        used_by: known.map_or(0, |known| known.used_by),
        ready: node.verdict.ready,
        not_ready: node.verdict.against.iter().map(word).collect(),
        proof_age: node
            .progress
            .proof
            .as_ref()
            .map(|(at, _)| ms(now.since(*at))),
        proof_ok: node.proof_ok(),
        ready_for: node.ready_since.map(|at| ms(now.since(at))),
        members,
        members_seen,
        epoch_behind: node.verdict.epoch_behind,
        facts: node.progress.facts().map(facts::pairs).unwrap_or_default(),
        tags: node.spec.tags.clone(),
    }
}
