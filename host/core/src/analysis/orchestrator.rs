//! The predecessor's names for what is found, for the compatible API. `docs/findings.md` shows the
//! table.

use super::report::{Code, Finding};

impl Code {
    /// orchestrator's analysis code; `NoProblem` where it has none.
    pub fn orchestrator(self) -> &'static str {
        match self {
            // It has no word for a hung primary; what follows is what follows a dead one.
            Self::PrimaryDead | Self::PrimaryHung => "DeadMaster",
            Self::PrimaryAndSomeReplicasDead => "DeadMasterAndSomeReplicas",
            Self::PrimaryAndReplicasDead => "DeadMasterAndReplicas",
            Self::PrimaryDeadWithoutReplicas => "DeadMasterWithoutReplicas",
            Self::PrimaryUnreachable | Self::PrimarySilent => "UnreachableMaster",
            Self::PrimaryUnreachableReplicasLagging => "UnreachableMasterWithLaggingReplicas",
            Self::PrimarySemiSyncLocked => "LockedSemiSyncMaster",
            Self::PrimarySingleReplicaStopped => "MasterSingleReplicaNotReplicating",
            Self::PrimarySingleReplicaDead => "MasterSingleReplicaDead",
            Self::PrimaryReplicasStopped | Self::PrimaryReplicasCannotConnect => {
                "AllMasterReplicasNotReplicating"
            }
            Self::PrimaryReplicasStoppedOrDead => "AllMasterReplicasNotReplicatingOrDead",
            Self::CoPrimaryDead => "DeadCoMaster",
            Self::CoPrimaryAndSomeReplicasDead => "DeadCoMasterAndSomeReplicas",
            Self::CoPrimaryUnreachable => "UnreachableCoMaster",
            Self::CoPrimaryReplicasStopped => "AllCoMasterReplicasNotReplicating",
            Self::IntermediateDead => "DeadIntermediateMaster",
            Self::IntermediateDeadSingleReplicaCannotConnect => {
                "DeadIntermediateMasterWithSingleReplicaFailingToConnect"
            }
            Self::IntermediateDeadSingleReplica => "DeadIntermediateMasterWithSingleReplica",
            Self::IntermediateAndSomeReplicasDead => "DeadIntermediateMasterAndSomeReplicas",
            Self::IntermediateAndReplicasDead => "DeadIntermediateMasterAndReplicas",
            Self::IntermediateUnreachable => "UnreachableIntermediateMaster",
            Self::IntermediateUnreachableReplicasLagging => {
                "UnreachableIntermediateMasterWithLaggingReplicas"
            }
            Self::IntermediateReplicasCannotConnect => {
                "AllIntermediateMasterReplicasFailingToConnectOrDead"
            }
            Self::IntermediateReplicasStopped => "AllIntermediateMasterReplicasNotReplicating",
            Self::FirstTierReplicaCannotConnect => "FirstTierReplicaFailingToConnectToMaster",
            Self::PrimaryUseless
            | Self::NoWritablePrimary
            | Self::SplitBrain
            | Self::PrimaryUnknown
            | Self::PrimaryMoved
            | Self::OldPrimaryReturned
            | Self::SomebodyPromotes
            | Self::ServerDetached
            | Self::ServerSilent
            | Self::ServerRefusesUs
            | Self::ReplicationStopped
            | Self::ReplicationBroken
            | Self::ReplicaLagging
            | Self::ErrantTransactions
            | Self::ReplicaWritable
            | Self::PrivilegedWriters
            | Self::SourceUnknown
            | Self::ReplicationLoop
            | Self::NoLoggingReplicas
            | Self::NoFailoverSupport
            | Self::MixedLogFormats
            | Self::MixedVersions
            | Self::MixedGtidModes
            | Self::EventsDisabled
            | Self::EventSchedulerOff
            | Self::PreparedTransactions
            | Self::NotEnoughSemiSyncReplicas
            | Self::ReplicaReceivesNothing
            | Self::AcknowledgementsNotDurable
            | Self::AcknowledgedAfterCommit
            | Self::WaitCountTooSmall
            | Self::UnfitAcknowledger
            | Self::ReplicaWaitsForAcknowledgements
            | Self::PrimaryDoesNotWait => "NoProblem",
        }
    }

    /// orchestrator's structure warnings that this code can stand for; which of them is a matter of
    /// the evidence.
    pub fn structure_warnings(self) -> &'static [&'static str] {
        match self {
            Self::NoWritablePrimary => &["NoWriteableMasterStructureWarning"],
            Self::ErrantTransactions => &["ErrantGTIDStructureWarning"],
            Self::NoLoggingReplicas => &["NoLoggingReplicasStructureWarning"],
            Self::NoFailoverSupport => &["NoFailoverSupportStructureWarning"],
            Self::MixedLogFormats => &[
                "StatementAndMixedLoggingReplicasStructureWarning",
                "StatementAndRowLoggingReplicasStructureWarning",
                "MixedAndRowLoggingReplicasStructureWarning",
            ],
            Self::MixedVersions => &["MultipleMajorVersionsLoggingReplicasStructureWarning"],
            Self::MixedGtidModes => &["DifferentGTIDModesStructureWarning"],
            Self::NotEnoughSemiSyncReplicas => &["NotEnoughValidSemiSyncReplicasStructureWarning"],
            Self::PrimaryDead
            | Self::PrimaryAndSomeReplicasDead
            | Self::PrimaryAndReplicasDead
            | Self::PrimaryDeadWithoutReplicas
            | Self::PrimaryHung
            | Self::PrimaryUnreachable
            | Self::PrimaryUnreachableReplicasLagging
            | Self::PrimarySilent
            | Self::PrimaryUseless
            | Self::PrimarySemiSyncLocked
            | Self::SplitBrain
            | Self::PrimaryUnknown
            | Self::PrimaryMoved
            | Self::OldPrimaryReturned
            | Self::SomebodyPromotes
            | Self::ServerDetached
            | Self::PrimarySingleReplicaStopped
            | Self::PrimarySingleReplicaDead
            | Self::PrimaryReplicasStopped
            | Self::PrimaryReplicasStoppedOrDead
            | Self::CoPrimaryDead
            | Self::CoPrimaryAndSomeReplicasDead
            | Self::CoPrimaryUnreachable
            | Self::CoPrimaryReplicasStopped
            | Self::IntermediateDead
            | Self::IntermediateDeadSingleReplicaCannotConnect
            | Self::IntermediateDeadSingleReplica
            | Self::IntermediateAndSomeReplicasDead
            | Self::IntermediateAndReplicasDead
            | Self::IntermediateUnreachable
            | Self::IntermediateUnreachableReplicasLagging
            | Self::IntermediateReplicasCannotConnect
            | Self::IntermediateReplicasStopped
            | Self::FirstTierReplicaCannotConnect
            | Self::ServerSilent
            | Self::ServerRefusesUs
            | Self::ReplicationStopped
            | Self::ReplicationBroken
            | Self::ReplicaLagging
            | Self::ReplicaWritable
            | Self::PrivilegedWriters
            | Self::SourceUnknown
            | Self::ReplicationLoop
            | Self::EventsDisabled
            | Self::EventSchedulerOff
            | Self::PreparedTransactions
            | Self::PrimaryReplicasCannotConnect
            | Self::ReplicaReceivesNothing
            | Self::AcknowledgementsNotDurable
            | Self::AcknowledgedAfterCommit
            | Self::WaitCountTooSmall
            | Self::UnfitAcknowledger
            | Self::ReplicaWaitsForAcknowledgements
            | Self::PrimaryDoesNotWait => &[],
        }
    }

    /// True if a finding with this code says that its server does not answer.
    pub(super) fn explains_silence(self) -> bool {
        match self {
            Self::PrimaryDead
            | Self::PrimaryAndSomeReplicasDead
            | Self::PrimaryAndReplicasDead
            | Self::PrimaryDeadWithoutReplicas
            | Self::PrimaryHung
            | Self::PrimaryUnreachable
            | Self::PrimaryUnreachableReplicasLagging
            | Self::PrimarySilent
            | Self::CoPrimaryDead
            | Self::CoPrimaryAndSomeReplicasDead
            | Self::CoPrimaryUnreachable
            | Self::IntermediateDead
            | Self::IntermediateDeadSingleReplicaCannotConnect
            | Self::IntermediateDeadSingleReplica
            | Self::IntermediateAndSomeReplicasDead
            | Self::IntermediateAndReplicasDead
            | Self::IntermediateUnreachable
            | Self::IntermediateUnreachableReplicasLagging
            | Self::ServerSilent => true,
            Self::PrimaryUseless
            | Self::PrimarySemiSyncLocked
            | Self::NoWritablePrimary
            | Self::SplitBrain
            | Self::PrimaryUnknown
            | Self::PrimaryMoved
            | Self::OldPrimaryReturned
            | Self::SomebodyPromotes
            | Self::ServerDetached
            | Self::PrimarySingleReplicaStopped
            | Self::PrimarySingleReplicaDead
            | Self::PrimaryReplicasStopped
            | Self::PrimaryReplicasStoppedOrDead
            | Self::CoPrimaryReplicasStopped
            | Self::IntermediateReplicasCannotConnect
            | Self::IntermediateReplicasStopped
            | Self::FirstTierReplicaCannotConnect
            | Self::ServerRefusesUs
            | Self::ReplicationStopped
            | Self::ReplicationBroken
            | Self::ReplicaLagging
            | Self::ErrantTransactions
            | Self::ReplicaWritable
            | Self::PrivilegedWriters
            | Self::SourceUnknown
            | Self::ReplicationLoop
            | Self::NoLoggingReplicas
            | Self::NoFailoverSupport
            | Self::MixedLogFormats
            | Self::MixedVersions
            | Self::MixedGtidModes
            | Self::EventsDisabled
            | Self::EventSchedulerOff
            | Self::PreparedTransactions
            | Self::NotEnoughSemiSyncReplicas
            | Self::PrimaryReplicasCannotConnect
            | Self::ReplicaReceivesNothing
            | Self::AcknowledgementsNotDurable
            | Self::AcknowledgedAfterCommit
            | Self::WaitCountTooSmall
            | Self::UnfitAcknowledger
            | Self::ReplicaWaitsForAcknowledgements
            | Self::PrimaryDoesNotWait => false,
        }
    }
}

impl Finding {
    /// The structure warnings of orchestrator that this finding stands for; usually none.
    pub fn structure_warnings(&self) -> Vec<&'static str> {
        match self.code.structure_warnings() {
            [only] => vec![only],
            several => several
                .iter()
                .copied()
                .filter(|warning| self.shows(warning))
                .collect(),
        }
    }

    /// Formats are told apart by the evidence: `statement-and-row` is said by `StatementAndRow...`.
    fn shows(&self, warning: &str) -> bool {
        let squeezed = warning.to_ascii_lowercase();
        self.evidence
            .iter()
            .any(|found| squeezed.starts_with(&found.code.replace('-', "")))
    }
}
