//! Replicas of a dead intermediate source find another source.

use std::collections::VecDeque;

use super::turn::{Event, Next, Note, PlanEnd, Ranked};
use super::{Context, ranking};
use crate::ids::ServerId;
use crate::model::Topology;
use crate::planning::{Candidate, destinations, orphans, plan_relocate};

#[derive(Clone, Debug)]
pub(super) enum Relocation {
    New {
        /// Another process began.
        resumed: bool,
    },
    Ranking,
    /// To one destination; the others are tried after it.
    Moving(VecDeque<ServerId>),
    Ended,
}

type Move = (Relocation, Next);

impl Relocation {
    pub(super) fn advance(self, cx: &mut Context<'_>, event: Event) -> Move {
        match (self, event) {
            (Relocation::New { resumed }, Event::Begun) => begin(cx, resumed),
            (Relocation::Ranking, Event::Ranked(ranked)) => ranked_by(cx, &ranked),
            (Relocation::Moving(others), Event::Ran(end)) => {
                let moved = match end {
                    PlanEnd::Completed { tolerated: false } => true,
                    PlanEnd::Completed { tolerated: true } => all_moved(cx),
                    PlanEnd::Stopped { .. } | PlanEnd::PerhapsOpen => false,
                };
                if moved {
                    (Relocation::Ended, Next::succeeded())
                } else {
                    move_to_next(cx, others)
                }
            }
            (_, _) => (Relocation::Ended, Next::failed()),
        }
    }
}

fn begin(cx: &mut Context<'_>, resumed: bool) -> Move {
    let topology = Topology::of(cx.view.snapshot);
    // The process may have ended after the last step.
    if resumed && topology.replicas_of(&cx.order.subject).is_empty() {
        return (Relocation::Ended, Next::succeeded());
    }
    let list = destinations(cx.view.snapshot, &cx.order.subject);
    if list.iter().any(Candidate::is_allowed) {
        return (Relocation::Ranking, Next::Rank(list));
    }
    ranked_by(cx, &Ranked::default())
}

fn ranked_by(cx: &mut Context<'_>, ranked: &Ranked) -> Move {
    let list = destinations(cx.view.snapshot, &cx.order.subject);
    let mut servers = VecDeque::from(ranking::order(cx, ranked, &list));
    // Whatever the policy vetoes as a *primary*, the grandparent feeds its grandchildren rather
    // than nobody.
    let topology = Topology::of(cx.view.snapshot);
    let mut allowed = list.iter().filter(|candidate| candidate.is_allowed());
    if let Some(grandparent) = topology.source_of(&cx.order.subject)
        && !servers.contains(grandparent)
        && allowed.any(|candidate| candidate.server == *grandparent)
    {
        servers.push_back(grandparent.clone());
    }
    move_to_next(cx, servers)
}

fn move_to_next(cx: &mut Context<'_>, mut destinations: VecDeque<ServerId>) -> Move {
    while let Some(destination) = destinations.pop_front() {
        let target = (&cx.order.subject, &destination);
        let settings = cx.view.settings;
        match plan_relocate(
            cx.view.snapshot,
            cx.order.kind,
            target,
            cx.order.epoch,
            settings,
        ) {
            Ok(plan) => {
                cx.notes.push(Note::Successor(Some(destination)));
                return (Relocation::Moving(destinations), Next::Run(plan));
            }
            Err(blocked) => cx.problem(blocked.to_string()),
        }
    }
    cx.problem("some replicas of the dead source found no other source");
    (Relocation::Ended, Next::failed())
}

/// True if no answering replica points at the dead source any more.
fn all_moved(cx: &Context<'_>) -> bool {
    let snapshot = cx.view.snapshot;
    orphans(snapshot, &Topology::of(snapshot), &cx.order.subject).is_empty()
}
