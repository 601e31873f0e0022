//! Driving one plan: journal, perform, report back, until it has ended.

use std::time::Duration;

use baton_core::check::check;
use baton_core::execution::{Event, Failure, PlanRun, Verdict};
use baton_core::planning::{Plan, Step, StepId};
use baton_ports::{JournalEntry, JournalStage};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::Recovery;
use super::perform::perform;
use crate::lease::{LEASE, describe};
use crate::sessions::WorkError;

/// How a plan ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All steps ended; tolerated failures are noted in the recovery.
    Completed {
        /// Steps that failed.
        tolerated: Vec<(StepId, Failure)>,
    },
    /// It stopped; nothing irreversible was sent, or it was refused for certain.
    Stopped,
    /// It stopped after the step that opens writes was sent, and what that did is not known.
    StoppedWithWritesPerhapsOpen,
}

impl Recovery<'_> {
    /// Checks a plan and carries it out.
    pub(crate) async fn run(&mut self, plan: Plan) -> Ended {
        let Some(snapshot) = self.means.snapshot() else {
            return Ended::Stopped;
        };
        let objections = check(&plan, &snapshot);
        if !objections.is_empty() {
            for objection in objections {
                tracing::error!(recovery = %self.row.id, %objection, "plan refused by the checker");
                self.complain(objection.to_string());
            }
            return Ended::Stopped;
        }
        let last = plan.steps.iter().map(|step| step.id).max().unwrap_or(0);
        self.set_next_step(last.saturating_add(1));
        self.touched.extend(
            plan.steps
                .iter()
                .filter_map(|step| step.action.server().cloned()),
        );
        let mut run = PlanRun::new(plan);
        self.drive(&mut run).await;
        self.conclude(&run)
    }

    async fn drive(&mut self, run: &mut PlanRun) {
        let means = self.means;
        let epoch = self.row.epoch;
        let mut under_way = FuturesUnordered::new();
        let mut lines: Vec<JournalEntry> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        loop {
            if let Some(reason) = self.reason_to_stop(run) {
                events.push(Event::Cancel(reason));
            }
            let ready = run.advance(std::mem::take(&mut events));
            lines.extend(
                ready
                    .iter()
                    .map(|step| self.entry(step, JournalStage::Begun, step.action.describe())),
            );
            if let Some(stop) = self.record(&ready, &mut lines, run).await {
                events.extend(stop);
                continue;
            }
            for step in ready {
                under_way.push(async move {
                    let outcome = timeout(
                        step.limit.saturating_add(Duration::from_millis(50)),
                        perform(means, epoch, &step),
                    )
                    .await;
                    let limit = step.limit;
                    let server = step.action.server().cloned();
                    let outcome = outcome.unwrap_or_else(|_| {
                        Err(WorkError::TimedOut {
                            server: server.unwrap_or_else(|| means.nobody()),
                            limit,
                        })
                    });
                    (step, outcome)
                });
            }
            let Some(first) = under_way.next().await else {
                // A last line may be waiting: the end of the last steps.
                if let Err(error) = self.write(&lines).await {
                    self.complain(describe(&error));
                }
                return;
            };
            self.note_outcome(first, &mut lines, &mut events);
            // Whatever else has ended by now goes into the same write.
            while let Some(Some(next)) = futures::FutureExt::now_or_never(under_way.next()) {
                self.note_outcome(next, &mut lines, &mut events);
            }
        }
    }

    /// Writes what is about to begin. If that is impossible, the steps are not sent, and the events that say so are given;
    /// after writes are open the rest goes on all the same, because stopping there helps nobody.
    async fn record(
        &mut self,
        ready: &[Step],
        lines: &mut Vec<JournalEntry>,
        run: &PlanRun,
    ) -> Option<Vec<Event>> {
        if ready.is_empty() {
            return None;
        }
        let opens = ready.iter().any(|step| step.action.opens_writes());
        let already_open = self.row.committed && !opens;
        let mut outcome = self.write(lines).await;
        lines.clear();
        if outcome.is_ok() && opens && !self.row.committed {
            self.row.committed = true;
            self.row.successor = run.plan().successor.clone().or(self.row.successor.take());
            self.row.successor_address = self
                .row
                .successor
                .as_ref()
                .and_then(|id| self.means.registry.address(id));
            outcome = self.means.store.update_recovery(LEASE, &self.row).await;
            if outcome.is_err() {
                self.row.committed = false;
            }
        }
        let error = outcome.err()?;
        let text = format!("journal not written: {}", describe(&error));
        self.complain(text.clone());
        if already_open {
            return None;
        }
        let failure = Failure {
            text: text.clone(),
            outcome_unknown: false,
        };
        let failed = ready
            .iter()
            .map(|step| Event::Failed(step.id, failure.clone()));
        Some(failed.chain([Event::Cancel(text.clone())]).collect())
    }

    fn note_outcome(
        &mut self,
        ended: (Step, Result<String, WorkError>),
        lines: &mut Vec<JournalEntry>,
        events: &mut Vec<Event>,
    ) {
        let (step, outcome) = ended;
        self.means.counters.statements.add();
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
                self.complain(text.clone());
                events.push(Event::Failed(
                    step.id,
                    Failure {
                        text,
                        outcome_unknown,
                    },
                ));
            }
        }
    }

    /// Before the step that opens writes a lost lease or a passed deadline stops the plan; after it nothing does.
    fn reason_to_stop(&self, run: &PlanRun) -> Option<String> {
        if run.writes_may_be_open() || self.row.committed {
            return None;
        }
        if self.means.lease.epoch_for(Duration::ZERO) != Some(self.row.epoch) {
            return Some("the lease was lost".to_owned());
        }
        let late = self
            .deadline
            .is_some_and(|deadline| self.means.clock.now() > deadline);
        late.then(|| "the deadline passed".to_owned())
    }

    fn conclude(&mut self, run: &PlanRun) -> Ended {
        match run.verdict() {
            Verdict::Completed { tolerated } => Ended::Completed { tolerated },
            Verdict::Aborted {
                writes_may_be_open: false,
                failure,
                step,
            } => {
                if step.is_none() {
                    self.complain(failure.text);
                }
                Ended::Stopped
            }
            Verdict::Aborted {
                writes_may_be_open: true,
                failure: _,
                step: _,
            } => Ended::StoppedWithWritesPerhapsOpen,
            Verdict::Running => Ended::Stopped,
        }
    }
}
