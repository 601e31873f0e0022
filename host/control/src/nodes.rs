//! The Baton nodes, for operators: which there are, and who of them should lead.

use std::time::Duration;

use baton_core::ids::NodeName;
use baton_core::time::Timestamp;
use baton_ports::{NodeRow, PeerFailure};
use tokio::time::timeout;

use crate::api::store_error;
use crate::api::{NodeLife, NodeView, RequestError};
use crate::node::Shared;
use crate::patience::patiently;
use crate::peers::PeerState;
use crate::testimony;

/// How long the store may take to list what is registered; what is known without it is worth showing soon.
const STORE_LIMIT: Duration = Duration::from_millis(500);
/// How long the lease may take to come to a node that asks for it: a few tries.
const GRAB_LIMIT: Duration = Duration::from_secs(3);

/// All nodes, by name; those without one last.
pub(crate) async fn list(shared: &Shared) -> Vec<NodeView> {
    let rows = registered(shared).await.unwrap_or_default();
    let now = shared.ports.clock.now();
    let mut nodes = vec![own(shared)];
    for (url, state) in shared.peers.states() {
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

/// What the store has registered; `None` if it does not say now.
pub(crate) async fn registered(shared: &Shared) -> Option<Vec<NodeRow>> {
    if shared.lease.problem().is_some() {
        return None;
    }
    let rows = timeout(STORE_LIMIT, shared.ports.store.nodes()).await;
    rows.ok()?.ok()
}

fn own(shared: &Shared) -> NodeView {
    let report = testimony::report(shared);
    let settings = &shared.registry.settings;
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
        // What one said that does not answer any more says who it is, not what it does.
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

fn only_registered(row: NodeRow) -> NodeView {
    let NodeRow {
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

/// Removes a node from the store, unless it lives.
pub(crate) async fn forget(shared: &Shared, name: &NodeName) -> Result<(), RequestError> {
    let lives = *name == shared.registry.settings.node || shared.peers.heard().contains(name);
    if lives {
        let message =
            format!("{name} lives; stop it first, and take it out of node.peers of the others");
        return Err(RequestError::refused(&message));
    }
    let forgotten = patiently(|| shared.ports.store.forget_node(name)).await;
    if forgotten.map_err(|error| store_error(&error))? {
        Ok(())
    } else {
        Err(RequestError::not_found("node", name.as_str()))
    }
}

/// Whether giving the lease up now does no harm.
pub(crate) fn may_reelect(shared: &Shared) -> Result<(), RequestError> {
    if shared.lease.epoch_for(Duration::ZERO).is_none() {
        return Err(RequestError::NotLeader {
            leader: shared.lease.leader(),
        });
    }
    let settings = &shared.registry.settings;
    let others = !settings.peers.is_empty() || settings.shared_store;
    if !others || (!settings.peers.is_empty() && shared.peers.heard().is_empty()) {
        return Err(RequestError::refused(
            "no other node answers, so nobody could take over",
        ));
    }
    let inner = shared.registry.lock();
    let recovering = inner.clusters.values().find(|entry| entry.active.is_some());
    recovering.map_or(Ok(()), |entry| {
        Err(RequestError::refused(&format!(
            "{} is being recovered; ask again when that has ended",
            entry.row.name
        )))
    })
}

/// Takes the lease, and waits until it is held.
pub(crate) async fn grab(shared: &Shared) -> Result<(), RequestError> {
    let mut held = shared.lease.subscribe();
    if shared.lease.epoch_for(Duration::ZERO).is_some() {
        return Ok(());
    }
    if let Some(why) = shared.lease.barred() {
        return Err(RequestError::refused(&why));
    }
    shared.lease.grab();
    let taken = held.wait_for(Option::is_some);
    if let Ok(Ok(_)) = timeout(GRAB_LIMIT, taken).await {
        return Ok(());
    }
    shared.lease.give_up_grabbing();
    let why = shared.lease.problem();
    let why = why.unwrap_or_else(|| "the state store did not grant it".to_owned());
    Err(RequestError::Store(format!(
        "the lease did not come to this node within {GRAB_LIMIT:?}: {why}"
    )))
}
