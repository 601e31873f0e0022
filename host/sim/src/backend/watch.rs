//! The real watch over the backend on a simulated Baton node, with the default selection of the
//! core.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use baton_backend::{
    Backend, BackendHandle, BackendSpec, ClusterSpec, DatabaseUrl, NodeSpec, PeerKnowledge,
    PromotionSpec, Timing,
};
use baton_control::Control as _;
use baton_core::policy::backend as question;
use baton_core::policy::backend::{SelectQuestion, Selection, check_selection, first_ready};
use baton_ports::{Clock, PolicyReply, Selectors};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::nodes::SimNodes;
use super::{BackendKind, Place};
use crate::network::NodeId;
use crate::node::{HandleSlot, name};
use crate::world::World;

/// Name of the backend.
pub(super) const BACKEND: &str = "state";

/// Starts the watch on a node's runtime, and tells it what the node knows.
pub(crate) fn start(
    runtime: &Runtime,
    (world, node): (&Arc<World>, NodeId),
    clock: Arc<dyn Clock>,
    slot: HandleSlot,
) -> BackendHandle {
    let nodes = Arc::new(SimNodes {
        world: Arc::clone(world),
        clock: Arc::clone(&clock),
        node,
    });
    let kind = world.lock().backend.kind;
    let (watch, handle) = Backend::new(spec(node, kind), nodes, Arc::new(FirstReady), clock);
    runtime.spawn(watch.run());
    runtime.spawn(inform(handle.clone(), slot));
    handle
}

fn spec(node: NodeId, kind: BackendKind) -> BackendSpec {
    let kind = match kind {
        BackendKind::Own | BackendKind::Synchronous => question::BackendKind::Ndb,
        BackendKind::Galera => question::BackendKind::Galera,
        BackendKind::Pair => question::BackendKind::MasterMaster,
    };
    let urls = Place::BOTH.map(|place| format!("mysql://baton@{}/baton", place.address()));
    let urls = urls.iter().filter_map(|url| DatabaseUrl::parse(url).ok());
    let tags = Vec::new;
    BackendSpec {
        node: name(node).to_string(),
        zone: None,
        schema_version: 1,
        clusters: vec![ClusterSpec {
            name: BACKEND.to_owned(),
            kind,
            nodes: urls.map(|url| NodeSpec { url, tags: tags() }).collect(),
            timing: Timing::default(),
            promotion: Some(PromotionSpec::default()),
        }],
    }
}

/// As the program does: who leads, under which epoch, and which nodes the others use.
async fn inform(watch: BackendHandle, slot: HandleSlot) {
    let targets = watch.targets();
    loop {
        let handle = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(handle) = handle {
            let node = handle.node();
            watch.set_leader(node.lease.is_some());
            if let Some(epoch) = node.lease.filter(|_| !node.stands_in) {
                watch.note_epoch(epoch.0);
            }
            let used = targets.borrow().as_ref().map(|used| used.node_id.clone());
            handle.uses_backend_node(used);
            watch.set_peers(PeerKnowledge::of_reports(&handle.living_peers()));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The default selection of the core.
#[derive(Debug)]
struct FirstReady;

#[async_trait]
impl Selectors for FirstReady {
    async fn select(&self, question: &SelectQuestion) -> PolicyReply<Selection> {
        let answer = check_selection(question, first_ready(question));
        PolicyReply {
            answer: answer.unwrap_or_default(),
            policy: "sim@0".to_owned(),
            fallback: None,
            took: Duration::from_micros(50),
            log: Vec::new(),
        }
    }

    fn describe(&self) -> String {
        "sim@0".to_owned()
    }
}
