//! Operations: what is done about a cluster, from the order to the end, as pure state machines.
//!
//! An [`Operation`] is told what happened ([`Event`]) and how things look now ([`View`]). It
//! answers with notes for the record and with the one thing to do next ([`Turn`]). It performs
//! nothing, knows no clock and no store, and never waits. Going on with what a dead process left is
//! the same machine in another first state.
//!
//! ```text
//!  order ──► Operation ──► Turn { notes, next } ──► driver (journal, servers, policy)
//!               ▲                                        │
//!               └──────────── Event, View ◄──────────────┘
//! ```

mod dry_run;
mod ranking;
mod rejoin;
mod relocation;
mod reopen;
mod replacement;
mod resumed;
mod turn;
mod undo;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Server, ServerFacts, Snapshot};
use crate::planning::{Consent, PlanSettings, StepId};
use crate::time::Timestamp;

use rejoin::Rejoin;
use relocation::Relocation;
use reopen::Reopen;
use replacement::Replacement;

pub use dry_run::{Ahead, DryRun, DryRunSettings, Forecast};
pub use turn::{End, Event, Next, Note, PlanEnd, Ranked, Reading, Turn};

/// What an operation is ordered to do. It does not change while the operation runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is to be done.
    pub kind: RecoveryKind,
    /// The server it is about: the one to be replaced, taken back or opened.
    pub subject: ServerId,
    /// The epoch of the lease under which every plan is made.
    pub epoch: LeaseEpoch,
    /// False if a person ordered it.
    pub automatic: bool,
    /// Whom a person wants to be promoted.
    pub requested: Option<ServerId>,
    /// What a person accepted to lose by that.
    pub consent: Option<Consent>,
}

/// What the record of an operation says that another process left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOpen {
    /// The recorded successor.
    pub successor: Option<ServerId>,
    /// The step that opens writes on that server was about to be sent.
    pub committed: bool,
}

/// How things look when an event is handled.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The cluster, now.
    pub snapshot: &'a Snapshot,
    /// Limits of plans.
    pub settings: &'a PlanSettings,
    /// How far a switchover's successor may lag.
    pub lag_limit: Duration,
    /// How long one reading may take.
    pub read_limit: Duration,
    /// A returned server is attached also without a person's order.
    pub attaches_by_itself: bool,
    /// The lease of the order's epoch is held.
    pub has_lease: bool,
    /// When the cluster's members last refused the right to act.
    pub refused_at: Option<Timestamp>,
    /// Number of the next step.
    pub next_step: StepId,
    /// Servers that steps of this operation changed.
    pub touched: &'a BTreeSet<ServerId>,
}

impl View<'_> {
    fn now(&self) -> Timestamp {
        self.snapshot.taken_at
    }
}

/// One operation under way.
#[derive(Clone, Debug)]
pub struct Operation {
    order: Order,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Replacement(Box<Replacement>),
    Relocation(Relocation),
    Rejoin(Rejoin),
    Reopen(Reopen),
    /// Nothing more is to be handed in.
    Ended,
}

/// What a machine works with while it handles an event.
struct Context<'a> {
    order: &'a Order,
    view: &'a View<'a>,
    notes: Vec<Note>,
}

impl Context<'_> {
    fn problem(&mut self, text: impl Into<String>) {
        self.notes.push(Note::Problem(text.into()));
    }
}

impl Operation {
    /// Begins an operation; the first event is [`Event::Begun`].
    pub fn new(order: Order) -> Self {
        let work = match order.kind {
            RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover | RecoveryKind::Switchover => {
                Work::Replacement(Box::new(Replacement::new()))
            }
            RecoveryKind::IntermediateFailover => {
                Work::Relocation(Relocation::New { resumed: false })
            }
            RecoveryKind::Rejoin => Work::Rejoin(Rejoin::New),
            RecoveryKind::Reopen => Work::Reopen(Reopen::New),
        };
        Self { order, work }
    }

    /// Goes on with what another process left open; the first event is [`Event::Begun`]. What the
    /// servers show decides, not what was intended: every member must have been read before.
    pub fn resumed(order: Order, left: LeftOpen) -> Self {
        let mut operation = Self::new(order);
        match &mut operation.work {
            Work::Replacement(replacement) => replacement.resume(left),
            Work::Relocation(relocation) => *relocation = Relocation::New { resumed: true },
            // Every step of these may be done twice.
            Work::Rejoin(_) | Work::Reopen(_) | Work::Ended => {}
        }
        operation
    }

    /// Handles an event: what is to be noted, and what is to be done next.
    ///
    /// After [`Next::End`] nothing more is to be handed in; an event that does not answer what was
    /// asked for last ends the operation as failed.
    pub fn advance(&mut self, view: &View<'_>, event: Event) -> Turn {
        let mut cx = Context {
            order: &self.order,
            view,
            notes: Vec::new(),
        };
        let (work, next) = match std::mem::replace(&mut self.work, Work::Ended) {
            Work::Replacement(mut work) => {
                let next = work.advance(&mut cx, event);
                (Work::Replacement(work), next)
            }
            Work::Relocation(work) => {
                let (work, next) = work.advance(&mut cx, event);
                (Work::Relocation(work), next)
            }
            Work::Rejoin(work) => {
                let (work, next) = work.advance(&mut cx, event);
                (Work::Rejoin(work), next)
            }
            Work::Reopen(work) => {
                let (work, next) = work.advance(&mut cx, event);
                (Work::Reopen(work), next)
            }
            Work::Ended => (Work::Ended, Next::failed()),
        };
        let notes = cx.notes;
        self.work = work;
        Turn { notes, next }
    }
}

/// Whether a server answers and is writable.
fn takes_writes(snapshot: &Snapshot, server: &ServerId) -> bool {
    let server = snapshot.servers.get(server);
    let facts = server.and_then(Server::current_facts);
    facts.is_some_and(ServerFacts::is_writable)
}

#[cfg(test)]
mod tests;
