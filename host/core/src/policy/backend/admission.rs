//! Which nodes may be used at all: the host's own rule, which no selector can widen.

use super::{BackendNode, SelectQuestion};

/// Word of a master-master pair of which both sides accept writes: each would overwrite the other's
/// rows without an error.
pub const BOTH_WRITABLE: &str = "both-writable";
/// Word of a node of a backend that does not hold Baton's present state. Backends are separate
/// databases: to write there would be to begin a second history.
pub const OTHER_BACKEND_STATE: &str = "other-backend-state";

/// Words that bar a node whatever else is said of it.
const BARS: [&str; 2] = [BOTH_WRITABLE, OTHER_BACKEND_STATE];

/// Why a node may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// A condition does not hold.
    #[error("{0}")]
    Word(String),
    /// It was never read.
    #[error("its state is not known")]
    NotKnown,
    /// It is not ready, and nobody said why.
    #[error("it is not ready")]
    NotReady,
}

/// What speaks against using a node; `None` = nothing.
///
/// An epoch that lies behind is no objection by itself: it may only have been read before the
/// newest one was, and where commits are really lost on every node, Baton must go on with a higher
/// epoch or never write again. See [`is_behind`].
pub fn objection(node: &BackendNode) -> Option<Objection> {
    let bar = node
        .not_ready
        .iter()
        .find(|word| BARS.contains(&word.as_str()));
    if let Some(word) = bar {
        return Some(Objection::Word(word.clone()));
    }
    match node.ready {
        Some(true) => None,
        None => Some(Objection::NotKnown),
        Some(false) => Some(
            node.not_ready
                .first()
                .map_or(Objection::NotReady, |word| Objection::Word(word.clone())),
        ),
    }
}

/// Its lease epoch lies behind one that this Baton has seen.
pub fn is_behind(node: &BackendNode) -> bool {
    node.epoch_behind.is_some_and(|behind| behind > 0)
}

/// Bars the nodes of every backend to which the state may not move.
///
/// `holder` is the backend with the present state, `None` while no backend has any; `movable` says
/// of another backend that everything of the state is there already, which only the host can know:
/// after a finished copy, never because the holder is down.
pub fn confine(
    question: &mut SelectQuestion,
    holder: Option<&str>,
    movable: impl Fn(&str) -> bool,
) {
    let Some(holder) = holder else { return };
    for node in &mut question.nodes {
        if node.backend != holder && !movable(&node.backend) {
            node.ready = Some(false);
            node.not_ready.push(OTHER_BACKEND_STATE.to_owned());
        }
    }
}
