//! All findings: each with its word, what is observed, what the predecessor calls it, and what
//! Baton would do. `docs/findings.md` shows the same table, and a test writes it there.

/// Defines the findings. A row that lacks something does not compile.
macro_rules! findings {
    ($(
        $(#[doc = $doc:literal])+
        $code:ident = $word:literal {
            $(explains_silence: $silence:literal,)?
            orchestrator: [$($name:literal),* $(,)?],
            baton_would: $would:literal,
        }
    )+) => {
        /// What is observed. Named after the observation, not after what to do about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $code),+
        }

        crate::words!(Code { $($code = $word),+ });

        impl Code {
            /// What is observed, in one sentence.
            pub fn meaning(self) -> String {
                let lines: &[&str] = match self {
                    $(Self::$code => &[$($doc),+]),+
                };
                lines.concat().trim().to_owned()
            }

            /// What Baton would do about it, for people.
            pub const fn baton_would(self) -> &'static str {
                match self {
                    $(Self::$code => $would),+
                }
            }

            /// All names that orchestrator may have for it: an analysis code, then structure
            /// warnings.
            pub(super) const fn orchestrator_names(self) -> &'static [&'static str] {
                match self {
                    $(Self::$code => &[$($name),*]),+
                }
            }

            /// True if a finding with this code says that its server does not answer.
            pub(super) const fn explains_silence(self) -> bool {
                match self {
                    $(Self::$code => false $(|| $silence)?),+
                }
            }
        }
    };
}

findings! {
    /// The primary is gone and every replica that answers has lost it.
    PrimaryDead = "primary-dead" {
        explains_silence: true,
        orchestrator: ["DeadMaster"],
        baton_would: "failover",
    }

    /// As `primary-dead`, and some replicas do not answer either.
    PrimaryAndSomeReplicasDead = "primary-and-some-replicas-dead" {
        explains_silence: true,
        orchestrator: ["DeadMasterAndSomeReplicas"],
        baton_would: "failover",
    }

    /// Neither the primary nor any of its replicas answers: perhaps it is us.
    PrimaryAndReplicasDead = "primary-and-replicas-dead" {
        explains_silence: true,
        orchestrator: ["DeadMasterAndReplicas"],
        baton_would: "hold",
    }

    /// The primary is gone and has no replica.
    PrimaryDeadWithoutReplicas = "primary-dead-without-replicas" {
        explains_silence: true,
        orchestrator: ["DeadMasterWithoutReplicas"],
        baton_would: "hold",
    }

    /// The primary accepts connections or keeps its sockets but answers nothing, to us and to a
    /// replica that reconnects.
    PrimaryHung = "primary-hung" {
        explains_silence: true,
        orchestrator: ["DeadMaster"],
        baton_would: "failover",
    }

    /// We do not reach the primary, but a replica's receiver still does: veto.
    PrimaryUnreachable = "primary-unreachable" {
        explains_silence: true,
        orchestrator: ["UnreachableMaster"],
        baton_would: "hold",
    }

    /// As `primary-unreachable`, and all replicas lag.
    PrimaryUnreachableReplicasLagging = "primary-unreachable-replicas-lagging" {
        explains_silence: true,
        orchestrator: ["UnreachableMasterWithLaggingReplicas"],
        baton_would: "hold",
    }

    /// The primary does not answer us and the evidence is not complete yet.
    PrimarySilent = "primary-silent" {
        explains_silence: true,
        orchestrator: ["UnreachableMaster"],
        baton_would: "wait, or hold if no replica shows whether it lives",
    }

    /// The primary answers but does no useful work: no connections left, commits refused or
    /// stalled, no space on the disk.
    PrimaryUseless = "primary-useless" {
        orchestrator: [],
        baton_would: "failover if the storage fails or commits stall and a replica is healthy; else hold",
    }

    /// Nine tenths of the connections that the primary allows are in use.
    PrimaryConnectionsLow = "primary-connections-low" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Commits on the primary wait for acknowledgements that do not come.
    PrimarySemiSyncLocked = "primary-semi-sync-locked" {
        orchestrator: ["LockedSemiSyncMaster"],
        baton_would: "hold; `primary-replicas-cannot-connect` says whether another primary helps",
    }

    /// The intended primary is read-only and nobody else is writable.
    NoWritablePrimary = "no-writable-primary" {
        orchestrator: ["NoWriteableMasterStructureWarning"],
        baton_would: "reopen if it was merely restarted and nobody has more; else hold",
    }

    /// More than one server of the cluster is writable.
    SplitBrain = "split-brain" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// No server can be called the primary.
    PrimaryUnknown = "primary-unknown" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A server that is not the intended primary acts as one: it was promoted by somebody else.
    PrimaryMoved = "primary-moved" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The former primary is back and is not part of the topology.
    OldPrimaryReturned = "old-primary-returned" {
        orchestrator: [],
        baton_would: "rejoin",
    }

    /// A server outside the topology takes writes beside the primary, and is not proven to be a
    /// replaced one.
    SomebodyPromotes = "somebody-promotes" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A server outside the topology answers, and is not proven to be a replaced primary: rebuilt,
    /// or of another cluster.
    ServerDetached = "server-detached" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary's only replica does not replicate.
    PrimarySingleReplicaStopped = "primary-single-replica-stopped" {
        orchestrator: ["MasterSingleReplicaNotReplicating"],
        baton_would: "hold",
    }

    /// The primary's only replica does not answer.
    PrimarySingleReplicaDead = "primary-single-replica-dead" {
        orchestrator: ["MasterSingleReplicaDead"],
        baton_would: "hold",
    }

    /// No replica of the primary replicates; all answer.
    PrimaryReplicasStopped = "primary-replicas-stopped" {
        orchestrator: ["AllMasterReplicasNotReplicating"],
        baton_would: "hold",
    }

    /// No replica of the primary replicates; some do not answer.
    PrimaryReplicasStoppedOrDead = "primary-replicas-stopped-or-dead" {
        orchestrator: ["AllMasterReplicasNotReplicatingOrDead"],
        baton_would: "hold",
    }

    /// The primary answers us, and none of its replicas that answers can connect to it.
    PrimaryReplicasCannotConnect = "primary-replicas-cannot-connect" {
        orchestrator: ["AllMasterReplicasNotReplicating"],
        baton_would: "failover if its commits hang for `semi_sync_stall_limit` and would go on doing so; hold if it commits without them",
    }

    /// A co-primary is gone and every replica that answers has lost it.
    CoPrimaryDead = "co-primary-dead" {
        explains_silence: true,
        orchestrator: ["DeadCoMaster"],
        baton_would: "co-primary failover; if it is the passive one, intermediate failover of its replicas",
    }

    /// As `co-primary-dead`, and some replicas do not answer.
    CoPrimaryAndSomeReplicasDead = "co-primary-and-some-replicas-dead" {
        explains_silence: true,
        orchestrator: ["DeadCoMasterAndSomeReplicas"],
        baton_would: "as `co-primary-dead`",
    }

    /// We do not reach a co-primary, but a replica's receiver still does.
    CoPrimaryUnreachable = "co-primary-unreachable" {
        explains_silence: true,
        orchestrator: ["UnreachableCoMaster"],
        baton_would: "hold",
    }

    /// No replica of a co-primary replicates.
    CoPrimaryReplicasStopped = "co-primary-replicas-stopped" {
        orchestrator: ["AllCoMasterReplicasNotReplicating"],
        baton_would: "hold",
    }

    /// An intermediate source is gone and all its replicas have lost it.
    IntermediateDead = "intermediate-dead" {
        explains_silence: true,
        orchestrator: ["DeadIntermediateMaster"],
        baton_would: "intermediate failover",
    }

    /// As `intermediate-dead`, with one replica, whose receiver says that it cannot connect.
    IntermediateDeadSingleReplicaCannotConnect = "intermediate-dead-single-replica-cannot-connect" {
        explains_silence: true,
        orchestrator: ["DeadIntermediateMasterWithSingleReplicaFailingToConnect"],
        baton_would: "intermediate failover",
    }

    /// As `intermediate-dead`, with one replica, which does not replicate for another reason.
    IntermediateDeadSingleReplica = "intermediate-dead-single-replica" {
        explains_silence: true,
        orchestrator: ["DeadIntermediateMasterWithSingleReplica"],
        baton_would: "hold",
    }

    /// As `intermediate-dead`, and some replicas do not answer.
    IntermediateAndSomeReplicasDead = "intermediate-and-some-replicas-dead" {
        explains_silence: true,
        orchestrator: ["DeadIntermediateMasterAndSomeReplicas"],
        baton_would: "intermediate failover",
    }

    /// Neither an intermediate source nor its replicas answer.
    IntermediateAndReplicasDead = "intermediate-and-replicas-dead" {
        explains_silence: true,
        orchestrator: ["DeadIntermediateMasterAndReplicas"],
        baton_would: "hold",
    }

    /// We do not reach an intermediate source, but a replica's receiver still does.
    IntermediateUnreachable = "intermediate-unreachable" {
        explains_silence: true,
        orchestrator: ["UnreachableIntermediateMaster"],
        baton_would: "hold",
    }

    /// As `intermediate-unreachable`, and all its replicas lag.
    IntermediateUnreachableReplicasLagging = "intermediate-unreachable-replicas-lagging" {
        explains_silence: true,
        orchestrator: ["UnreachableIntermediateMasterWithLaggingReplicas"],
        baton_would: "hold",
    }

    /// An intermediate source answers, and all its replicas fail to connect to it or are dead.
    IntermediateReplicasCannotConnect = "intermediate-replicas-cannot-connect" {
        orchestrator: ["AllIntermediateMasterReplicasFailingToConnectOrDead"],
        baton_would: "intermediate failover, once one has tried again",
    }

    /// An intermediate source answers, and no replica of it replicates.
    IntermediateReplicasStopped = "intermediate-replicas-stopped" {
        orchestrator: ["AllIntermediateMasterReplicasNotReplicating"],
        baton_would: "hold",
    }

    /// A direct replica of the primary cannot connect to it.
    FirstTierReplicaCannotConnect = "first-tier-replica-cannot-connect" {
        orchestrator: ["FirstTierReplicaFailingToConnectToMaster"],
        baton_would: "hold",
    }

    /// A server does not answer (no other finding explains it).
    ServerSilent = "server-silent" {
        explains_silence: true,
        orchestrator: [],
        baton_would: "wait while evidence about a source is coming in; else hold",
    }

    /// A server answers, but not usefully to us: credentials, host blocked, connections.
    ServerRefusesUs = "server-refuses-us" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Replication was stopped by a person.
    ReplicationStopped = "replication-stopped" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Replication stopped with an error.
    ReplicationBroken = "replication-broken" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A replica's receiver shows as running and receives nothing, although its source has more for
    /// it; or waits for space for its relay log (MariaDB).
    ReplicaReceivesNothing = "replica-receives-nothing" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Lag beyond the limit.
    ReplicaLagging = "replica-lagging" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Transactions on a replica that its primary's history lacks.
    ErrantTransactions = "errant-transactions" {
        orchestrator: ["ErrantGTIDStructureWarning"],
        baton_would: "hold",
    }

    /// A replica is writable.
    ReplicaWritable = "replica-writable" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Accounts may write to the primary in spite of a fence.
    PrivilegedWriters = "privileged-writers" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A channel points to a server that is not known.
    SourceUnknown = "source-unknown" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// Two members replicate in a circle of more than two.
    ReplicationLoop = "replication-loop" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary has replicas, and none logs replicated changes.
    NoLoggingReplicas = "no-logging-replicas" {
        orchestrator: ["NoLoggingReplicasStructureWarning"],
        baton_would: "hold",
    }

    /// Replicas do not all use GTID: no failover without loss of position.
    NoFailoverSupport = "no-failover-support" {
        orchestrator: ["NoFailoverSupportStructureWarning"],
        baton_would: "hold",
    }

    /// Different binary log formats among logging replicas.
    MixedLogFormats = "mixed-log-formats" {
        orchestrator: [
            "StatementAndMixedLoggingReplicasStructureWarning",
            "StatementAndRowLoggingReplicasStructureWarning",
            "MixedAndRowLoggingReplicasStructureWarning",
        ],
        baton_would: "hold",
    }

    /// Different major versions among logging replicas.
    MixedVersions = "mixed-versions" {
        orchestrator: ["MultipleMajorVersionsLoggingReplicasStructureWarning"],
        baton_would: "hold",
    }

    /// Different GTID modes between source and replicas.
    MixedGtidModes = "mixed-gtid-modes" {
        orchestrator: ["DifferentGTIDModesStructureWarning"],
        baton_would: "hold",
    }

    /// The primary has events that are disabled as on a replica, and nobody decided that.
    EventsDisabled = "events-disabled" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The event scheduler is off where events are to run, or would be after a promotion.
    EventSchedulerOff = "event-scheduler-off" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// XA transactions stay prepared: nobody ends them, or only a replica has them.
    PreparedTransactions = "prepared-transactions" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary wants more acknowledgements than replicas give them.
    NotEnoughSemiSyncReplicas = "not-enough-semi-sync-replicas" {
        orchestrator: ["NotEnoughValidSemiSyncReplicasStructureWarning"],
        baton_would: "hold",
    }

    /// Settings by which a restart or a crash takes back what was acknowledged.
    AcknowledgementsNotDurable = "acknowledgements-not-durable" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary waits for acknowledgements only after others can read what it commits.
    AcknowledgedAfterCommit = "acknowledged-after-commit" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary waits for fewer acknowledgements than half of the replicas that give them.
    WaitCountTooSmall = "wait-count-too-small" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A replica acknowledges, and may not be promoted.
    UnfitAcknowledger = "unfit-acknowledger" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// A replica waits for acknowledgements of what it applies, and nobody gives them.
    ReplicaWaitsForAcknowledgements = "replica-waits-for-acknowledgements" {
        orchestrator: [],
        baton_would: "hold",
    }

    /// The primary took over from one that waited for acknowledgements, and does not.
    PrimaryDoesNotWait = "primary-does-not-wait" {
        orchestrator: [],
        baton_would: "hold; it is told to for ten minutes",
    }
}
