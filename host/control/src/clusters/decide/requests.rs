//! Orders of operators. They use the same plans, checks and execution as automatic recoveries.

use std::time::Duration;

use baton_core::analysis::{is_closed, objections_to_ordered_reopening};
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome, Snapshot, Switch};
use baton_core::planning::{
    Blocked, Consent, Election, Reason, SwitchoverRequest, candidates, plan_switchover,
};
use baton_core::time::Timestamp;
use baton_ports::RecoveryRecord;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{ClusterLoop, NotBegun, Order};
use crate::api::RequestError;
use crate::clusters::resolve::{Resolved, consent, resolve};
use crate::order_kind::OrderKind;

/// How long an order waits for the quorum.
const RIGHT_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two checks.
const RIGHT_PAUSE: Duration = Duration::from_millis(20);

/// A person's order to one cluster.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: OrderKind,
    pub(crate) by: String,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) reply: oneshot::Sender<Result<RecoveryRecord, RequestError>>,
}

impl ClusterLoop {
    pub(crate) async fn serve(&mut self, request: Request) {
        let Request {
            kind,
            by,
            deadline,
            reply,
        } = request;
        let outcome = self.serve_kind(kind, &by, deadline).await;
        // The caller may be gone. The recovery has been carried out then, too.
        drop(reply.send(outcome));
        self.wake.notify_one();
    }

    async fn serve_kind(
        &mut self,
        kind: OrderKind,
        by: &str,
        deadline: Option<Timestamp>,
    ) -> Result<RecoveryRecord, RequestError> {
        let mut snapshot = self.present()?;
        if snapshot.control.enabled == Switch::Unreadable {
            return Err(RequestError::Store(
                "the state store cannot be read; nothing is begun".to_owned(),
            ));
        }
        if snapshot.control.enabled == Switch::Off {
            return Err(RequestError::refused(
                "recoveries are switched off globally: enable them first",
            ));
        }
        let is_planned = matches!(
            kind,
            OrderKind::Switchover { .. } | OrderKind::Rejoin { .. }
        );
        if is_planned {
            // The operator may have changed a server a moment ago.
            self.observe_again(&snapshot).await;
            snapshot = self.present()?;
        }
        let Resolved {
            kind,
            subject,
            requested,
            accepted,
            finding,
        } = resolve(kind, &snapshot, &self.members.registry.settings.analysis)?;
        let consent = consent(requested.as_ref(), accepted)?;
        self.refuse_at_once(
            &snapshot,
            (kind, &subject),
            requested.as_ref(),
            consent.as_ref(),
        )?;
        self.wait_for_right(deadline).await;
        let order = Order {
            kind,
            subject,
            requested,
            consent,
            automatic: false,
            finding,
            decision: format!("ordered by {by}"),
            trigger: self.members.clock.now(),
            deadline,
        };
        // Whether it was begun, may not be known; an open row is found again in the next round.
        self.resumed = false;
        let row = self
            .driver
            .carry_out(order)
            .await
            .map_err(|error| self.not_begun(error))?;
        self.judge.note_ended(&row, false, self.members.clock.now());
        ended(row)
    }

    fn present(&self) -> Result<Snapshot, RequestError> {
        let cluster = self.members.cluster.to_string();
        let snapshot = self.members.snapshot();
        snapshot.ok_or_else(|| RequestError::not_found("cluster", &cluster))
    }

    /// Refuses before any server is changed: the server cannot be promoted, or its promotion loses
    /// transactions and nobody accepted that. The recovery itself checks again after receivers
    /// stopped.
    fn refuse_at_once(
        &self,
        snapshot: &Snapshot,
        (kind, subject): (RecoveryKind, &ServerId),
        requested: Option<&ServerId>,
        consent: Option<&Consent>,
    ) -> Result<(), RequestError> {
        match kind {
            RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover => {
                let list = candidates(snapshot, subject, None);
                let order: Vec<ServerId> = list.iter().map(|c| c.server.clone()).collect();
                let election = Election {
                    kind,
                    replaced: subject,
                    order: &order,
                    list: &list,
                    snapshot,
                    revoked_after: None,
                    requested,
                    consent,
                };
                match election.choose() {
                    Ok(_) => Ok(()),
                    Err(blocked) => Err(refusal(snapshot, &blocked, requested)),
                }
            }
            RecoveryKind::Switchover => {
                let Some(to) = requested else { return Ok(()) };
                let request = SwitchoverRequest {
                    from: subject.clone(),
                    to: to.clone(),
                    epoch: LeaseEpoch::default(),
                    lag_limit: self.members.registry.settings.switchover_lag_limit,
                };
                let settings = &self.members.registry.settings.plan;
                match plan_switchover(snapshot, &request, settings) {
                    Ok(_) => Ok(()),
                    Err(blocked) => Err(blocked_request(&blocked, blocked.reasons.clone())),
                }
            }
            RecoveryKind::Reopen => may_be_opened(snapshot, subject),
            RecoveryKind::IntermediateFailover | RecoveryKind::Rejoin => Ok(()),
        }
    }

    /// Waits while a new leader takes the members' locks and reads the recorded voters, so that an
    /// order is not refused for that. If the quorum is still missing then, the recovery reports it.
    async fn wait_for_right(&mut self, deadline: Option<Timestamp>) {
        let end = self.members.clock.now().plus(RIGHT_PATIENCE);
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        while let Some(snapshot) = self.members.snapshot() {
            let leads = self.quorum.lease.epoch_for(Duration::ZERO).is_some();
            let is_over = self.members.clock.now() >= end;
            if snapshot.control.automatic {
                self.keep_standing(&snapshot);
            }
            if is_over || !leads || self.seems_to_have_right(&snapshot) {
                return;
            }
            sleep(RIGHT_PAUSE).await;
        }
    }

    /// Without automatic recovery no sessions stand, so the recovery opens them: then it is enough
    /// to know the voters.
    pub(super) fn seems_to_have_right(&self, snapshot: &Snapshot) -> bool {
        if snapshot.control.automatic {
            self.quorum.missing(snapshot).is_none()
        } else {
            self.quorum.knows_voters()
        }
    }

    fn not_begun(&self, error: NotBegun) -> RequestError {
        match error {
            NotBegun::NoLease => RequestError::NotLeader {
                leader: self.quorum.lease.leader(),
            },
            NotBegun::Gone => RequestError::not_found("cluster", &self.members.cluster.to_string()),
            NotBegun::Refused(text) => RequestError::refused(&text),
            NotBegun::Store(text) => RequestError::Store(text),
            NotBegun::LeftOpen { recovery, text } => RequestError::Failed {
                message: text,
                recovery,
            },
        }
    }
}

/// The answer to an order whose recovery has ended.
fn ended(row: RecoveryRecord) -> Result<RecoveryRecord, RequestError> {
    if row.outcome == RecoveryOutcome::Succeeded {
        return Ok(row);
    }
    let reasons = if row.errors.is_empty() {
        "see its journal".to_owned()
    } else {
        row.errors.join("; ")
    };
    let message = format!("{} {}: {reasons}", row.kind.word(), row.outcome.word());
    Err(RequestError::Failed {
        message,
        recovery: row.id,
    })
}

/// Why no server can be promoted, and what the operator can do about it.
fn refusal(snapshot: &Snapshot, blocked: &Blocked, requested: Option<&ServerId>) -> RequestError {
    let mut reasons = blocked.reasons.clone();
    if reasons.iter().all(Reason::is_loss) {
        let server = requested.map_or("SERVER", ServerId::as_str);
        reasons.push(Reason {
            code: "accept-loss".to_owned(),
            text: format!(
                "to promote a server all the same, name it and what may be lost: baton failover {} --to {server} --accept-loss N (or unknown)",
                snapshot.cluster.name
            ),
            about: Vec::new(),
        });
    }
    blocked_request(blocked, reasons)
}

fn blocked_request(blocked: &Blocked, reasons: Vec<Reason>) -> RequestError {
    let reasons: Vec<String> = reasons.into_iter().map(|reason| reason.text).collect();
    RequestError::Refused {
        message: format!(
            "no {} is possible: {}",
            blocked.kind.word(),
            reasons.join("; ")
        ),
        reasons,
    }
}

/// Whether a person's order opens the recorded primary; if not, why.
fn may_be_opened(snapshot: &Snapshot, primary: &ServerId) -> Result<(), RequestError> {
    if !snapshot.answers(primary) {
        return Err(RequestError::refused(&format!(
            "{primary} is the primary and does not answer: it is waited for; start it, or name another server"
        )));
    }
    if !is_closed(snapshot, primary) {
        return Err(RequestError::refused(&format!(
            "{primary} is the primary already and takes writes"
        )));
    }
    let objections = objections_to_ordered_reopening(snapshot, primary);
    if objections.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = objections.into_iter().map(|found| found.text).collect();
    Err(RequestError::refused(&texts.join(" ")))
}
