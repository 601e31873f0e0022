//! Driving an operation: its notes go into the record, what it wants next is done, and the answer
//! is handed back.

use baton_core::ids::ServerId;
use baton_core::model::{ProbeFailure, RecoveryOutcome, ServerFacts};
use baton_core::operation::{
    End, Event, LeftOpen, Next, Note, Operation, Order, Ranked, Reading, View,
};
use baton_core::planning::{Candidate, Phase, rank_question};
use std::time::Duration;

use super::Recovery;
use crate::clusters::sessions::WorkError;
use crate::settings::RejoinMode;

impl Recovery<'_> {
    /// Carries an operation out from its beginning.
    pub(super) async fn operate(&mut self) -> End {
        let operation = Operation::new(self.operation_order());
        self.drive_operation(operation).await
    }

    /// Goes on with what another process left open.
    pub(super) async fn operate_on(&mut self) -> End {
        let left = LeftOpen {
            successor: self.row.successor.clone(),
            committed: self.row.committed,
        };
        let operation = Operation::resumed(self.operation_order(), left);
        self.drive_operation(operation).await
    }

    fn operation_order(&self) -> Order {
        Order {
            kind: self.row.kind,
            subject: self.row.subject.clone(),
            epoch: self.row.epoch,
            automatic: self.row.automatic,
            requested: self.requested.clone(),
            consent: self.consent.clone(),
        }
    }

    async fn drive_operation(&mut self, mut operation: Operation) -> End {
        let mut event = Event::Begun;
        loop {
            // Woken up after a pause of the whole process: it goes on if it may still act.
            self.driver.quorum.lease.settle().await;
            let Some(snapshot) = self.driver.members.snapshot() else {
                return End {
                    outcome: RecoveryOutcome::Failed,
                    replace: None,
                };
            };
            let settings = &self.driver.members.registry.settings;
            let view = View {
                snapshot: &snapshot,
                settings: &settings.plan,
                lag_limit: settings.switchover_lag_limit,
                read_limit: settings.read_limit,
                attaches_by_itself: settings.rejoin == RejoinMode::FenceAndAttach,
                has_lease: self.has_lease(),
                refused_at: self.driver.quorum.missing_at(),
                next_step: self.next_step(),
                touched: &self.touched,
            };
            let turn = operation.advance(&view, event);
            for note in turn.notes {
                self.take(note).await;
            }
            event = match turn.next {
                Next::Run(plan) => Event::Ran(self.run(plan).await),
                Next::Rank(list) => Event::Ranked(self.rank(&list).await),
                Next::Read { server, limit } => Event::Read(self.read(&server, limit).await),
                Next::Wait(pause) => {
                    tokio::time::sleep(pause).await;
                    Event::Woke
                }
                Next::End(end) => return end,
            };
        }
    }

    fn has_lease(&self) -> bool {
        self.driver.quorum.lease.epoch_for(Duration::ZERO) == Some(self.row.epoch)
    }

    async fn take(&mut self, note: Note) {
        match note {
            Note::Line {
                phase,
                server,
                text,
            } => {
                let line = self.note(phase, server.as_ref(), text);
                self.defer(line);
            }
            Note::Problem(text) => self.note_problem(text),
            Note::Successor(successor) => {
                let address = |id: &ServerId| self.driver.members.registry.address(id);
                self.row.successor_address = successor.as_ref().and_then(address);
                self.row.successor = successor;
            }
            Note::NotCommitted => self.row.committed = false,
            Note::LeftBehind(servers) => self.row.lost = servers,
            Note::NoDeadline => self.deadline = None,
            Note::SetAside {
                server,
                text,
                transactions,
            } => self.set_aside(&server, &text, &transactions).await,
        }
    }

    async fn set_aside(&mut self, server: &ServerId, text: &str, transactions: &str) {
        let line = self.note(Phase::Rejoin, Some(server), format!("set aside: {text}"));
        if let Err(error) = self.write(&[line]).await {
            self.note_problem(error.with_causes());
        }
        if let Err(error) = self.driver.performer.quarantine(server, transactions).await {
            self.note_problem(error.with_causes());
        }
    }

    /// Asks the policy to rank candidates.
    async fn rank(&mut self, list: &[Candidate]) -> Ranked {
        let Some(snapshot) = self.driver.members.snapshot() else {
            return Ranked::default();
        };
        let target = (self.row.kind, &self.row.subject);
        let context = self.driver.policy.context(&snapshot, "rank");
        let asked = rank_question(&snapshot, target, list, self.requested.as_ref(), context);
        let reply = self.driver.policy.rank(&asked.question).await;
        let failure = reply.fallback.map(|failure| {
            format!(
                "policy {} failed ({}): {}",
                failure.policy, failure.kind, failure.text
            )
        });
        Ranked {
            policy: reply.policy.clone(),
            order: asked.ranked(&reply.answer.order),
            failure,
        }
    }

    async fn read(&self, server: &ServerId, limit: Duration) -> Reading {
        match self.driver.members.observe(server, limit).await {
            Ok(facts) => Reading::Answered {
                writable: ServerFacts::is_writable(&facts),
            },
            Err(WorkError::Lost(ProbeFailure::Timeout(_))) => Reading::Silent,
            Err(_) => Reading::Unreachable,
        }
    }
}
