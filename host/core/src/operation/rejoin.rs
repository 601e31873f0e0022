//! Taking a server back: fence, compare, attach or set aside.

use super::turn::{Event, Next, Note, PlanEnd};
use super::undo::answers;
use super::{Order, View};
use crate::ids::ServerId;
use crate::model::{Bounds, ServerFacts, Snapshot, Topology};
use crate::planning::{
    RejoinClass, classify_returned, plan_attach, plan_fence, too_few_acknowledgers,
    with_events_restored,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Rejoin {
    state: State,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    New,
    /// The server is closed and read. How things looked before tells which events it ran.
    Fencing {
        before: Box<Snapshot>,
        primary: ServerId,
    },
    Attaching,
    Ended,
}

type Move = (State, Next);

impl Rejoin {
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
            (State::Fencing { before, primary }, Event::Ran(PlanEnd::Completed { .. })) => {
                compare(order, view, (&before, &primary), notes)
            }
            (State::Attaching, Event::Ran(PlanEnd::Completed { .. })) => {
                (State::Ended, Next::succeeded())
            }
            (_, _) => (State::Ended, Next::failed()),
        };
        self.state = state;
        next
    }
}

fn begin(order: &Order, view: &View<'_>, notes: &mut Vec<Note>) -> Move {
    let primary = view.snapshot.cluster.primary.clone();
    let Some(primary) = primary.filter(|primary| *primary != order.subject) else {
        let text = "there is no other primary to rejoin";
        notes.push(Note::Problem(text.to_owned()));
        return (State::Ended, Next::failed());
    };
    let fence = plan_fence(view.snapshot, &order.subject, order.epoch, view.settings);
    let before = Box::new(view.snapshot.clone());
    (State::Fencing { before, primary }, Next::Run(fence))
}

fn compare(
    order: &Order,
    view: &View<'_>,
    (before, primary): (&Snapshot, &ServerId),
    notes: &mut Vec<Note>,
) -> Move {
    let (snapshot, returned) = (view.snapshot, &order.subject);
    if let Some(reason) = not_to_be_attached(snapshot, returned, primary) {
        // It stays on record as replaced: once nothing stands in the way, it is taken back.
        notes.push(Note::Problem(reason));
        return (State::Ended, Next::failed());
    }
    let both = snapshot.facts(returned).zip(snapshot.facts(primary));
    let class = both.map_or(RejoinClass::Incomparable, |(own, reference)| {
        classify_returned(own, reference)
    });
    let Some(objection) = class.objection(returned, primary) else {
        return if !order.automatic || view.attaches_by_itself {
            attach(order, view, (before, primary), notes)
        } else {
            (State::Ended, Next::succeeded())
        };
    };
    set_aside(order, view, (&class, objection, primary), notes);
    (State::Ended, Next::failed())
}

fn attach(
    order: &Order,
    view: &View<'_>,
    (before, primary): (&Snapshot, &ServerId),
    notes: &mut Vec<Note>,
) -> Move {
    let (settings, first) = (view.settings, view.next_step);
    let target = (&order.subject, primary);
    let plan = plan_attach(view.snapshot, target, order.epoch, settings, first);
    let plan = with_events_restored(plan, before, settings);
    notes.push(Note::Successor(Some(primary.clone())));
    (State::Attaching, Next::Run(plan))
}

fn set_aside(
    order: &Order,
    view: &View<'_>,
    (class, objection, primary): (&RejoinClass, String, &ServerId),
    notes: &mut Vec<Note>,
) {
    let returned = &order.subject;
    let mut text = objection;
    if let Some(transactions) = class.set_aside_with() {
        if let Some(few) = too_few_acknowledgers(view.snapshot, primary, &[returned]) {
            text = format!("{text}; {few}");
        }
        notes.push(Note::SetAside {
            server: returned.clone(),
            text: text.clone(),
            transactions: transactions.to_owned(),
        });
    }
    notes.push(Note::Problem(text));
}

/// Why a server that is closed by now cannot follow the primary yet.
fn not_to_be_attached(
    snapshot: &Snapshot,
    returned: &ServerId,
    primary: &ServerId,
) -> Option<String> {
    let server = snapshot.servers.get(primary)?;
    let writable = server.last_facts().is_some_and(ServerFacts::is_writable);
    if !answers(snapshot, primary) || !writable {
        let text = format!(
            "{returned} is closed; {primary}, which took over, does not take writes now: {returned} is to follow it when it does"
        );
        return Some(text);
    }
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let mut outer = bounds.outer(&topology, returned);
    let edge = outer.find(|edge| edge.channel.source.is_some() && edge.is_in_use())?;
    // A replica that was left behind may follow a server that is not known any more.
    let was_primary = snapshot.replacement_of(returned).is_some();
    (was_primary || topology.channels_of(returned).len() > 1).then(|| {
        format!(
            "{returned} is closed; it reads from another cluster on channel '{}': stop that channel, then take it back",
            edge.channel.name
        )
    })
}
