//! A node's way to the backend: how long it waits, when it goes on with its local disk, and where
//! faults strike.

use std::sync::Arc;
use std::time::Duration;

use baton_ports::StoreError;
use tokio::time::sleep;

use crate::backend::{Access, Transaction, access};
use crate::faults::{Moment, Point};
use crate::network::NodeId;
use crate::tables::Tables;
use crate::world::{Snap, World};

/// Time of a statement, in one direction.
const WRITE: Duration = Duration::from_millis(1);
/// How long a statement is kept waiting by a backend that stalls.
const PATIENCE: u32 = 4_000;
/// How long before a write of a recovery goes to the local disk only, and before a reading is
/// answered with the last answer.
const WRITE_PATIENCE: u32 = 120;
pub(crate) const READ_PATIENCE: u32 = 1_000;

/// A node's way to the backend.
#[derive(Debug)]
pub(crate) struct SimStore {
    pub(crate) world: Arc<World>,
    pub(crate) node: NodeId,
}

impl SimStore {
    pub(crate) fn lock(&self) -> Transaction<'_> {
        Transaction::new(self.world.lock(), self.node)
    }

    /// Tells the watch that a statement failed, as the real store does.
    fn report(&self) {
        let databases = &self.world.lock().backend.databases;
        if let (Some(watch), Some((_, generation))) =
            (databases.watch(self.node), databases.selected(self.node))
        {
            watch.report(generation, "unavailable");
        }
    }

    pub(crate) async fn enter(&self, operation: &'static str) -> Result<(), StoreError> {
        for _ in 0..PATIENCE {
            sleep(WRITE).await;
            let state = self.world.lock();
            match access(&state, self.node) {
                // What is on the local disk is handed over first.
                Access::Open if !state.disks.contains_key(&self.node) => return Ok(()),
                Access::Refused => break,
                Access::Open | Access::Stalled => {}
            }
        }
        self.report();
        Err(StoreError::Unavailable {
            operation,
            source: "the backend does not answer".into(),
        })
    }

    /// As `enter`, for what the local disk can do while a shared backend is away or stalls for
    /// longer than `patience` milliseconds.
    pub(crate) async fn enter_somewhere(
        &self,
        operation: &'static str,
        patience: u32,
    ) -> Result<(), StoreError> {
        if !self.world.lock().votes.several {
            return self.enter(operation).await;
        }
        for _ in 0..patience {
            sleep(WRITE).await;
            let state = self.world.lock();
            if state.disks.contains_key(&self.node) {
                return Ok(());
            }
            match access(&state, self.node) {
                Access::Open => return Ok(()),
                Access::Refused => break,
                Access::Stalled => {}
            }
        }
        self.report();
        let mut state = self.world.lock();
        let copy = state.backend.present().to_disk();
        state.disks.entry(self.node).or_insert(copy);
        Ok(())
    }

    /// Carries out a write of a recovery: faults strike before it, and between its commit and its
    /// reply.
    pub(crate) async fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.enter_somewhere(operation, WRITE_PATIENCE).await?;
        if self.point(Moment::Before) != Snap::Nothing {
            self.enter_somewhere(operation, WRITE_PATIENCE).await?;
        }
        let (outcome, deaths, kept) = {
            let mut transaction = self.lock();
            let deaths = transaction.state.backend.deaths();
            let outcome = work(&mut transaction);
            // It is on the local disk as well.
            let kept = outcome.is_ok().then(|| transaction.to_disk());
            if let Some(kept) = &kept {
                transaction.state.own_disks.insert(self.node, kept.clone());
            }
            (outcome, deaths, kept)
        };
        let snap = self.point(Moment::After);
        sleep(WRITE).await;
        let mut state = self.world.lock();
        if state.backend.deaths() == deaths && snap != Snap::LoseReply {
            return outcome;
        }
        if state.votes.several
            && let Some(kept) = kept
        {
            state.disks.entry(self.node).or_insert(kept);
            return outcome;
        }
        Err(StoreError::OutcomeUnknown {
            operation,
            source: "the backend's node died".into(),
        })
    }

    fn point(&self, moment: Moment) -> Snap {
        let mut state = self.world.lock();
        state.at_point((Point::Journal, moment), self.node, None)
    }
}
