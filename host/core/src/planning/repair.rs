//! Repairs: small changes of one server beside recoveries, which keep replicas connected and
//! commits acknowledged.

use std::time::Duration;

use super::plan::{Builder, OnFailure, Phase, Plan, Purpose};
use crate::command::ServerCommand;
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::Snapshot;

/// A change of one server that belongs to no recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A receiver connects anew: whether it can shows whether its source lives.
    Reconnect {
        /// Whose receiver.
        replica: ServerId,
        /// Its channel.
        channel: String,
    },
    /// A receiver is started that was stopped by Baton, or gave up.
    StartReceiver {
        /// Whose receiver.
        replica: ServerId,
        /// Its channel.
        channel: String,
    },
    /// A replica tells its source anew that it acknowledges.
    Acknowledge {
        /// Which replica.
        replica: ServerId,
    },
    /// A primary is told to wait for acknowledgements.
    AwaitAcknowledgements {
        /// Which primary.
        primary: ServerId,
    },
}

impl Repair {
    /// The server that is changed.
    pub fn server(&self) -> &ServerId {
        match self {
            Self::Reconnect { replica, .. }
            | Self::StartReceiver { replica, .. }
            | Self::Acknowledge { replica } => replica,
            Self::AwaitAcknowledgements { primary } => primary,
        }
    }

    /// What is sent.
    pub fn command(&self) -> ServerCommand {
        match self {
            Self::Reconnect { channel, .. } => ServerCommand::ReconnectReceiver {
                channel: channel.clone(),
            },
            Self::StartReceiver { channel, .. } => ServerCommand::StartReceivers {
                channel: Some(channel.clone()),
            },
            Self::Acknowledge { .. } => ServerCommand::SetSemiSync {
                source: None,
                replica: Some(true),
            },
            Self::AwaitAcknowledgements { .. } => ServerCommand::SetSemiSync {
                source: Some(true),
                replica: None,
            },
        }
    }

    /// What is done and why, for people.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Reconnect { .. } => {
                "the receiver connects anew, to show whether its source lives"
            }
            Self::StartReceiver { .. } => "the receiver is started again, its source answers",
            Self::Acknowledge { .. } => {
                "writers wait for acknowledgements although replicas follow: the receiver is to say that it acknowledges"
            }
            Self::AwaitAcknowledgements { .. } => {
                "the primary does not wait for acknowledgements as the one did that it replaced: it is told to"
            }
        }
    }
}

/// Plans a repair. `limit` is that of its one step.
pub fn plan_repair(
    snapshot: &Snapshot,
    repair: &Repair,
    epoch: LeaseEpoch,
    limit: Duration,
) -> Plan {
    let mut steps = Builder::new(snapshot, 1);
    let what = (repair.server(), repair.command());
    steps.command(Phase::Repair, what, &[], (OnFailure::Abort, limit));
    Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Repair,
        epoch,
        subject: repair.server().clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Repair, plan_repair};
    use crate::check::check;
    use crate::ids::{LeaseEpoch, ServerId};
    use crate::sketch;
    use std::time::Duration;

    /// How the checker finds the repair of `server` on its channel `one`.
    fn objections(sketch: &str, server: &str) -> Vec<String> {
        let snapshot = sketch::snapshot(sketch);
        let repair = Repair::StartReceiver {
            replica: ServerId::new(server),
            channel: "one".to_owned(),
        };
        let plan = plan_repair(&snapshot, &repair, LeaseEpoch(7), Duration::from_secs(1));
        assert_eq!(plan.steps.len(), 1);
        let found = check(&plan, &snapshot);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_repair_is_checked_as_every_plan_is() {
        let own = "cluster auto lease=7\np1 primary\nr1 <- p1@one";
        assert_eq!(objections(own, "r1"), Vec::<String>::new());
        assert_ne!(objections(own, "x9"), Vec::<String>::new(), "a stranger");
        let off = "cluster off lease=7\np1 primary\nr1 <- p1@one";
        assert_ne!(objections(off, "r1"), Vec::<String>::new(), "switched off");
        let later = "cluster auto lease=8\np1 primary\nr1 <- p1@one";
        assert_ne!(
            objections(later, "r1"),
            Vec::<String>::new(),
            "another epoch"
        );
        let foreign = "cluster auto lease=7\np1 primary\nx1 rw\nr1 <- p1@two <- x1@one";
        assert_ne!(
            objections(foreign, "r1"),
            Vec::<String>::new(),
            "not our channel"
        );
    }
}
