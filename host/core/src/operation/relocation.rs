//! Replicas of a dead intermediate source find another source.

use std::collections::VecDeque;

use super::turn::{Event, Next, Note, PlanEnd, Ranked};
use super::{Order, View, ranking};
use crate::ids::ServerId;
use crate::model::{Snapshot, Topology};
use crate::planning::{Candidate, destinations, orphans, plan_relocate};

#[derive(Clone, Debug)]
pub(super) struct Relocation {
    state: State,
    resumed: bool,
}

#[derive(Clone, Debug)]
enum State {
    New,
    Ranking,
    /// To one destination; the others are tried after it.
    Moving(VecDeque<ServerId>),
    Ended,
}

type Move = (State, Next);

impl Relocation {
    pub(super) fn new() -> Self {
        Self {
            state: State::New,
            resumed: false,
        }
    }

    pub(super) fn resume(&mut self) {
        self.resumed = true;
    }

    pub(super) fn advance(
        &mut self,
        order: &Order,
        view: &View<'_>,
        event: Event,
        notes: &mut Vec<Note>,
    ) -> Next {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, next) = match (state, event) {
            (State::New, Event::Begun) => self.begin(order, view, notes),
            (State::Ranking, Event::Ranked(ranked)) => ranked_by(order, view, &ranked, notes),
            (State::Moving(others), Event::Ran(end)) => {
                let moved = match end {
                    PlanEnd::Completed { tolerated: false } => true,
                    PlanEnd::Completed { tolerated: true } => all_moved(order, view.snapshot),
                    PlanEnd::Stopped { .. } | PlanEnd::PerhapsOpen => false,
                };
                if moved {
                    (State::Ended, Next::succeeded())
                } else {
                    move_to_next(order, view, others, notes)
                }
            }
            (_, _) => (State::Ended, Next::failed()),
        };
        self.state = state;
        next
    }

    fn begin(&self, order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
        let topology = Topology::of(view.snapshot);
        // The process may have ended after the last step.
        if self.resumed && topology.replicas_of(&order.subject).is_empty() {
            return (State::Ended, Next::succeeded());
        }
        let list = destinations(view.snapshot, &order.subject);
        if list.iter().any(Candidate::is_allowed) {
            return (State::Ranking, Next::Rank(list));
        }
        ranked_by(order, view, &Ranked::default(), notes)
    }
}

fn ranked_by(order: &Order, view: &View<'_>, ranked: &Ranked, notes: &mut Vec<Note>) -> Move {
    let list = destinations(view.snapshot, &order.subject);
    let mut servers = VecDeque::from(ranking::order(order, ranked, &list, notes));
    // Whatever the policy vetoes as a *primary*, the grandparent feeds its grandchildren rather
    // than nobody.
    let topology = Topology::of(view.snapshot);
    let mut allowed = list.iter().filter(|candidate| candidate.is_allowed());
    if let Some(grandparent) = topology.source_of(&order.subject)
        && !servers.contains(grandparent)
        && allowed.any(|candidate| candidate.server == *grandparent)
    {
        servers.push_back(grandparent.clone());
    }
    move_to_next(order, view, servers, notes)
}

fn move_to_next(
    order: &Order,
    view: &View<'_>,
    mut destinations: VecDeque<ServerId>,
    notes: &mut Vec<Note>,
) -> Move {
    while let Some(destination) = destinations.pop_front() {
        let target = (&order.subject, &destination);
        let settings = view.settings;
        match plan_relocate(view.snapshot, order.kind, target, order.epoch, settings) {
            Ok(plan) => {
                notes.push(Note::Successor(Some(destination)));
                return (State::Moving(destinations), Next::Run(plan));
            }
            Err(blocked) => notes.push(Note::Problem(blocked.to_string())),
        }
    }
    let text = "some replicas of the dead source found no other source";
    notes.push(Note::Problem(text.to_owned()));
    (State::Ended, Next::failed())
}

/// True if no answering replica points at the dead source any more.
fn all_moved(order: &Order, snapshot: &Snapshot) -> bool {
    orphans(snapshot, &Topology::of(snapshot), &order.subject).is_empty()
}
