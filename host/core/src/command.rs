//! Changes of one server, as data.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::gtid::GtidSet;
use crate::ids::{Address, ServerId};
use crate::model::{EventName, EventState};
use crate::words::words_of_variants;

/// The server-side condition of a step that makes a server writable: evaluated by the server when
/// it executes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How long after the deadline was armed on the session the step may still execute.
    pub within: Duration,
}

/// Statements that change a server, each idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerCommand {
    /// Make it read-only for everybody (`super_read_only` where it exists) and end client sessions
    /// that could still write.
    Fence {
        /// Also kill other accounts' client sessions (not replication, not Baton's own account).
        kill_writers: bool,
    },
    /// Make it writable again, guarded; the opposite of `Fence`.
    OpenWrites(Guard),
    /// Stop the receiver of all channels, or of one.
    StopReceivers {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// End the receiver's connection and let its thread end in its own time: from then on it
    /// receives and acknowledges nothing. For receivers of a source that does not answer, which
    /// take seconds to stop. Where the thread cannot be told, it is stopped.
    SeverReceivers {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Start the receiver again.
    StartReceivers {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Stop and start the receiver: a living source accepts it again at once, a hung one does not.
    /// "Not reached" means that its source did not even let it go; then the receiver ends later,
    /// and has to be started again if the source lives.
    ReconnectReceiver {
        /// The channel.
        channel: String,
    },
    /// Stop both threads of one channel, or of all.
    StopReplication {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Start both threads.
    StartReplication {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Start the applier alone, so that what was received gets applied.
    StartAppliers {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Set the delay of a channel's applier. With zero, what was received is kept and the applier
    /// alone runs afterwards; the channel positions itself by file until it is set back or pointed
    /// elsewhere. With any other, replication is left stopped, and what was not applied is dropped.
    SetDelay {
        /// The channel.
        channel: String,
        /// The delay, in whole seconds.
        delay: Duration,
    },
    /// Wait until all of `set` is applied.
    WaitApplied {
        /// The set.
        set: GtidSet,
        /// Give up after this.
        limit: Duration,
    },
    /// Stop and forget replication: the server is no replica any more.
    ForgetReplication {
        /// One channel, or all.
        channel: Option<String>,
    },
    /// Point a channel at another source by GTID and start it. Stops it first.
    PointAt {
        /// The channel; empty for the default one.
        channel: String,
        /// The new source.
        source: Address,
        /// Start replication afterwards.
        start: bool,
        /// Use the configured replication account even if the channel has credentials (needed for a
        /// server that was no replica).
        configured_account: bool,
    },
    /// Switch the source and replica roles of semi-synchronous replication on or off.
    SetSemiSync {
        /// Source role; `None` = leave.
        source: Option<bool>,
        /// Replica role; `None` = leave.
        replica: Option<bool>,
    },
    /// Give events that are disabled as on a replica these states; others are left alone. Written
    /// to the binary log.
    RestoreEvents {
        /// By name.
        states: BTreeMap<EventName, EventState>,
        /// Leave those alone that were altered on this server last: somebody has decided on them.
        keep_decided: bool,
    },
    /// Disable all events that run, as on a replica. Not written to the binary log. A server that
    /// is closed for everybody (`super_read_only`) lets nobody do it, nor its events write.
    DisableEvents,
}

/// What a command means for everything around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// How the right to act is made sure of.
    pub right: RightNeeded,
    /// What to do if the server gave no answer.
    pub if_unknown: IfUnknown,
    /// It stops an applier, and so waits for what that is at.
    pub stops_applier: bool,
}

/// How the right to act is made sure of before a command takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightNeeded {
    /// It is asked for just before the command is sent.
    Asked,
    /// A step before confirmed it, and the server itself refuses the command after that guard.
    Guarded(Guard),
}

/// What follows when it is not known whether a command took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfUnknown {
    /// It may be sent again, or be undone as if it had: the result is the same.
    Repeat,
    /// There is no way back but forward if it did: the server is asked before anything else.
    Ask,
}

words_of_variants!(ServerCommand {
    Fence = "fence",
    OpenWrites = "open-writes",
    StopReceivers = "stop-receivers",
    SeverReceivers = "sever-receivers",
    StartReceivers = "start-receivers",
    ReconnectReceiver = "reconnect-receiver",
    StopReplication = "stop-replication",
    StartReplication = "start-replication",
    StartAppliers = "start-appliers",
    SetDelay = "set-delay",
    WaitApplied = "wait-applied",
    ForgetReplication = "forget-replication",
    PointAt = "point-at",
    SetSemiSync = "set-semi-sync",
    RestoreEvents = "restore-events",
    DisableEvents = "disable-events",
});

impl ServerCommand {
    /// What the command means for everything around it: one row for each.
    pub fn properties(&self) -> Properties {
        let plain = Properties {
            right: RightNeeded::Asked,
            if_unknown: IfUnknown::Repeat,
            stops_applier: false,
        };
        let stopping = Properties {
            stops_applier: true,
            ..plain
        };
        match self {
            Self::OpenWrites(guard) => Properties {
                right: RightNeeded::Guarded(*guard),
                if_unknown: IfUnknown::Ask,
                ..plain
            },
            Self::StopReplication { .. }
            | Self::ForgetReplication { .. }
            | Self::PointAt { .. }
            | Self::SetDelay { .. } => stopping,
            Self::Fence { .. }
            | Self::StopReceivers { .. }
            | Self::SeverReceivers { .. }
            | Self::StartReceivers { .. }
            | Self::ReconnectReceiver { .. }
            | Self::StartReplication { .. }
            | Self::StartAppliers { .. }
            | Self::WaitApplied { .. }
            | Self::SetSemiSync { .. }
            | Self::RestoreEvents { .. }
            | Self::DisableEvents => plain,
        }
    }

    /// A few words for the journal.
    pub fn describe_on(&self, server: &ServerId) -> String {
        if let Self::PointAt { source, .. } = self {
            format!("point {server} at {source}")
        } else if let Self::SetDelay { delay, .. } = self {
            if delay.is_zero() {
                format!("lift the delay of {server}")
            } else {
                format!("set the delay of {server} back to {} s", delay.as_secs())
            }
        } else {
            format!("{} on {server}", self.word())
        }
    }
}
