//! What a person can order of a cluster.

use std::fmt;

use baton_core::ids::ServerId;
use baton_core::planning::AcceptedLoss;

/// The operation that is ordered.
#[derive(Clone, Debug)]
pub enum OrderKind {
    /// Replace the primary although it may live.
    Failover {
        /// Whom to promote; without it the policy chooses.
        to: Option<ServerId>,
        /// What promoting that server may lose.
        accept_loss: Option<AcceptedLoss>,
    },
    /// Replace the living primary.
    Switchover {
        /// Whom to promote; without it the policy chooses.
        to: Option<ServerId>,
    },
    /// Recover what a server has now.
    Recover {
        /// The server that has the finding.
        server: ServerId,
        /// Whom to promote; without it the policy chooses.
        to: Option<ServerId>,
        /// What promoting that server may lose.
        accept_loss: Option<AcceptedLoss>,
    },
    /// Take a server back.
    Rejoin {
        /// Which one.
        server: ServerId,
    },
}

/// The text for the audit log.
impl fmt::Display for OrderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, accept_loss) = match self {
            Self::Failover { to, accept_loss } => {
                f.write_str("failover")?;
                (to, accept_loss)
            }
            Self::Switchover { to } => {
                f.write_str("switchover")?;
                (to, &None)
            }
            Self::Recover {
                server,
                to,
                accept_loss,
            } => {
                write!(f, "recover what {server} has")?;
                (to, accept_loss)
            }
            Self::Rejoin { server } => return write!(f, "take {server} back"),
        };
        if let Some(to) = to {
            write!(f, " to {to}")?;
        }
        match accept_loss {
            Some(AcceptedLoss::AtMost(count)) => {
                write!(f, ", accepting the loss of {count} transactions")
            }
            Some(AcceptedLoss::Unknown) => f.write_str(", accepting an unknown loss"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AcceptedLoss, OrderKind, ServerId};

    #[test]
    fn orders_stand_in_the_audit_log_in_words() {
        let to = || Some(ServerId::new("db2:3306"));
        let failover = |accept_loss| OrderKind::Failover {
            to: to(),
            accept_loss,
        };
        for (order, expected) in [
            (OrderKind::Switchover { to: None }, "switchover"),
            (failover(None), "failover to db2:3306"),
            (
                failover(Some(AcceptedLoss::AtMost(5))),
                "failover to db2:3306, accepting the loss of 5 transactions",
            ),
            (
                OrderKind::Rejoin {
                    server: ServerId::new("db1:3306"),
                },
                "take db1:3306 back",
            ),
        ] {
            assert_eq!(order.to_string(), expected);
        }
    }
}
