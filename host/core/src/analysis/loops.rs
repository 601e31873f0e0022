//! Servers that replicate in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::context::{Context, ReportBuilder, evidence};
use super::finding_codes::Code;
use super::report::Severity;
use crate::ids::ServerId;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[replication_loops];

type Sources<'s> = BTreeMap<&'s ServerId, BTreeSet<&'s ServerId>>;

/// Circles of more than two, and servers that are their own source. Two that read from each other
/// are co-primaries.
pub(super) fn replication_loops(cx: &Context<'_>, report: &mut ReportBuilder) {
    let mut sources = Sources::new();
    for server in cx.servers() {
        let edges = cx.topology.channels_of(&server.id).iter();
        let found: BTreeSet<&ServerId> = edges.filter_map(|edge| edge.source.as_ref()).collect();
        if found.contains(&server.id) {
            let text = format!("{} is its own source.", server.id);
            let found = vec![evidence("own-source", text, [&server.id])];
            report.note(Code::ReplicationLoop, &server.id, Severity::Critical, found);
        }
        sources.insert(&server.id, found);
    }
    trim(&mut sources);
    let mut in_loop: BTreeSet<&ServerId> = BTreeSet::new();
    for start in sources.keys() {
        let circle = if in_loop.contains(start) {
            None
        } else {
            circle_through(&sources, start)
        };
        let Some(circle) = circle else { continue };
        let text = format!("{} replicate in a circle.", names(&circle));
        let found = vec![evidence("circle", text, circle.iter().copied())];
        report.note(Code::ReplicationLoop, start, Severity::Critical, found);
        in_loop.extend(circle);
    }
}

/// Removes servers that no circle can lead through: those without source or replica. Nothing is
/// left of a tree.
fn trim(sources: &mut Sources<'_>) {
    loop {
        let feeding: BTreeSet<&ServerId> = sources.values().flatten().copied().collect();
        let before = sources.len();
        sources.retain(|id, found| !found.is_empty() && feeding.contains(id));
        let kept: BTreeSet<&ServerId> = sources.keys().copied().collect();
        for (id, found) in sources.iter_mut() {
            found.retain(|source| *source != *id && kept.contains(source));
        }
        if sources.len() == before {
            return;
        }
    }
}

/// The shortest circle of more than two that begins with a channel of `start`.
fn circle_through<'s>(sources: &Sources<'s>, start: &'s ServerId) -> Option<Vec<&'s ServerId>> {
    let circles = sources
        .get(start)?
        .iter()
        .filter_map(|source| path(sources, source, start));
    circles.min_by_key(Vec::len)
}

/// The shortest way up from `from` to `to` that is not the single step between co-primaries; begins
/// with `to`.
fn path<'s>(
    sources: &Sources<'s>,
    from: &'s ServerId,
    to: &'s ServerId,
) -> Option<Vec<&'s ServerId>> {
    let mut came_from: BTreeMap<&ServerId, &ServerId> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(next) = queue.pop_front() {
        for source in sources.get(next).into_iter().flatten().copied() {
            if source == to {
                if next == from {
                    continue;
                }
                let mut way = vec![next];
                let mut at = next;
                while let Some(before) = came_from.get(at).copied() {
                    way.push(before);
                    at = before;
                }
                way.push(to);
                way.reverse();
                return Some(way);
            }
            if source != from && !came_from.contains_key(source) {
                came_from.insert(source, next);
                queue.push_back(source);
            }
        }
    }
    None
}

fn names(circle: &[&ServerId]) -> String {
    let names: Vec<&str> = circle.iter().map(|id| id.as_str()).collect();
    names.join(" <- ")
}
