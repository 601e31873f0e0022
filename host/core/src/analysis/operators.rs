//! What operators said: a server in downtime or maintenance is reported on, and nothing is done
//! about it.

use super::context::{Context, evidence, listed};
use super::finding_codes::Code;
use super::report::{Finding, ProbeRequest};
use crate::ids::ServerId;
use crate::model::Server;
use crate::policy::Suggestion;

/// Turns `Act` and `Wait` into `Hold` where operators said so.
pub(super) fn hold_for_operators(cx: &Context<'_>, findings: &mut [Finding]) {
    for finding in findings {
        let Some(server) = cx.server(&finding.server) else {
            continue;
        };
        let id = &finding.server;
        let mut reasons = Vec::new();
        if let Some(downtime) = server.downtime.as_ref().filter(|_| is_down(cx, server)) {
            let text = format!(
                "{id} is in downtime by {}: {}.",
                downtime.owner, downtime.reason
            );
            reasons.push(evidence("downtimed", text, [id]));
        }
        if server.maintenance {
            let text = format!("{id} is being worked on.");
            reasons.push(evidence("maintenance", text, [id]));
        }
        let replicas: Vec<&ServerId> = cx.replicas(id).into_iter().collect();
        let downtimed = |id: &&ServerId| cx.server(id).is_some_and(|s| is_down(cx, s));
        if is_about_replicas(finding.code) && !replicas.is_empty() && replicas.iter().all(downtimed)
        {
            let text = format!("{}: all in downtime.", listed(replicas.iter().copied()));
            reasons.push(evidence("replicas-downtimed", text, replicas));
        }
        if !reasons.is_empty() {
            finding.suggestion = Suggestion::Hold;
            finding.evidence.extend(reasons);
        }
    }
}

/// Reading is always allowed; a receiver is left alone where operators work.
pub(super) fn allows(cx: &Context<'_>, probe: &ProbeRequest) -> bool {
    let ignored = |id: &ServerId| {
        cx.server(id)
            .is_none_or(|server| server.maintenance || is_down(cx, server))
    };
    match probe {
        ProbeRequest::ReadNow { .. } => true,
        ProbeRequest::ReconnectReceiver { server, source, .. } => {
            !ignored(source) && cx.server(server).is_some_and(|server| !server.maintenance)
        }
    }
}

fn is_down(cx: &Context<'_>, server: &Server) -> bool {
    cx.is_down(server)
}

/// Codes that only say something about the replicas of a source; if operators ignore all of these,
/// nothing is left.
fn is_about_replicas(code: Code) -> bool {
    matches!(
        code,
        Code::PrimaryReplicasCannotConnect
            | Code::PrimaryReplicasStopped
            | Code::PrimaryReplicasStoppedOrDead
            | Code::PrimarySingleReplicaStopped
            | Code::PrimarySingleReplicaDead
            | Code::CoPrimaryReplicasStopped
            | Code::IntermediateDeadSingleReplica
            | Code::IntermediateDeadSingleReplicaCannotConnect
            | Code::IntermediateAndReplicasDead
            | Code::IntermediateAndSomeReplicasDead
            | Code::IntermediateReplicasCannotConnect
            | Code::IntermediateReplicasStopped
    )
}
