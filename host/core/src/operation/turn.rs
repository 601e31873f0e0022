//! What goes into a machine and what comes out.

use std::time::Duration;

use crate::ids::ServerId;
use crate::model::RecoveryOutcome;
use crate::planning::{Candidate, Phase, Plan};

/// What happened. Each but the first answers the last [`Next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The operation is on record.
    Begun,
    /// Answers [`Next::Run`].
    Ran(PlanEnd),
    /// Answers [`Next::Rank`].
    Ranked(Ranked),
    /// Answers [`Next::Read`].
    Read(Reading),
    /// Answers [`Next::Wait`].
    Woke,
}

/// How a plan ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanEnd {
    /// All steps ended.
    Completed {
        /// Steps failed that may fail.
        tolerated: bool,
    },
    /// It stopped; nothing irreversible was sent, or it was refused for certain.
    Stopped {
        /// Because the store did not take its journal.
        unrecorded: bool,
        /// The server that did not apply what it had received, if it stopped for that.
        undrained: Option<ServerId>,
    },
    /// It stopped after the step that opens writes was sent, and what that did is not known.
    PerhapsOpen,
}

/// A policy's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranked {
    /// Who answered.
    pub policy: String,
    /// Best first, each with the reasons.
    pub order: Vec<(ServerId, Vec<String>)>,
    /// Why the policy that was asked first did not answer.
    pub failure: Option<String>,
}

/// What a server said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It answered.
    Answered {
        /// It takes writes.
        writable: bool,
    },
    /// It did not answer in time.
    Silent,
    /// It cannot be asked.
    Unreachable,
}

/// For the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line of the journal that belongs to no step.
    Line {
        /// Of which phase.
        phase: Phase,
        /// About whom.
        server: Option<ServerId>,
        /// For people.
        text: String,
    },
    /// Something went wrong, or has to be stated beside the outcome.
    Problem(String),
    /// Who takes over, or that nobody does any more.
    Successor(Option<ServerId>),
    /// Writes are not open on the successor, nor about to be.
    NotCommitted,
    /// These servers are not brought along.
    LeftBehind(Vec<ServerId>),
    /// The deadline of the order stops nothing from now on.
    NoDeadline,
    /// A server stays closed. Its transactions are listed and never dropped silently.
    SetAside {
        /// Which.
        server: ServerId,
        /// Why.
        text: String,
        /// What it alone has.
        transactions: String,
    },
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Check this plan and carry it out.
    Run(Plan),
    /// Ask the policy to rank these.
    Rank(Vec<Candidate>),
    /// Read a server now.
    Read {
        /// Which.
        server: ServerId,
        /// For how long at most.
        limit: Duration,
    },
    /// Let time pass.
    Wait(Duration),
    /// Nothing: the operation has ended.
    End(End),
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// [`RecoveryOutcome::Running`]: it can be neither finished nor undone now.
    pub outcome: RecoveryOutcome,
    /// This server is to be replaced at once: it took over, and does not answer.
    pub replace: Option<ServerId>,
}

impl Next {
    pub(super) fn end(outcome: RecoveryOutcome) -> Self {
        Self::End(End {
            outcome,
            replace: None,
        })
    }

    pub(super) fn failed() -> Self {
        Self::end(RecoveryOutcome::Failed)
    }

    pub(super) fn succeeded() -> Self {
        Self::end(RecoveryOutcome::Succeeded)
    }
}

/// The answer to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// In order, before anything else.
    pub notes: Vec<Note>,
    /// After the notes.
    pub next: Next,
}
