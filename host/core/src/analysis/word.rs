//! Stable words of the findings.

use super::report::Code;

impl Code {
    /// All codes, in their order.
    pub const ALL: &'static [Self] = &[
        Self::PrimaryDead,
        Self::PrimaryAndSomeReplicasDead,
        Self::PrimaryAndReplicasDead,
        Self::PrimaryDeadWithoutReplicas,
        Self::PrimaryHung,
        Self::PrimaryUnreachable,
        Self::PrimaryUnreachableReplicasLagging,
        Self::PrimarySilent,
        Self::PrimaryUseless,
        Self::PrimarySemiSyncLocked,
        Self::NoWritablePrimary,
        Self::SplitBrain,
        Self::PrimaryUnknown,
        Self::PrimaryMoved,
        Self::OldPrimaryReturned,
        Self::SomebodyPromotes,
        Self::ServerDetached,
        Self::PrimarySingleReplicaStopped,
        Self::PrimarySingleReplicaDead,
        Self::PrimaryReplicasStopped,
        Self::PrimaryReplicasStoppedOrDead,
        Self::CoPrimaryDead,
        Self::CoPrimaryAndSomeReplicasDead,
        Self::CoPrimaryUnreachable,
        Self::CoPrimaryReplicasStopped,
        Self::IntermediateDead,
        Self::IntermediateDeadSingleReplicaCannotConnect,
        Self::IntermediateDeadSingleReplica,
        Self::IntermediateAndSomeReplicasDead,
        Self::IntermediateAndReplicasDead,
        Self::IntermediateUnreachable,
        Self::IntermediateUnreachableReplicasLagging,
        Self::IntermediateReplicasCannotConnect,
        Self::IntermediateReplicasStopped,
        Self::FirstTierReplicaCannotConnect,
        Self::ServerSilent,
        Self::ServerRefusesUs,
        Self::ReplicationStopped,
        Self::ReplicationBroken,
        Self::ReplicaLagging,
        Self::ErrantTransactions,
        Self::ReplicaWritable,
        Self::PrivilegedWriters,
        Self::SourceUnknown,
        Self::ReplicationLoop,
        Self::NoLoggingReplicas,
        Self::NoFailoverSupport,
        Self::MixedLogFormats,
        Self::MixedVersions,
        Self::MixedGtidModes,
        Self::EventsDisabled,
        Self::EventSchedulerOff,
        Self::NotEnoughSemiSyncReplicas,
    ];

    /// Stable kebab-case word, as policies, API and metrics show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::PrimaryDead => "primary-dead",
            Self::PrimaryAndSomeReplicasDead => "primary-and-some-replicas-dead",
            Self::PrimaryAndReplicasDead => "primary-and-replicas-dead",
            Self::PrimaryDeadWithoutReplicas => "primary-dead-without-replicas",
            Self::PrimaryHung => "primary-hung",
            Self::PrimaryUnreachable => "primary-unreachable",
            Self::PrimaryUnreachableReplicasLagging => "primary-unreachable-replicas-lagging",
            Self::PrimarySilent => "primary-silent",
            Self::PrimaryUseless => "primary-useless",
            Self::PrimarySemiSyncLocked => "primary-semi-sync-locked",
            Self::NoWritablePrimary => "no-writable-primary",
            Self::SplitBrain => "split-brain",
            Self::PrimaryUnknown => "primary-unknown",
            Self::PrimaryMoved => "primary-moved",
            Self::OldPrimaryReturned => "old-primary-returned",
            Self::SomebodyPromotes => "somebody-promotes",
            Self::ServerDetached => "server-detached",
            Self::PrimarySingleReplicaStopped => "primary-single-replica-stopped",
            Self::PrimarySingleReplicaDead => "primary-single-replica-dead",
            Self::PrimaryReplicasStopped => "primary-replicas-stopped",
            Self::PrimaryReplicasStoppedOrDead => "primary-replicas-stopped-or-dead",
            Self::CoPrimaryDead => "co-primary-dead",
            Self::CoPrimaryAndSomeReplicasDead => "co-primary-and-some-replicas-dead",
            Self::CoPrimaryUnreachable => "co-primary-unreachable",
            Self::CoPrimaryReplicasStopped => "co-primary-replicas-stopped",
            Self::IntermediateDead => "intermediate-dead",
            Self::IntermediateDeadSingleReplicaCannotConnect => {
                "intermediate-dead-single-replica-cannot-connect"
            }
            Self::IntermediateDeadSingleReplica => "intermediate-dead-single-replica",
            Self::IntermediateAndSomeReplicasDead => "intermediate-and-some-replicas-dead",
            Self::IntermediateAndReplicasDead => "intermediate-and-replicas-dead",
            Self::IntermediateUnreachable => "intermediate-unreachable",
            Self::IntermediateUnreachableReplicasLagging => {
                "intermediate-unreachable-replicas-lagging"
            }
            Self::IntermediateReplicasCannotConnect => "intermediate-replicas-cannot-connect",
            Self::IntermediateReplicasStopped => "intermediate-replicas-stopped",
            Self::FirstTierReplicaCannotConnect => "first-tier-replica-cannot-connect",
            Self::ServerSilent => "server-silent",
            Self::ServerRefusesUs => "server-refuses-us",
            Self::ReplicationStopped => "replication-stopped",
            Self::ReplicationBroken => "replication-broken",
            Self::ReplicaLagging => "replica-lagging",
            Self::ErrantTransactions => "errant-transactions",
            Self::ReplicaWritable => "replica-writable",
            Self::PrivilegedWriters => "privileged-writers",
            Self::SourceUnknown => "source-unknown",
            Self::ReplicationLoop => "replication-loop",
            Self::NoLoggingReplicas => "no-logging-replicas",
            Self::NoFailoverSupport => "no-failover-support",
            Self::MixedLogFormats => "mixed-log-formats",
            Self::MixedVersions => "mixed-versions",
            Self::MixedGtidModes => "mixed-gtid-modes",
            Self::EventsDisabled => "events-disabled",
            Self::EventSchedulerOff => "event-scheduler-off",
            Self::NotEnoughSemiSyncReplicas => "not-enough-semi-sync-replicas",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}
