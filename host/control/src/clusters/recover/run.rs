//! Driving one plan: journal, perform, report back, until it has ended.

use std::sync::Arc;
use std::time::Duration;

use baton_core::check::approve;
use baton_core::execution::{Event, PlanRun, RunStatus, StepFailure};
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::operation::PlanEnd;
use baton_core::planning::{Plan, Step};
use baton_ports::{JournalEntry, JournalStage, StoreError};
use futures::future::join;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Performer, Recovery};
use crate::clusters::sessions::WorkError;

/// Problems while a plan ran, beside its verdict.
#[derive(Debug, Default)]
struct Mishaps {
    /// The store did not take the journal.
    unrecorded: bool,
    /// A server did not apply what it had received.
    undrained: Option<ServerId>,
}

impl Mishaps {
    fn stopped(self) -> PlanEnd {
        PlanEnd::Stopped {
            unrecorded: self.unrecorded,
            undrained: self.undrained,
        }
    }
}

impl Recovery<'_> {
    /// Checks a plan and carries it out.
    pub(super) async fn run(&mut self, plan: Plan) -> PlanEnd {
        let mut mishaps = Mishaps::default();
        let Some(snapshot) = self.driver.members.snapshot() else {
            return mishaps.stopped();
        };
        let plan = match approve(plan, &snapshot) {
            Ok(plan) => plan,
            Err(objections) => {
                for objection in objections {
                    tracing::error!(recovery = %self.row.id, %objection, "plan refused by the checker");
                    self.note_problem(objection.to_string());
                }
                return mishaps.stopped();
            }
        };
        let last = plan
            .plan()
            .steps
            .iter()
            .map(|step| step.id)
            .max()
            .unwrap_or(0);
        self.set_next_step(last.saturating_add(1));
        let mut run = PlanRun::new(plan);
        self.drive(&mut run, &mut mishaps).await;
        self.conclude(&run, mishaps)
    }

    async fn drive(&mut self, run: &mut PlanRun, mishaps: &mut Mishaps) {
        // Tasks of their own, because this one waits for the store between steps: a step that waits
        // for the same store and is not polled meanwhile would never let it go.
        let mut under_way: JoinSet<(Step, Result<String, WorkError>)> = JoinSet::new();
        let mut lines: Vec<JournalEntry> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        loop {
            // After a pause of the whole process: make sure that this node may still act.
            self.driver.quorum.lease.settle().await;
            if let Some(reason) = self.reason_to_stop(run) {
                events.push(Event::Cancel(reason));
            }
            let ready = run.advance(std::mem::take(&mut events));
            lines.extend(
                ready
                    .iter()
                    .map(|step| self.entry(step, JournalStage::Begun, step.action.describe())),
            );
            if let Some(stop) = self
                .record(&ready, &mut lines, (&*run, &mut *mishaps))
                .await
            {
                events.extend(stop);
                continue;
            }
            for step in ready {
                let changed = step.action.server().filter(|_| step.action.changes());
                self.touched.extend(changed.cloned());
                under_way.spawn(perform_within(
                    Arc::clone(&self.driver.performer),
                    self.row.epoch,
                    step,
                ));
            }
            let Some(first) = under_way.join_next().await else {
                // The end of the last steps. What comes next, another plan or the end, writes it.
                for line in lines {
                    self.defer(line);
                }
                return;
            };
            // Whatever else has ended by now goes into the same write.
            let others = std::iter::from_fn(|| under_way.try_join_next());
            let ended: Vec<_> = std::iter::once(first).chain(others).collect();
            for outcome in ended {
                match outcome {
                    Ok(ended) => {
                        let undrained = self.note_outcome(ended, &mut lines, &mut events);
                        mishaps.undrained = undrained.or(mishaps.undrained.take());
                    }
                    Err(error) => {
                        self.note_problem(format!("a step's task failed: {error}"));
                        events.push(Event::Cancel("a step's task failed".to_owned()));
                    }
                }
            }
        }
    }

    /// Journals the steps that are about to begin. If that fails, the steps are not sent, and the
    /// events that say so are given. After writes are open, the steps are sent without it: to stop
    /// there helps nobody.
    async fn record(
        &mut self,
        ready: &[Step],
        lines: &mut Vec<JournalEntry>,
        (run, mishaps): (&PlanRun, &mut Mishaps),
    ) -> Option<Vec<Event>> {
        if ready.is_empty() {
            return None;
        }
        let opens = ready.iter().any(|step| step.action.opens_writes());
        let already_open = self.row.committed && !opens;
        let outcome = if opens && !self.row.committed {
            self.commit(lines, run).await
        } else {
            self.write(lines).await
        };
        lines.clear();
        let error = outcome.err()?;
        mishaps.unrecorded = true;
        let text = format!("journal not written: {}", error.with_causes());
        self.note_problem(text.clone());
        if already_open {
            return None;
        }
        let failure = StepFailure {
            text: text.clone(),
            outcome_unknown: false,
        };
        let failed = ready
            .iter()
            .map(|step| Event::Failed(step.id, failure.clone()));
        Some(failed.chain([Event::Cancel(text.clone())]).collect())
    }

    /// Journals the intent to open writes, and on which server. Row and lines are written at the
    /// same time: both must be stored before the step is sent, and each is true without the other.
    async fn commit(&mut self, lines: &[JournalEntry], run: &PlanRun) -> Result<(), StoreError> {
        self.row.committed = true;
        self.row.successor = run.plan().successor.clone().or(self.row.successor.take());
        self.row.successor_address = self
            .row
            .successor
            .as_ref()
            .and_then(|id| self.driver.members.registry.address(id));
        let (records, row) = (Arc::clone(&self.driver.records), self.row.clone());
        let both = join(self.write(lines), records.update(&row));
        let (written, updated) = both.await;
        let outcome = written.and(updated);
        self.row.committed = outcome.is_ok();
        outcome
    }

    /// Notes what became of a step; gives the server that did not drain.
    fn note_outcome(
        &mut self,
        ended: (Step, Result<String, WorkError>),
        lines: &mut Vec<JournalEntry>,
        events: &mut Vec<Event>,
    ) -> Option<ServerId> {
        let (step, outcome) = ended;
        let mut undrained = None;
        self.driver.records.counters.statements.add();
        match outcome {
            Ok(text) => {
                let text = if text.is_empty() {
                    step.action.describe()
                } else {
                    text
                };
                lines.push(self.entry(&step, JournalStage::Done, text));
                events.push(Event::Done(step.id));
            }
            Err(error) => {
                let outcome_unknown = error.outcome_unknown();
                let stage = if outcome_unknown {
                    JournalStage::Unknown
                } else {
                    JournalStage::Failed
                };
                let text = format!("{}: {error}", step.action.describe());
                lines.push(self.entry(&step, stage, text.clone()));
                self.note_problem(text.clone());
                if step.action.drains() {
                    undrained = step.action.server().cloned();
                }
                events.push(Event::Failed(
                    step.id,
                    StepFailure {
                        text,
                        outcome_unknown,
                    },
                ));
            }
        }
        undrained
    }

    /// Before the step that opens writes a lost lease or a passed deadline stops the plan; after it
    /// nothing does.
    fn reason_to_stop(&self, run: &PlanRun) -> Option<String> {
        if run.writes_may_be_open() || self.row.committed {
            return None;
        }
        if self.driver.quorum.lease.epoch_for(Duration::ZERO) != Some(self.row.epoch) {
            return Some("the lease was lost".to_owned());
        }
        let late = self
            .deadline
            .is_some_and(|deadline| self.driver.members.clock.now() > deadline);
        late.then(|| "the deadline passed".to_owned())
    }

    fn conclude(&mut self, run: &PlanRun, mishaps: Mishaps) -> PlanEnd {
        match run.status() {
            RunStatus::Completed { tolerated } => PlanEnd::Completed {
                tolerated: !tolerated.is_empty(),
            },
            RunStatus::Aborted {
                writes_may_be_open: false,
                failure,
                step,
            } => {
                if step.is_none() {
                    self.note_problem(failure.text);
                }
                mishaps.stopped()
            }
            RunStatus::Aborted {
                writes_may_be_open: true,
                failure: _,
                step: _,
            } => PlanEnd::PerhapsOpen,
            RunStatus::Running => mishaps.stopped(),
        }
    }
}

/// Performs a step within its limit. A little is added, because the step's own limit gives the
/// better message.
async fn perform_within(
    performer: Arc<Performer>,
    epoch: LeaseEpoch,
    step: Step,
) -> (Step, Result<String, WorkError>) {
    let limit = step.limit;
    let outcome = timeout(
        limit.saturating_add(Duration::from_millis(50)),
        performer.perform_step(epoch, &step),
    )
    .await;
    let server = step.action.server().cloned();
    let outcome = outcome.unwrap_or_else(|_| {
        Err(WorkError::TimedOut {
            server: server.unwrap_or_else(|| ServerId::new("-")),
            limit,
        })
    });
    (step, outcome)
}
