//! Which databases could get the state.

use baton_ports::{BackendCondition, BackendNodeStatus, ConditionWord};

/// Whether a state could be put there: it takes writes, and what stands against it is only what it
/// holds.
pub(super) fn is_fit(node: &BackendNodeStatus) -> bool {
    let is_closed = |condition: &BackendCondition| condition.word == ConditionWord::ClosedCopy;
    let closed = node.against.iter().any(is_closed);
    node.ready.is_some()
        && node.against.iter().all(|condition| match condition.word {
            ConditionWord::Moved | ConditionWord::ClosedCopy => true,
            // Half a copy has no lease.
            ConditionWord::HistoryOlder => closed,
            _ => false,
        })
}

/// What stands against a node.
pub(super) fn why_not(node: &BackendNodeStatus) -> String {
    let texts: Vec<&str> = node.against.iter().map(|c| c.text.as_str()).collect();
    if texts.is_empty() {
        format!("{} was not probed yet", node.address)
    } else {
        texts.join("; ")
    }
}
