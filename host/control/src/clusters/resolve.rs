//! Which recovery an order asks for.

use baton_core::analysis::{AnalysisSettings, analyze};
use baton_core::ids::ServerId;
use baton_core::model::{RecoveryKind, Snapshot, Topology};
use baton_core::planning::{AcceptedLoss, Consent};

use crate::api::RequestError;
use crate::order_kind::OrderKind;

/// What an order asks for.
pub(super) struct Resolved {
    pub(super) kind: RecoveryKind,
    pub(super) subject: ServerId,
    /// The server that is to be promoted.
    pub(super) requested: Option<ServerId>,
    /// The loss that was accepted with it.
    pub(super) accepted: Option<AcceptedLoss>,
    /// Code of the finding, or empty.
    pub(super) finding: String,
}

impl Resolved {
    fn of(kind: RecoveryKind, subject: ServerId) -> Self {
        Self {
            kind,
            subject,
            requested: None,
            accepted: None,
            finding: String::new(),
        }
    }
}

/// Which recovery the order asks for, and of which server.
pub(super) fn resolve(
    kind: OrderKind,
    snapshot: &Snapshot,
    settings: &AnalysisSettings,
) -> Result<Resolved, RequestError> {
    let primary = || {
        let found = snapshot.cluster.primary.clone();
        found.ok_or_else(|| RequestError::refused("the cluster has no known primary"))
    };
    Ok(match kind {
        OrderKind::Failover {
            to: Some(to),
            accept_loss: _,
        } if snapshot.cluster.primary.as_ref() == Some(&to) => {
            Resolved::of(RecoveryKind::Reopen, to)
        }
        OrderKind::Failover { to, accept_loss } => {
            if let Some(to) = &to {
                is_not_outdated(snapshot, to)?;
            }
            Resolved {
                requested: to,
                accepted: accept_loss,
                ..Resolved::of(RecoveryKind::Failover, primary()?)
            }
        }
        OrderKind::Switchover { to } => Resolved {
            requested: to,
            ..Resolved::of(RecoveryKind::Switchover, primary()?)
        },
        OrderKind::Rejoin { server } => Resolved::of(RecoveryKind::Rejoin, server),
        OrderKind::Recover {
            server,
            to,
            accept_loss,
        } => Resolved {
            requested: to,
            accepted: accept_loss,
            ..resolve_finding(server, snapshot, settings)?
        },
    })
}

/// The recovery that answers what the analysis finds about a server.
fn resolve_finding(
    server: ServerId,
    snapshot: &Snapshot,
    settings: &AnalysisSettings,
) -> Result<Resolved, RequestError> {
    let report = analyze(snapshot, settings);
    let mut findings = report.findings.iter();
    let found = findings.find_map(|finding| {
        let kind = finding.recovery.filter(|_| finding.server == server)?;
        Some((kind, finding.code.word().to_owned()))
    });
    let Some((kind, finding)) = found else {
        return Err(RequestError::refused(&format!(
            "{server} has no finding that a recovery answers"
        )));
    };
    Ok(Resolved {
        finding,
        ..Resolved::of(kind, server)
    })
}

/// Consent belongs to a named server.
pub(super) fn consent(
    requested: Option<&ServerId>,
    accepted: Option<AcceptedLoss>,
) -> Result<Option<Consent>, RequestError> {
    match (requested, accepted) {
        (_, None) => Ok(None),
        (Some(server), Some(loss)) => Ok(Some(Consent {
            server: server.clone(),
            loss,
        })),
        (None, Some(_)) => Err(RequestError::refused(
            "a loss can be accepted for a named server only: say which one is to be promoted",
        )),
    }
}

/// A server that the primary replaced lacks what the primary committed since, so it is no
/// successor.
fn is_not_outdated(snapshot: &Snapshot, to: &ServerId) -> Result<(), RequestError> {
    let follows = Topology::of(snapshot).source_of(to) == snapshot.cluster.primary.as_ref();
    match snapshot.replacement_of(to) {
        Some(past) if !follows => {
            let successor = past.successor.as_ref().map_or("nobody", ServerId::as_str);
            Err(RequestError::refused(&format!(
                "{to} was replaced by {successor} in {} {} and does not follow the primary: what was written since is not there. Start the primary; if it is lost for good, forget it, then name {to} again",
                past.kind.word(),
                past.id
            )))
        }
        Some(_) | None => Ok(()),
    }
}
