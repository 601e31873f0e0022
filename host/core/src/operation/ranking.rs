//! From a policy's answer to the order in which servers are tried.

use super::Context;
use super::turn::{Note, Ranked};
use crate::ids::ServerId;
use crate::planning::{Candidate, Phase, delayed_last};

/// The order to go by: the policy's, delayed servers after others that have as much, and whom a
/// person named first. Empty if nobody was asked.
pub(super) fn order(cx: &mut Context<'_>, ranked: &Ranked, list: &[Candidate]) -> Vec<ServerId> {
    cx.notes.extend(ranked.failure.clone().map(Note::Problem));
    if ranked.policy.is_empty() {
        return Vec::new();
    }
    let servers: Vec<ServerId> = ranked.order.iter().map(|(id, _)| id.clone()).collect();
    let mut servers = delayed_last(&servers, list);
    let named = cx.order.requested.as_ref().filter(|id| {
        let mut allowed = list.iter().filter(|candidate| candidate.is_allowed());
        allowed.any(|candidate| candidate.server == **id)
    });
    if let Some(named) = named {
        servers.retain(|id| id != named);
        servers.insert(0, named.clone());
    }
    let first = servers.first();
    let mut why: Vec<&str> = ranked
        .order
        .iter()
        .filter(|(id, _)| Some(id) == first)
        .flat_map(|(_, reasons)| reasons.iter().map(String::as_str))
        .collect();
    if named.is_some() {
        why.insert(0, "A person named it.");
    }
    cx.notes.push(Note::Line {
        phase: Phase::Choose,
        server: None,
        text: format!(
            "{} ranks {}: {}",
            ranked.policy,
            join(&servers),
            why.join("; ")
        ),
    });
    servers
}

/// Names, for people.
pub(super) fn join(ids: &[ServerId]) -> String {
    let names: Vec<&str> = ids.iter().map(ServerId::as_str).collect();
    names.join(", ")
}
