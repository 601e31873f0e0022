//! The step machine: which steps may begin, and how the whole ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Approved;
use crate::planning::{OnFailure, Plan, Step, StepId};

/// State of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Handed out.
    Begun,
    /// Done.
    Done,
    /// Refused or not reached; nothing was done, or what was done is known.
    Failed(StepFailure),
    /// Not begun because a step before it failed.
    Skipped,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailure {
    /// The text for people.
    pub text: String,
    /// The server gave no answer, so that the step may or may not have taken effect.
    pub outcome_unknown: bool,
}

/// What happened to a step that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Done.
    Done(StepId),
    /// Failed.
    Failed(StepId, StepFailure),
    /// Stop handing out steps: deadline passed or lease lost. Steps under way are waited for.
    Cancel(String),
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Steps are under way or can begin.
    Running,
    /// All steps have ended; failures that the plan tolerates are listed.
    Completed {
        /// Steps that failed, with why.
        tolerated: Vec<(StepId, StepFailure)>,
    },
    /// The plan stopped.
    Aborted {
        /// The step that failed; `None` if cancelled.
        step: Option<StepId>,
        /// Why.
        failure: StepFailure,
        /// The step that opens writes had been handed out: only forward from here.
        writes_may_be_open: bool,
    },
}

/// A plan being carried out.
#[derive(Clone, Debug)]
pub struct PlanRun {
    plan: Approved,
    states: BTreeMap<StepId, StepState>,
    aborted: Option<(Option<StepId>, StepFailure)>,
}

impl PlanRun {
    /// A run of which nothing has begun.
    pub fn new(plan: Approved) -> Self {
        let states = plan
            .plan()
            .steps
            .iter()
            .map(|step| (step.id, StepState::Waiting))
            .collect();
        Self {
            plan,
            states,
            aborted: None,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.plan.plan()
    }

    /// State of a step.
    pub fn state(&self, id: StepId) -> Option<&StepState> {
        self.states.get(&id)
    }

    /// Takes events in and gives the steps to perform now, all of them concurrently.
    pub fn advance(&mut self, events: Vec<Event>) -> Vec<Step> {
        for event in events {
            self.take(event);
        }
        if self.aborted.is_some() {
            return Vec::new();
        }
        let ready: Vec<Step> = self
            .plan()
            .steps
            .iter()
            .filter(|step| self.is_ready(step))
            .cloned()
            .collect();
        for step in &ready {
            self.states.insert(step.id, StepState::Begun);
        }
        ready
    }

    /// How the run stands now.
    pub fn status(&self) -> RunStatus {
        if self.states.values().any(|state| *state == StepState::Begun) {
            return RunStatus::Running;
        }
        if let Some((step, failure)) = &self.aborted {
            return RunStatus::Aborted {
                step: *step,
                failure: failure.clone(),
                writes_may_be_open: self.writes_may_be_open(),
            };
        }
        if self
            .states
            .values()
            .any(|state| *state == StepState::Waiting)
        {
            return RunStatus::Running;
        }
        let tolerated = self.states.iter().filter_map(|(id, state)| match state {
            StepState::Failed(failure) => Some((*id, failure.clone())),
            StepState::Waiting | StepState::Begun | StepState::Done | StepState::Skipped => None,
        });
        RunStatus::Completed {
            tolerated: tolerated.collect(),
        }
    }

    /// True once the step that opens writes was handed out and not refused for certain.
    pub fn writes_may_be_open(&self) -> bool {
        self.plan()
            .steps
            .iter()
            .filter(|step| step.action.opens_writes())
            .any(|step| match self.states.get(&step.id) {
                Some(StepState::Begun | StepState::Done) => true,
                Some(StepState::Failed(failure)) => failure.outcome_unknown,
                Some(StepState::Waiting | StepState::Skipped) | None => false,
            })
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Done(id) => {
                self.states.insert(id, StepState::Done);
            }
            Event::Failed(id, failure) => self.fail(id, failure),
            Event::Cancel(text) => {
                self.aborted.get_or_insert((
                    None,
                    StepFailure {
                        text,
                        outcome_unknown: false,
                    },
                ));
            }
        }
    }

    fn fail(&mut self, id: StepId, failure: StepFailure) {
        let policy = self
            .plan()
            .steps
            .iter()
            .find(|step| step.id == id)
            .map(|step| step.on_failure);
        self.states.insert(id, StepState::Failed(failure.clone()));
        match policy {
            Some(OnFailure::Continue) => {}
            Some(OnFailure::SkipDependants) => self.skip_after(id),
            Some(OnFailure::Abort) | None => {
                self.aborted.get_or_insert((Some(id), failure));
            }
        }
    }

    fn skip_after(&mut self, id: StepId) {
        let mut ended = BTreeSet::from([id]);
        for step in &self.plan.plan().steps {
            let waiting = self.states.get(&step.id) == Some(&StepState::Waiting);
            // A step that several siblings lead to (for example "catch up") is not skipped for one
            // lost sibling.
            let only_these =
                !step.after.is_empty() && step.after.iter().all(|before| ended.contains(before));
            if waiting && only_these {
                ended.insert(step.id);
                self.states.insert(step.id, StepState::Skipped);
            }
        }
    }

    fn is_ready(&self, step: &Step) -> bool {
        let has_ended = |id: &StepId| {
            matches!(
                self.states.get(id),
                Some(StepState::Done | StepState::Failed(_) | StepState::Skipped)
            )
        };
        self.states.get(&step.id) == Some(&StepState::Waiting) && step.after.iter().all(has_ended)
    }
}
