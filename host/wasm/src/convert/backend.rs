//! The question which backend node to use, and its answer.

use baton_core::policy::backend as core;

use super::{context, peer_view, probe, reasons, reasons_from};
use crate::bindings::backend::selector;

/// What is handed over only to selectors that want it: texts are most of what a question costs.
#[derive(Clone, Copy)]
pub(crate) struct Costly {
    pub(crate) facts: bool,
    pub(crate) tags: bool,
}

impl Costly {
    /// What records hold, so that they can be asked of any selector.
    pub(crate) const ALL: Self = Self {
        facts: true,
        tags: true,
    };
}

/// `select`: question.
pub(crate) fn select_question(
    question: &core::SelectQuestion,
    costly: Costly,
) -> selector::SelectQuestion {
    let core::SelectQuestion {
        context: asked_in,
        nodes,
        current,
        current_for,
        changed_age,
        changes,
        leader,
        failures,
        extra,
    } = question;
    selector::SelectQuestion {
        context: context(asked_in),
        nodes: nodes.iter().map(|it| node(it, costly)).collect(),
        current: *current,
        current_for: *current_for,
        changed_age: *changed_age,
        changes: *changes,
        leader: *leader,
        failures: failures.clone(),
        extra: (!extra.is_empty()).then(|| extra.clone()),
    }
}

/// `select`: answer. The contract's `extra` has no names yet that Baton knows.
pub(crate) fn selection(answer: selector::Selection) -> core::Selection {
    let selector::Selection {
        chosen,
        usable,
        reasons,
        extra: _,
    } = answer;
    core::Selection {
        chosen,
        usable,
        reasons: reasons_from(reasons),
    }
}

/// An accepted `select` answer as it is recorded.
pub(crate) fn selection_record(answer: &core::Selection) -> selector::Selection {
    let core::Selection {
        chosen,
        usable,
        reasons: why,
    } = answer;
    selector::Selection {
        chosen: *chosen,
        usable: usable.clone(),
        reasons: reasons(why),
        extra: None,
    }
}

fn node(node: &core::BackendNode, costly: Costly) -> selector::Node {
    let core::BackendNode {
        id,
        address,
        backend,
        kind,
        probe: own,
        peers,
        used_by,
        ready,
        not_ready,
        proof_age,
        proof_ok,
        ready_for,
        members,
        members_seen,
        epoch_behind,
        facts,
        tags,
    } = node;
    selector::Node {
        id: id.clone(),
        address: address.clone(),
        backend: backend.clone(),
        kind: kind.word().to_owned(),
        probe: probe(own),
        peers: peers.iter().map(peer_view).collect(),
        used_by: *used_by,
        ready: *ready,
        not_ready: not_ready.clone(),
        proof_age: *proof_age,
        proof_ok: *proof_ok,
        ready_for: *ready_for,
        members: *members,
        members_seen: *members_seen,
        epoch_behind: *epoch_behind,
        facts: if costly.facts {
            facts.clone()
        } else {
            Vec::new()
        },
        tags: if costly.tags {
            tags.clone()
        } else {
            Vec::new()
        },
        extra: None,
    }
}
