//! Opening the recorded primary again, which came back read-only.

use super::turn::{Event, Next, Note, PlanEnd, Reading};
use super::undo::answers;
use super::{Order, View};
use crate::analysis::{Evidence, objections_to_ordered_reopening, reopening_objections};
use crate::ids::ServerId;
use crate::model::{Bounds, ServerFacts, Snapshot, Topology};
use crate::planning::{plan_reading, plan_reopen};

#[derive(Clone, Debug, Default)]
pub(super) struct Reopen {
    state: State,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    New,
    Reading,
    Opening,
    /// Whether the step that opens writes took effect is asked of the server.
    Asking,
    Ended,
}

type Move = (State, Next);

impl Reopen {
    pub(super) fn advance(
        &mut self,
        order: &Order,
        view: &View<'_>,
        event: Event,
        notes: &mut Vec<Note>,
    ) -> Next {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, next) = match (state, event) {
            (State::New, Event::Begun) => begin(order, view, notes),
            (State::Reading, Event::Ran(PlanEnd::Completed { .. })) => open(order, view, notes),
            (State::Opening, Event::Ran(PlanEnd::Completed { .. }))
            | (State::Asking, Event::Read(Reading::Answered { writable: true })) => {
                (State::Ended, Next::succeeded())
            }
            (State::Opening, Event::Ran(PlanEnd::PerhapsOpen)) => {
                let server = order.subject.clone();
                let limit = view.read_limit;
                (State::Asking, Next::Read { server, limit })
            }
            (_, _) => (State::Ended, Next::failed()),
        };
        self.state = state;
        next
    }
}

fn begin(order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
    // Of a process that ended before it, too.
    notes.push(Note::NotCommitted);
    if is_writable(view.snapshot, &order.subject) {
        return (State::Ended, Next::succeeded());
    }
    let reading = plan_reading(view.snapshot, &order.subject, order.epoch, view.settings);
    (State::Reading, Next::Run(reading))
}

/// What was found before may have changed: somebody else may take writes, or may have closed it.
fn open(order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
    let objections = objections(order, view.snapshot);
    if objections.is_empty() {
        let (settings, first) = (view.settings, view.next_step);
        let plan = plan_reopen(view.snapshot, &order.subject, order.epoch, settings, first);
        return (State::Opening, Next::Run(plan));
    }
    let texts = objections.into_iter().map(|objection| objection.text);
    notes.extend(texts.map(Note::Problem));
    (State::Ended, Next::failed())
}

fn objections(order: &Order, snapshot: &Snapshot) -> Vec<Evidence> {
    let primary = &order.subject;
    let mut objections = if order.automatic {
        reopening_objections(snapshot, primary)
    } else {
        objections_to_ordered_reopening(snapshot, primary)
    };
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let others = snapshot.servers.keys().filter(|id| *id != primary);
    // A writer of another cluster is none of ours.
    let rivals = others.filter(|id| is_writable(snapshot, id) && !bounds.is_apart(id));
    objections.extend(rivals.map(|writer| Evidence {
        code: "another-writer",
        text: format!("{writer} takes writes."),
        about: vec![writer.clone()],
    }));
    objections
}

fn is_writable(snapshot: &Snapshot, server: &ServerId) -> bool {
    let facts = snapshot
        .servers
        .get(server)
        .and_then(|server| server.last_facts());
    answers(snapshot, server) && facts.is_some_and(ServerFacts::is_writable)
}
