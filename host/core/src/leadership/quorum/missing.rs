//! Why a node would not have the quorum now.

use std::collections::BTreeSet;

use super::{Voters, Votes};
use crate::ids::ServerId;
use crate::planning::Reason;

/// Says what a node lacks for the quorum of `cluster`, without asking any member. `None` if it
/// would have the quorum.
///
/// - `held`: members whose lock it holds, whether or not they count yet; `votes`: those that do.
/// - `answering`: voters that answer probes.
pub fn missing_quorum(
    cluster: &str,
    voters: &Voters,
    (held, votes): (&BTreeSet<ServerId>, &Votes),
    answering: &BTreeSet<ServerId>,
    leads_without_store: bool,
) -> Option<Reason> {
    let tally = voters.count(votes);
    if tally.granted {
        return None;
    }
    let text = if voters.current.is_empty() {
        format!("the members of cluster {cluster} are not recorded yet, so nobody may act on it")
    } else {
        format!(
            "this node does not hold enough of the members' locks to act: {tally}; {}",
            remedy(voters, answering, leads_without_store)
        )
    };
    Some(Reason {
        code: "no-majority".to_owned(),
        text,
        about: voters.everybody().difference(held).cloned().collect(),
    })
}

fn remedy(voters: &Voters, answering: &BTreeSet<ServerId>, leads_without_store: bool) -> String {
    let all = voters.everybody();
    let missing: Vec<String> = all.difference(answering).map(ToString::to_string).collect();
    let missing = missing.join(", ");
    match (missing.is_empty(), leads_without_store) {
        (true, _) => "locks gained a moment ago begin to count within a second".to_owned(),
        (false, true) => format!(
            "the state store is away, so its half vote is missing; {missing} do not answer: bring \
             the state store or one of them back"
        ),
        (false, false) => format!("{missing} do not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<ServerId> {
        ids.iter().map(|id| ServerId::new(*id)).collect()
    }

    /// What a node with these locks lacks, in a cluster of `a` and `b`.
    fn told(held: &[&str], answering: &[&str], without_store: bool) -> String {
        let voters = Voters::default().change_to(&set(&["a", "b"]), 1).unwrap();
        let (held, votes) = (
            set(held),
            Votes {
                locks: set(held),
                lease: !without_store,
            },
        );
        let answering = set(answering);
        missing_quorum("main", &voters, (&held, &votes), &answering, without_store)
            .map_or_else(|| "nothing".to_owned(), |reason| reason.text)
    }

    #[test]
    fn a_missing_quorum_names_what_would_help() {
        insta::assert_snapshot!(told(&["a"], &["a"], false), @"nothing");
        insta::assert_snapshot!(told(&["a"], &["a"], true), @"this node does not hold enough of the members' locks to act: 1 of 2 locks without the lease: no majority; the state store is away, so its half vote is missing; b do not answer: bring the state store or one of them back");
        insta::assert_snapshot!(told(&[], &["a"], false), @"this node does not hold enough of the members' locks to act: 0 of 2 locks and the lease: no majority; b do not answer");
        insta::assert_snapshot!(told(&[], &["a", "b"], false), @"this node does not hold enough of the members' locks to act: 0 of 2 locks and the lease: no majority; locks gained a moment ago begin to count within a second");
    }

    #[test]
    fn without_recorded_members_nobody_may_act() {
        let none = BTreeSet::new();
        let votes = Votes::default();
        let reason = missing_quorum("main", &Voters::default(), (&none, &votes), &none, false);
        insta::assert_snapshot!(reason.unwrap().text, @"the members of cluster main are not recorded yet, so nobody may act on it");
    }
}
