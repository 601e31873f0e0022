//! Taking a server back: fence, compare, attach or set aside.

use super::turn::{Event, Next, Note, PlanEnd};
use super::{Context, takes_writes};
use crate::ids::ServerId;
use crate::model::{Bounds, Snapshot, Topology};
use crate::planning::{
    RejoinClass, classify_returned, plan_attach, plan_fence, too_few_acknowledgers,
    with_events_restored,
};

#[derive(Clone, Debug)]
pub(super) enum Rejoin {
    New,
    /// The server is closed and read. How things looked before tells which events it ran.
    Fencing {
        before: Box<Snapshot>,
        primary: ServerId,
    },
    Attaching,
    Ended,
}

type Move = (Rejoin, Next);

impl Rejoin {
    pub(super) fn advance(self, cx: &mut Context<'_>, event: Event) -> Move {
        match (self, event) {
            (Rejoin::New, Event::Begun) => begin(cx),
            (Rejoin::Fencing { before, primary }, Event::Ran(PlanEnd::Completed { .. })) => {
                compare(cx, (&before, &primary))
            }
            (Rejoin::Attaching, Event::Ran(PlanEnd::Completed { .. })) => {
                (Rejoin::Ended, Next::succeeded())
            }
            (_, _) => (Rejoin::Ended, Next::failed()),
        }
    }
}

fn begin(cx: &mut Context<'_>) -> Move {
    let primary = cx.view.snapshot.cluster.primary.clone();
    let Some(primary) = primary.filter(|primary| *primary != cx.order.subject) else {
        cx.problem("there is no other primary to rejoin");
        return (Rejoin::Ended, Next::failed());
    };
    let fence = plan_fence(
        cx.view.snapshot,
        &cx.order.subject,
        cx.order.epoch,
        cx.view.settings,
    );
    let before = Box::new(cx.view.snapshot.clone());
    (Rejoin::Fencing { before, primary }, Next::Run(fence))
}

fn compare(cx: &mut Context<'_>, (before, primary): (&Snapshot, &ServerId)) -> Move {
    let (snapshot, returned) = (cx.view.snapshot, &cx.order.subject);
    if let Some(reason) = not_to_be_attached(snapshot, returned, primary) {
        // It stays on record as replaced: once nothing stands in the way, it is taken back.
        cx.problem(reason);
        return (Rejoin::Ended, Next::failed());
    }
    let both = snapshot.facts(returned).zip(snapshot.facts(primary));
    let class = both.map_or(RejoinClass::Incomparable, |(own, reference)| {
        classify_returned(own, reference)
    });
    let Some(objection) = class.objection(returned, primary) else {
        return if !cx.order.automatic || cx.view.attaches_by_itself {
            attach(cx, (before, primary))
        } else {
            (Rejoin::Ended, Next::succeeded())
        };
    };
    set_aside(cx, (&class, objection, primary));
    (Rejoin::Ended, Next::failed())
}

fn attach(cx: &mut Context<'_>, (before, primary): (&Snapshot, &ServerId)) -> Move {
    let (settings, first) = (cx.view.settings, cx.view.next_step);
    let target = (&cx.order.subject, primary);
    let plan = plan_attach(cx.view.snapshot, target, cx.order.epoch, settings, first);
    let plan = with_events_restored(plan, before, settings);
    cx.notes.push(Note::Successor(Some(primary.clone())));
    (Rejoin::Attaching, Next::Run(plan))
}

fn set_aside(cx: &mut Context<'_>, (class, objection, primary): (&RejoinClass, String, &ServerId)) {
    let returned = &cx.order.subject;
    let mut text = objection;
    if let Some(transactions) = class.set_aside_with() {
        if let Some(few) = too_few_acknowledgers(cx.view.snapshot, primary, &[returned]) {
            text = format!("{text}; {few}");
        }
        cx.notes.push(Note::SetAside {
            server: returned.clone(),
            text: text.clone(),
            transactions: transactions.to_owned(),
        });
    }
    cx.problem(text);
}

/// Why a server that is closed by now cannot follow the primary yet.
fn not_to_be_attached(
    snapshot: &Snapshot,
    returned: &ServerId,
    primary: &ServerId,
) -> Option<String> {
    if !takes_writes(snapshot, primary) {
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
