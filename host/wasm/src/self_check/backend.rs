//! Three nodes of two kinds, one of which just failed.

use baton_core::policy::Reach;
use baton_core::policy::backend::{BackendKind, BackendNode, SelectQuestion};

use super::{context, probe};

/// The node in use refuses connections, another one of its backend is ready, and so is one of a
/// backend that the state may move to.
pub(crate) fn select_question() -> SelectQuestion {
    SelectQuestion {
        context: context(),
        nodes: vec![
            node("galera", BackendKind::Galera, 0, false),
            node("galera", BackendKind::Galera, 1, true),
            node("pair", BackendKind::MasterMaster, 0, true),
        ],
        current: Some(0),
        current_for: Some(3_600_000),
        changed_age: None,
        changes: 0,
        leader: true,
        failures: Vec::new(),
        extra: Vec::new(),
    }
}

fn node(backend: &str, kind: BackendKind, index: u32, ready: bool) -> BackendNode {
    let reach = if ready {
        Reach::Answering
    } else {
        Reach::Silent
    };
    let address = format!("{backend}-{index}.example:3306");
    BackendNode {
        id: format!("{backend}/{address}"),
        address,
        backend: backend.into(),
        kind,
        probe: probe(reach),
        peers: Vec::new(),
        used_by: 0,
        ready: Some(ready),
        not_ready: if ready {
            Vec::new()
        } else {
            vec!["silent".into()]
        },
        proof_age: Some(300),
        proof_ok: Some(true),
        ready_for: ready.then_some(3_600_000),
        members: Some(3),
        members_seen: Some(2),
        epoch_behind: Some(0),
        facts: Vec::new(),
        tags: Vec::new(),
    }
}
