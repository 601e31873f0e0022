//! Stable words for what does not hold of a database node, with a sentence for people.

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionWord {
    /// Not reached, or of no use when reached.
    Unreachable,
    /// Another kind of server than configured.
    WrongKind,
    /// Member of another cluster than the other nodes of the list.
    ForeignCluster,
    /// The same server as another node of the list.
    SameServer,
    /// Galera: came up without its position.
    ZeroUuid,
    /// Galera: no majority.
    NotPrimaryComponent,
    /// Not (yet) a full member.
    Joining,
    /// Galera: desynchronised.
    Donor,
    /// Galera: `wsrep_ready` is off.
    NotReady,
    /// Galera: refuses queries by order.
    RejectingQueries,
    /// Read-only.
    ReadOnly,
    /// NDB: no data node.
    NoDataNodes,
    /// NDB: not all data nodes. The node can be used.
    DataNodesMissing,
    /// Group Replication: left its group.
    NotMember,
    /// Group Replication: no majority.
    NoQuorum,
    /// Group Replication: offline mode.
    Offline,
    /// Group Replication: a secondary.
    NotPrimary,
    /// Pair: both nodes take writes.
    BothWritable,
    /// Pair: the passive one does not follow. The active one can be used.
    NotReplicating,
    /// Lacks commits that were seen. The node can be used.
    HistoryOlder,
    /// Has not shown that it belongs to a working cluster.
    NotProven,
    /// The state went from here to another backend.
    Moved,
    /// A copy of the state that is not whole, or not in use yet.
    ClosedCopy,
    /// Tables of a later version.
    SchemaNewer,
    /// No database.
    NoDatabase,
    /// No rights.
    NoRights,
}

impl ConditionWord {
    /// As policies and the API see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::WrongKind => "wrong-kind",
            Self::ForeignCluster => "foreign-cluster",
            Self::SameServer => "same-server",
            Self::ZeroUuid => "zero-uuid",
            Self::NotPrimaryComponent => "not-primary-component",
            Self::Joining => "joining",
            Self::Donor => "donor",
            Self::NotReady => "not-ready",
            Self::RejectingQueries => "rejecting-queries",
            Self::ReadOnly => "read-only",
            Self::NoDataNodes => "no-data-nodes",
            Self::DataNodesMissing => "data-nodes-missing",
            Self::NotMember => "not-member",
            Self::NoQuorum => "no-quorum",
            Self::Offline => "offline",
            Self::NotPrimary => "not-primary",
            Self::BothWritable => "both-writable",
            Self::NotReplicating => "not-replicating",
            Self::HistoryOlder => "history-older",
            Self::NotProven => "not-proven",
            Self::Moved => "moved",
            Self::ClosedCopy => "closed-copy",
            Self::SchemaNewer => "schema-newer",
            Self::NoDatabase => "no-database",
            Self::NoRights => "no-rights",
        }
    }
}

/// A word about a node, with a sentence for people that names the node and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendCondition {
    /// The word.
    pub word: ConditionWord,
    /// The sentence.
    pub text: String,
}

impl BackendCondition {
    /// The sentence is the address and `text`.
    pub fn of(word: ConditionWord, address: &str, text: &str) -> Self {
        Self {
            word,
            text: format!("{address} {text}"),
        }
    }
}
