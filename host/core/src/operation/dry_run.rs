//! What an operation would do now: the same machine, with no effect performed.
//!
//! Each plan is checked as before it is carried out, and is then taken to have done what it is for
//! (see [`expected_after`]). The policy is asked by the caller, as it would be asked.

use std::collections::BTreeSet;
use std::time::Duration;

use super::takes_writes;
use super::{Event, Next, Note, Operation, Order, PlanEnd, Ranked, Reading, View};
use crate::check::check;
use crate::execution::{expected_after, is_expected_to_fail};
use crate::ids::ServerId;
use crate::model::{ActiveRecovery, RecoveryOutcome, Snapshot};
use crate::planning::{Candidate, ForeseenStep, Phase, Plan, PlanSettings, StepId};

/// More turns than any operation takes whose effects are as hoped.
const TURNS: u32 = 64;

/// Settings of a dry run, as in [`View`].
#[derive(Clone, Debug)]
pub struct DryRunSettings {
    /// Limits of plans.
    pub plan: PlanSettings,
    /// How far a switchover's successor may lag.
    pub lag_limit: Duration,
    /// How long one reading may take.
    pub read_limit: Duration,
    /// A returned server is attached also without a person's order.
    pub attaches_by_itself: bool,
}

/// What an operation would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What would be done, in order.
    pub steps: Vec<ForeseenStep>,
    /// What would go wrong, or stands in the way; the first one first.
    pub problems: Vec<String>,
    /// Who would take over.
    pub successor: Option<ServerId>,
    /// Who was considered, when the policy was to be asked.
    pub candidates: Vec<Candidate>,
    /// How it would end.
    pub outcome: RecoveryOutcome,
    /// How the cluster would look then; while the dry run goes on, how it would look by now.
    pub after: Snapshot,
}

/// An operation that performs nothing.
#[derive(Debug)]
pub struct DryRun {
    operation: Operation,
    settings: DryRunSettings,
    next_step: StepId,
    touched: BTreeSet<ServerId>,
    forecast: Forecast,
}

/// What a dry run needs to go on.
#[derive(Debug)]
pub enum Ahead {
    /// The policy's order of these; hand it to [`DryRun::ranked`].
    Rank(Box<DryRun>, Vec<Candidate>),
    /// Nothing: it has ended.
    Ended(Box<Forecast>),
}

impl DryRun {
    /// Runs an operation against a snapshot, until the policy has to be asked or the operation
    /// ends.
    ///
    /// The operation is taken to be on record already: what stops it from beginning (the switch,
    /// the lease, a cooldown) is not asked here.
    pub fn begin(order: Order, snapshot: &Snapshot, settings: DryRunSettings) -> Ahead {
        let mut snapshot = snapshot.clone();
        snapshot.control.lease = Some(order.epoch);
        snapshot.control.active.get_or_insert(ActiveRecovery {
            id: crate::ids::RecoveryId::new("dry-run"),
            kind: order.kind,
            subject: order.subject.clone(),
        });
        let run = Self {
            operation: Operation::new(order),
            settings,
            next_step: 1,
            touched: BTreeSet::new(),
            forecast: Forecast {
                steps: Vec::new(),
                problems: Vec::new(),
                successor: None,
                candidates: Vec::new(),
                outcome: RecoveryOutcome::Failed,
                after: snapshot,
            },
        };
        run.go_on(Event::Begun)
    }

    /// Goes on with the policy's order.
    pub fn ranked(self, ranked: Ranked) -> Ahead {
        self.go_on(Event::Ranked(ranked))
    }

    /// The cluster as it is expected to look at this point.
    pub fn snapshot(&self) -> &Snapshot {
        &self.forecast.after
    }

    fn go_on(mut self, mut event: Event) -> Ahead {
        for _ in 0..TURNS {
            match self.advance(event) {
                Next::Run(plan) => event = Event::Ran(self.carry_out(&plan)),
                Next::Rank(list) => {
                    self.forecast.candidates.clone_from(&list);
                    return Ahead::Rank(Box::new(self), list);
                }
                Next::Read { server, .. } => event = Event::Read(self.reading(&server)),
                Next::Wait(pause) => {
                    self.forecast.after.taken_at = self.forecast.after.taken_at.plus(pause);
                    event = Event::Woke;
                }
                Next::End(end) => {
                    return self.end(end.outcome);
                }
            }
        }
        let text = "what happens next depends on what servers answer then";
        self.forecast.problems.push(text.to_owned());
        self.end(RecoveryOutcome::Running)
    }

    fn end(mut self, outcome: RecoveryOutcome) -> Ahead {
        self.forecast.outcome = outcome;
        Ahead::Ended(Box::new(self.forecast))
    }

    fn advance(&mut self, event: Event) -> Next {
        let view = View {
            snapshot: &self.forecast.after,
            settings: &self.settings.plan,
            lag_limit: self.settings.lag_limit,
            read_limit: self.settings.read_limit,
            attaches_by_itself: self.settings.attaches_by_itself,
            has_lease: true,
            refused_at: None,
            next_step: self.next_step,
            touched: &self.touched,
        };
        let turn = self.operation.advance(&view, event);
        for note in turn.notes {
            self.note(note);
        }
        turn.next
    }

    fn note(&mut self, note: Note) {
        let forecast = &mut self.forecast;
        match note {
            Note::Line {
                phase,
                server,
                text,
            } => forecast.steps.push(ForeseenStep {
                phase,
                server,
                text,
                fails: false,
            }),
            Note::Problem(text) => forecast.problems.push(text),
            Note::Successor(successor) => forecast.successor = successor,
            Note::SetAside { server, text, .. } => forecast.steps.push(ForeseenStep {
                phase: Phase::Rejoin,
                server: Some(server),
                text,
                fails: false,
            }),
            Note::NotCommitted | Note::LeftBehind(_) | Note::NoDeadline => {}
        }
    }

    /// The checker is asked as before a plan is carried out.
    fn carry_out(&mut self, plan: &Plan) -> PlanEnd {
        let objections = check(plan, &self.forecast.after);
        if !objections.is_empty() {
            let texts = objections.iter().map(ToString::to_string);
            self.forecast.problems.extend(texts);
            return PlanEnd::Stopped {
                unrecorded: false,
                undrained: None,
            };
        }
        let mut tolerated = false;
        for step in &plan.steps {
            let fails = is_expected_to_fail(&self.forecast.after, &step.action);
            tolerated |= fails;
            self.forecast.steps.push(ForeseenStep {
                phase: step.phase,
                server: step.action.server().cloned(),
                text: step.action.describe(),
                fails,
            });
            self.next_step = self.next_step.max(step.id.saturating_add(1));
            let changed = step.action.server().filter(|_| step.action.changes());
            self.touched.extend(changed.cloned());
        }
        self.forecast.after = expected_after(&self.forecast.after, plan);
        PlanEnd::Completed { tolerated }
    }

    fn reading(&self, server: &ServerId) -> Reading {
        if self.forecast.after.answers(server) {
            Reading::Answered {
                writable: takes_writes(&self.forecast.after, server),
            }
        } else {
            Reading::Silent
        }
    }
}
