//! What a single reading says about the health of a node, without its past. Pure.

use baton_core::policy::backend::BackendKind;
use baton_ports::{BackendFacts, GaleraFacts, GroupFacts};

/// State identity of a cluster that came up without knowing its own past.
pub(crate) const ZERO_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// True for facts of a node that is out of order, as opposed to one that merely has another role.
/// Such a node has to prove itself afresh.
pub(crate) fn is_sick(facts: &BackendFacts) -> bool {
    match facts {
        BackendFacts::Galera(facts) => {
            !facts.on
                || !facts.ready
                || !facts.primary
                || facts.uuid == ZERO_UUID
                || !matches!(facts.local_state, 2 | 4)
        }
        BackendFacts::Pair(_) => false,
        BackendFacts::Ndb(facts) => facts.ready_nodes.unwrap_or(0) == 0,
        BackendFacts::Group(facts) => facts.state != "ONLINE" || !has_majority(facts),
    }
}

/// True if the kind knows a read that proves something.
pub(crate) fn has_proof(kind: BackendKind) -> bool {
    kind.is_synchronous()
}

/// True if a proof is worth trying: the tables can be read.
pub(crate) fn can_be_read(facts: &BackendFacts) -> bool {
    let rejects = matches!(facts, BackendFacts::Galera(facts) if is_rejecting(facts));
    !is_sick(facts) && !rejects
}

/// True if the node refuses queries by order (`wsrep_reject_queries`).
pub(crate) fn is_rejecting(facts: &GaleraFacts) -> bool {
    !facts.reject_queries.is_empty() && !facts.reject_queries.eq_ignore_ascii_case("NONE")
}

/// True if the node sees a majority of its group.
pub(crate) fn has_majority(facts: &GroupFacts) -> bool {
    facts.seen * 2 > facts.members
}
