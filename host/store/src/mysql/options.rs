//! How patient the store is with database nodes.

use std::time::Duration;

use baton_core::policy::backend::BackendKind;

use crate::store::AuditLimits;

/// Limits of the store on database nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MySqlOptions {
    /// For connecting and setting up a session. Default 2 s.
    pub connect: Duration,
    /// For a read, or the beginning of a transaction. Default 2 s.
    pub read: Duration,
    /// For a statement that writes, and for a commit. By default as long as a healthy cluster of
    /// that kind may stall when one of its nodes vanishes, and two seconds more. Too small turns
    /// stalls into unknown outcomes, too large notices a frozen node late (but a new selection is
    /// noticed at once).
    pub write: Option<Duration>,
    /// How long calls that are under way may take after another node was selected. Default 250 ms.
    pub grace: Duration,
    /// How long a call looks for a node that does what it asks, after the first one that did not.
    /// Default 5 s.
    pub patience: Duration,
    /// Sessions at the same time. Default 16: a stalled cluster keeps all that are writing.
    pub sessions: usize,
    /// What to do with a copy that is not whole, or not opened yet. By default it is refused.
    pub half_copies: HalfCopies,
    /// How much of the audit log is kept.
    pub audit: AuditLimits,
}

/// What to do with a copy that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfCopies {
    /// It is nobody's state.
    #[default]
    Refuse,
    /// Go on with it: for whoever moves the state.
    Use,
}

impl Default for MySqlOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            read: Duration::from_secs(2),
            write: None,
            grace: Duration::from_millis(250),
            patience: Duration::from_secs(5),
            sessions: 16,
            half_copies: HalfCopies::default(),
            audit: AuditLimits::default(),
        }
    }
}

impl MySqlOptions {
    /// Limit of a writing statement on a kind: by default the longest stall measured with its
    /// default timers, and two seconds.
    pub fn write_of(&self, kind: BackendKind) -> Duration {
        self.write.unwrap_or(match kind {
            BackendKind::Galera => Duration::from_secs(13),
            BackendKind::GroupReplication => Duration::from_secs(10),
            BackendKind::Ndb => Duration::from_secs(5),
            BackendKind::MasterMaster | BackendKind::Sqlite => Duration::from_secs(4),
        })
    }
}
