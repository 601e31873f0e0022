//! Opening the recorded primary again, which came back read-only.

use super::turn::{Event, Next, Note, PlanEnd, Reading};
use super::{Context, takes_writes};
use crate::analysis::{Evidence, objections_to_ordered_reopening, reopening_objections};
use crate::model::{Bounds, Topology};
use crate::planning::{plan_reading, plan_reopen};

#[derive(Clone, Debug)]
pub(super) enum Reopen {
    New,
    Reading,
    Opening,
    /// Whether the step that opens writes took effect is asked of the server.
    Asking,
    Ended,
}

type Move = (Reopen, Next);

impl Reopen {
    pub(super) fn advance(self, cx: &mut Context<'_>, event: Event) -> Move {
        match (self, event) {
            (Reopen::New, Event::Begun) => begin(cx),
            (Reopen::Reading, Event::Ran(PlanEnd::Completed { .. })) => open(cx),
            (Reopen::Opening, Event::Ran(PlanEnd::Completed { .. }))
            | (Reopen::Asking, Event::Read(Reading::Answered { writable: true })) => {
                (Reopen::Ended, Next::succeeded())
            }
            (Reopen::Opening, Event::Ran(PlanEnd::PerhapsOpen)) => {
                let server = cx.order.subject.clone();
                let limit = cx.view.read_limit;
                (Reopen::Asking, Next::Read { server, limit })
            }
            (_, _) => (Reopen::Ended, Next::failed()),
        }
    }
}

fn begin(cx: &mut Context<'_>) -> Move {
    // Of a process that ended before it, too.
    cx.notes.push(Note::NotCommitted);
    if takes_writes(cx.view.snapshot, &cx.order.subject) {
        return (Reopen::Ended, Next::succeeded());
    }
    let reading = plan_reading(
        cx.view.snapshot,
        &cx.order.subject,
        cx.order.epoch,
        cx.view.settings,
    );
    (Reopen::Reading, Next::Run(reading))
}

/// What was found before may have changed: somebody else may take writes, or may have closed it.
fn open(cx: &mut Context<'_>) -> Move {
    let objections = objections(cx);
    if objections.is_empty() {
        let (settings, first) = (cx.view.settings, cx.view.next_step);
        let plan = plan_reopen(
            cx.view.snapshot,
            &cx.order.subject,
            cx.order.epoch,
            settings,
            first,
        );
        return (Reopen::Opening, Next::Run(plan));
    }
    let texts = objections.into_iter().map(|objection| objection.text);
    cx.notes.extend(texts.map(Note::Problem));
    (Reopen::Ended, Next::failed())
}

fn objections(cx: &Context<'_>) -> Vec<Evidence> {
    let snapshot = cx.view.snapshot;
    let primary = &cx.order.subject;
    let mut objections = if cx.order.automatic {
        reopening_objections(snapshot, primary)
    } else {
        objections_to_ordered_reopening(snapshot, primary)
    };
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let others = snapshot.servers.keys().filter(|id| *id != primary);
    // A writer of another cluster is none of ours.
    let rivals = others.filter(|id| takes_writes(snapshot, id) && !bounds.is_apart(id));
    objections.extend(rivals.map(|writer| Evidence {
        code: "another-writer",
        text: format!("{writer} takes writes."),
        about: vec![writer.clone()],
    }));
    objections
}
