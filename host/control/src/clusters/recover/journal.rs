//! The journal: a line is on disk before its step is sent.

use baton_core::ids::ServerId;
use baton_core::planning::{Phase, Step, StepId};
use baton_ports::{JournalEntry, JournalStage, StoreError};

use super::Recovery;

impl Recovery<'_> {
    pub(crate) fn entry(&self, step: &Step, stage: JournalStage, text: String) -> JournalEntry {
        JournalEntry {
            step: step.id,
            phase: step.phase.word().to_owned(),
            stage,
            server: step.action.server().cloned(),
            text,
            at: self.driver.members.clock.wall(),
            since_trigger_us: self.since_trigger_us(),
        }
    }

    /// A line that belongs to no step: a decision, a waiver.
    pub(crate) fn note(
        &mut self,
        phase: Phase,
        server: Option<&ServerId>,
        text: String,
    ) -> JournalEntry {
        let step = self.take_step_number();
        JournalEntry {
            step,
            phase: phase.word().to_owned(),
            stage: JournalStage::Done,
            server: server.cloned(),
            text,
            at: self.driver.members.clock.wall(),
            since_trigger_us: self.since_trigger_us(),
        }
    }

    fn since_trigger_us(&self) -> u64 {
        let elapsed = self.driver.members.clock.now().since(self.trigger);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn take_step_number(&mut self) -> StepId {
        let step = self.next_step;
        self.next_step = self.next_step.saturating_add(1);
        step
    }

    pub(crate) fn next_step(&self) -> StepId {
        self.next_step
    }

    pub(crate) fn set_next_step(&mut self, next: StepId) {
        self.next_step = self.next_step.max(next);
    }

    /// Keeps a line for the next write, if nothing depends on it. Each write costs a commit of the
    /// backend, and while a primary is down, its clients wait for each of them.
    pub(crate) fn defer(&mut self, line: JournalEntry) {
        self.unwritten.push(line);
    }

    /// Writes lines durably, those kept before first.
    pub(crate) async fn write(&mut self, entries: &[JournalEntry]) -> Result<(), StoreError> {
        self.unwritten.extend_from_slice(entries);
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.unwritten);
        self.driver.records.journal(&self.row, &lines).await
    }
}
