//! The Baton nodes, for operators: which there are, and who of them should lead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::NodeName;
use baton_core::time::Timestamp;
use baton_ports::{Clock, NodeRow, PeerFailure, Store};
use tokio::time::timeout;

use crate::api::store_error;
use crate::api::{NodeLife, NodeView, RequestError};
use crate::inventory::Registry;
use crate::lease::Keeper;
use crate::patience::patiently;
use crate::peers::{PeerState, PeerTable};
use crate::testimony;

/// How long the store may take to list what is registered; what is known without it is worth showing soon.
const STORE_LIMIT: Duration = Duration::from_millis(500);
/// How long the lease may take to come to a node that asks for it: a few tries.
const GRAB_LIMIT: Duration = Duration::from_secs(3);

/// This node, and what it knows of the others.
pub(crate) struct Nodes {
    pub(crate) registry: Arc<Registry>,
    pub(crate) lease: Arc<Keeper>,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Which node of its backend this node uses, for the others to know.
    pub(crate) backend_node: Mutex<Option<String>>,
    /// Unique per process start.
    pub(crate) token: String,
}

/// All nodes, by name; those without one last.
pub(crate) async fn list(own: &Nodes) -> Vec<NodeView> {
    let rows = registered(own).await.unwrap_or_default();
    let now = own.clock.now();
    let mut nodes = vec![this(own)];
    for (url, state) in own.peers.states() {
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
pub(crate) async fn registered(own: &Nodes) -> Option<Vec<NodeRow>> {
    if own.lease.problem().is_some() {
        return None;
    }
    let rows = timeout(STORE_LIMIT, own.store.nodes()).await;
    rows.ok()?.ok()
}

fn this(own: &Nodes) -> NodeView {
    let report = testimony::report(own);
    let settings = &own.registry.settings;
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
pub(crate) async fn forget(own: &Nodes, name: &NodeName) -> Result<(), RequestError> {
    let lives = *name == own.registry.settings.node || own.peers.heard().contains(name);
    if lives {
        let message =
            format!("{name} lives; stop it first, and take it out of node.peers of the others");
        return Err(RequestError::refused(&message));
    }
    let forgotten = patiently(|| own.store.forget_node(name)).await;
    if forgotten.map_err(|error| store_error(&error))? {
        Ok(())
    } else {
        Err(RequestError::not_found("node", name.as_str()))
    }
}

/// Whether giving the lease up now does no harm.
pub(crate) fn may_reelect(own: &Nodes) -> Result<(), RequestError> {
    if own.lease.epoch_for(Duration::ZERO).is_none() {
        return Err(RequestError::NotLeader {
            leader: own.lease.leader(),
        });
    }
    let settings = &own.registry.settings;
    let others = !settings.peers.is_empty() || settings.shared_store;
    if !others || (!settings.peers.is_empty() && own.peers.heard().is_empty()) {
        return Err(RequestError::refused(
            "no other node answers, so nobody could take over",
        ));
    }
    let inventory = own.registry.latest();
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

/// Takes the lease, and waits until it is held.
pub(crate) async fn grab(own: &Nodes) -> Result<(), RequestError> {
    let mut held = own.lease.subscribe();
    if own.lease.epoch_for(Duration::ZERO).is_some() {
        return Ok(());
    }
    if let Some(why) = own.lease.barred() {
        return Err(RequestError::refused(&why));
    }
    own.lease.grab();
    let taken = held.wait_for(Option::is_some);
    if let Ok(Ok(_)) = timeout(GRAB_LIMIT, taken).await {
        return Ok(());
    }
    own.lease.give_up_grabbing();
    let why = own.lease.problem();
    let why = why.unwrap_or_else(|| "the state store did not grant it".to_owned());
    Err(RequestError::Store(format!(
        "the lease did not come to this node within {GRAB_LIMIT:?}: {why}"
    )))
}
