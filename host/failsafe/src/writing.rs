//! Writes under an epoch: to the local disk and to the shared store, or to the local disk alone.

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::{Claim, RecoveryRecord, StoreError};
use tokio::time::sleep;

use crate::disk::Subject;
use crate::rights::Right;
use crate::{FailsafeStore, brief, is_refusal};

/// The stores that a write goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Both,
    Local,
}

impl FailsafeStore {
    /// One write under the epoch of a lease. The local disk and the shared store are written at the
    /// same time. The call returns when the local disk is written and the shared store has
    /// answered, refused, or exceeded its limit.
    ///
    /// If the caller drops the future, the write counts as unsent.
    pub(crate) async fn write<T>(
        &self,
        operation: &'static str,
        (lease, epoch): (&str, LeaseEpoch),
        subject: Subject,
        local: impl Future<Output = Result<T, StoreError>>,
        shared: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.way(operation, lease, epoch).await? == Way::Local {
            // Dropped without `arrived`: the write counts as unsent.
            let kept = self.disk.sending(&subject);
            let result = self.on_disk(operation, local).await;
            drop(kept);
            return result;
        }
        let sending = self.disk.sending(&subject);
        let local = self.on_disk(operation, local);
        let shared = self.within(operation, self.options.write, shared);
        let (local, shared) = tokio::join!(local, shared);
        match shared {
            Ok(value) => {
                sending.arrived();
                self.note_disk(local.as_ref().err());
                Ok(value)
            }
            // The shared store may refuse because it lacks the beginning, which is on this disk and
            // is handed over soon.
            Err(StoreError::Conflict { .. }) if self.disk.mirror().is_unsent(&subject) => {
                drop(sending);
                local
            }
            Err(refusal) if is_refusal(&refusal) => {
                sending.arrived();
                Err(refusal)
            }
            Err(_) => {
                drop(sending);
                local
            }
        }
    }

    /// The stores that a write under this epoch goes to; refused if the epoch is over.
    async fn way(
        &self,
        operation: &'static str,
        lease: &str,
        epoch: LeaseEpoch,
    ) -> Result<Way, StoreError> {
        let right = self.rights().of(lease, epoch);
        match right {
            Right::Over => Err(StoreError::Fenced { operation, epoch }),
            Right::StandIn => Ok(Way::Local),
            Right::Granted if self.health.is_away() => Ok(Way::Local),
            Right::Granted => Ok(Way::Both),
            Right::Unknown => self.way_of_unknown(operation, lease, epoch).await,
        }
    }

    /// An unknown epoch is judged by the shared store. While that is away, this node stands in.
    async fn way_of_unknown(
        &self,
        operation: &'static str,
        lease: &str,
        epoch: LeaseEpoch,
    ) -> Result<Way, StoreError> {
        if !self.health.is_away() {
            let asked = self.shared.put_routes(lease, epoch, &[]);
            match self.within(operation, self.options.write, asked).await {
                Ok(()) => {
                    self.rights().granted(lease, None, epoch);
                    return Ok(Way::Both);
                }
                Err(StoreError::Fenced { .. }) => {
                    return Err(StoreError::Fenced { operation, epoch });
                }
                Err(error) if is_refusal(&error) => return Err(error),
                Err(_) => {}
            }
        }
        self.rights().stands_in(lease, epoch);
        Ok(Way::Local)
    }

    /// A failing local disk is reported, and stops nothing while the shared store answers.
    fn note_disk(&self, error: Option<&StoreError>) {
        match error {
            None => self.health.disk_works(),
            // The recovery began while the disk failed, or in an earlier process: only the shared
            // store has it.
            Some(error) if is_refusal(error) => {}
            Some(error) => self.health.disk_failed(error.with_causes()),
        }
    }

    /// Removes a recovery that the shared store refused to begin.
    pub(crate) async fn take_back(&self, id: &RecoveryId) {
        let taken_back = self.on_disk("taking a recovery back", self.disk.discard(id));
        if let Err(error) = taken_back.await {
            self.health.disk_failed(error.with_causes());
        }
    }

    /// Records a recovery that the shared store accepted and the local disk did not: without it,
    /// later steps could not be journaled here.
    pub(crate) async fn begin_here(&self, lease: &str, row: &RecoveryRecord) {
        let begun = async {
            self.disk.end_others(lease, row).await?;
            self.disk.begin(lease, row).await
        };
        if let Err(error) = self.on_disk("beginning a recovery", begun).await {
            self.health.disk_failed(error.with_causes());
        }
    }

    /// Waits for a claim or renewal as long as it takes, but counts the shared store as away once
    /// it takes too long.
    pub(crate) async fn claim<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::pin!(call);
        let outcome = tokio::select! {
            biased;
            outcome = &mut call => outcome,
            () = sleep(self.options.claim) => {
                let late = format!("{operation} takes longer than {}", brief(self.options.claim));
                self.health.missed(operation, late);
                call.await
            }
        };
        if let Err(error) = &outcome
            && !is_refusal(error)
        {
            self.health.missed(operation, error.with_causes());
        }
        outcome
    }

    /// Notes what the shared store answered about a lease, and stores its epoch before anybody acts
    /// under it.
    pub(crate) async fn note_claim(&self, lease: &str, claim: &Claim) {
        let before = self.rights().highest(lease);
        match claim {
            Claim::Held(state) => {
                self.rights()
                    .granted(lease, state.holder.as_ref(), state.epoch);
            }
            Claim::Other(state) => self.rights().refused(lease, state),
        }
        let highest = self.rights().highest(lease);
        if highest > before {
            let remember = self.disk.remember(lease, highest);
            let remembered = self.on_disk("remembering an epoch", remember).await;
            self.note_disk(remembered.as_ref().err());
        }
        self.health.work.notify_one();
    }
}
