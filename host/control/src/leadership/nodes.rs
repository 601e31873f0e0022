//! The Baton nodes, for operators: which there are, and which of them should lead.

use std::time::Duration;

use baton_core::ids::NodeName;
use baton_core::time::Timestamp;
use baton_ports::{NodeRecord, PeerFailure};
use tokio::time::timeout;

use super::Leadership;
use super::peer_table::PeerState;
use crate::api::{NodeLife, NodeView, RequestError, store_error};
use crate::store_retry::retry_while_unavailable;

/// How long the store may take to list the registered nodes. The others are shown without it.
const STORE_LIMIT: Duration = Duration::from_millis(500);
/// How long an operator waits for the lease to come to this node: a few claims.
const LEAD_LIMIT: Duration = Duration::from_secs(3);

impl Leadership {
    /// All nodes, by name; those without a name last.
    pub(crate) async fn nodes(&self) -> Vec<NodeView> {
        let rows = self.registered().await.unwrap_or_default();
        let now = self.clock.now();
        let mut nodes = vec![self.own_view()];
        for (url, state) in self.peers.states() {
            nodes.push(peer(url, state, now));
        }
        for row in rows {
            match nodes
                .iter_mut()
                .find(|node| node.name.as_ref() == Some(&row.name))
            {
                Some(node) => node.version = Some(row.version),
                None => nodes.push(only_registered(row)),
            }
        }
        nodes.sort_by(|a, b| (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)));
        nodes
    }

    /// The nodes that the store has registered; `None` if it does not answer now.
    pub(super) async fn registered(&self) -> Option<Vec<NodeRecord>> {
        if self.lease.problem().is_some() {
            return None;
        }
        let rows = timeout(STORE_LIMIT, self.store.nodes()).await;
        rows.ok()?.ok()
    }

    fn own_view(&self) -> NodeView {
        let report = self.report();
        let settings = &self.registry.settings;
        NodeView {
            name: Some(report.name),
            url: settings.url.clone(),
            version: Some(settings.version.clone()),
            token: Some(report.incarnation),
            life: NodeLife::This,
            answered_age: Some(Duration::ZERO),
            leads: report.acts,
            epoch: Some(report.epoch),
            store_answers: Some(report.store_answers),
            hears: report.hears,
        }
    }

    /// Removes a node from the store, unless it is alive.
    pub(crate) async fn forget_node(&self, name: &NodeName) -> Result<(), RequestError> {
        let is_own = *name == self.registry.settings.node;
        if is_own || self.peers.heard().contains(name) {
            let message =
                format!("{name} lives; stop it first, and take it out of node.peers of the others");
            return Err(RequestError::refused(&message));
        }
        let forgotten = retry_while_unavailable(|| self.store.forget_node(name)).await;
        if forgotten.map_err(|error| store_error(&error))? {
            Ok(())
        } else {
            Err(RequestError::not_found("node", name.as_str()))
        }
    }

    /// Refuses if nobody could take over, or if giving the lease up would interrupt a recovery.
    pub(crate) fn may_step_down(&self) -> Result<(), RequestError> {
        if self.lease.epoch_for(Duration::ZERO).is_none() {
            return Err(RequestError::NotLeader {
                leader: self.lease.leader(),
            });
        }
        let settings = &self.registry.settings;
        let others = !settings.peers.is_empty() || settings.shared_store;
        if !others || (!settings.peers.is_empty() && self.peers.heard().is_empty()) {
            return Err(RequestError::refused(
                "no other node answers, so nobody could take over",
            ));
        }
        let inventory = self.registry.latest();
        let recovering = inventory
            .clusters
            .values()
            .find(|entry| entry.active.is_some());
        recovering.map_or(Ok(()), |entry| {
            Err(RequestError::refused(&format!(
                "{} is being recovered; ask again when that has ended",
                entry.row.name
            )))
        })
    }

    /// Takes the lease, and waits until this node has it.
    pub(crate) async fn lead(&self) -> Result<(), RequestError> {
        let mut leading = self.lease.subscribe();
        if self.lease.epoch_for(Duration::ZERO).is_some() {
            return Ok(());
        }
        if let Some(why) = self.lease.barred() {
            return Err(RequestError::refused(&why));
        }
        self.lease.lead();
        let taken = leading.wait_for(Option::is_some);
        if let Ok(Ok(_)) = timeout(LEAD_LIMIT, taken).await {
            return Ok(());
        }
        self.lease.withdraw_lead();
        let why = self.lease.problem();
        let why = why.unwrap_or_else(|| "the state store did not grant it".to_owned());
        Err(RequestError::Store(format!(
            "the lease did not come to this node within {LEAD_LIMIT:?}: {why}"
        )))
    }
}

fn peer(url: String, state: PeerState, now: Timestamp) -> NodeView {
    let PeerState {
        report,
        answered,
        heard_since: _,
        failing,
    } = state;
    let life = match (failing, answered) {
        (None, Some(_)) => NodeLife::Answers,
        (Some((_, PeerFailure::Gone)), _) => NodeLife::Gone,
        (Some((_, PeerFailure::Strange)), _) => NodeLife::Strange,
        (Some((_, PeerFailure::Silent)), _) | (None, None) => NodeLife::Silent,
    };
    let mut view = NodeView {
        name: None,
        url,
        version: None,
        token: None,
        life,
        answered_age: answered.map(|at| now.since(at)),
        leads: false,
        epoch: None,
        store_answers: None,
        hears: Vec::new(),
    };
    if let Some(report) = report {
        // A stale report gives identity, not state.
        let lives = life == NodeLife::Answers;
        view.name = Some(report.name);
        view.token = Some(report.incarnation);
        view.epoch = Some(report.epoch);
        view.leads = lives && report.acts;
        view.store_answers = lives.then_some(report.store_answers);
        view.hears = if lives { report.hears } else { Vec::new() };
    }
    view
}

fn only_registered(row: NodeRecord) -> NodeView {
    let NodeRecord {
        name,
        start,
        url,
        version,
        beats: _,
        voters_seen: _,
    } = row;
    NodeView {
        name: Some(name),
        url,
        version: Some(version),
        token: Some(start),
        life: NodeLife::Registered,
        answered_age: None,
        leads: false,
        epoch: None,
        store_answers: None,
        hears: Vec::new(),
    }
}
