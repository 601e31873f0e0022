//! Writes under an epoch: to the local disk and to the shared store, or to the local disk alone.

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::{Claim, RecoveryRow, StoreError};
use tokio::time::sleep;

use crate::disk::Subject;
use crate::rights::Right;
use crate::{FailsafeStore, brief, is_refusal};

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Both,
    Local,
}

impl FailsafeStore {
    /// One write, under the epoch of a lease. The local disk is written and the shared store is sent the same at once: the caller goes on
    /// when the first is done and the second has answered, refused, or taken too long.
    ///
    /// If the caller drops the future, the write counts as one that has to be handed over.
    pub(crate) async fn write<T>(
        &self,
        operation: &'static str,
        (lease, epoch): (&str, LeaseEpoch),
        subject: Subject,
        local: impl Future<Output = Result<T, StoreError>>,
        shared: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.way(operation, lease, epoch).await? == Way::Local {
            // Dropped without having arrived.
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
            // What it refuses may be what it lacks: the beginning is on this disk, and is handed over in a moment.
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

    /// Where a write under this epoch goes; refused if the epoch is over.
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

    /// An epoch of which nothing was heard is the shared store's to judge. If that is away, the caller stands in.
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

    /// A local disk that fails is shown, and stops nothing as long as the shared store does what it is asked.
    fn note_disk(&self, error: Option<&StoreError>) {
        match error {
            None => self.health.disk_works(),
            // Begun while the disk was failing, or by an earlier process: it is in the shared store only.
            Some(error) if is_refusal(error) => {}
            Some(error) => self.health.disk_failed(error.with_causes()),
        }
    }

    /// A recovery that the shared store did not let begin must not stand here.
    pub(crate) async fn take_back(&self, id: &RecoveryId) {
        let taken_back = self.on_disk("taking a recovery back", self.disk.discard(id));
        if let Err(error) = taken_back.await {
            self.health.disk_failed(error.with_causes());
        }
    }

    /// Notes a recovery that the shared store let begin and the local disk did not: without it the rest could not be journaled here.
    pub(crate) async fn begin_here(&self, lease: &str, row: &RecoveryRow) {
        let begun = async {
            self.disk.end_others(lease, row).await?;
            self.disk.begin(lease, row).await
        };
        if let Err(error) = self.on_disk("beginning a recovery", begun).await {
            self.health.disk_failed(error.with_causes());
        }
    }

    /// Waits for a bid as long as it takes, but lets the shared store count as away when it takes long.
    pub(crate) async fn bid<T>(
        &self,
        operation: &'static str,
        bid: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::pin!(bid);
        let outcome = tokio::select! {
            biased;
            outcome = &mut bid => outcome,
            () = sleep(self.options.bid) => {
                let late = format!("{operation} takes longer than {}", brief(self.options.bid));
                self.health.missed(operation, late);
                bid.await
            }
        };
        if let Err(error) = &outcome
            && !is_refusal(error)
        {
            self.health.missed(operation, error.with_causes());
        }
        outcome
    }

    /// Takes in what the shared store said about a lease, and remembers its epoch before anybody acts under it.
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
